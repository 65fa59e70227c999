"""Everything the kit writes × everything that can go wrong: the old file or the new, one sentence.

One table for `epkit.files` and all that write through it.
"""

import os
import random
import resource
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conftest import mixture
from fake_stream import FakeStream
from tiny_models import tiny_llama

from epkit import files
from epkit.atlas import load_atlas, save_atlas
from epkit.build import build_from
from epkit.build_state import BuildState
from epkit.calibration import Calibration
from epkit.lm.activations import ActivationStream
from epkit.lm.store import cached

QUIET = {"show_progress": False, "checkpoint": False, "keep": False}
FAKE = FakeStream({3: mixture(400, 24)})
ATLASES = [build_from(FAKE, [10], n, n_calibration=n, **QUIET) for n in (300, 400)]
STREAM = ActivationStream(tiny_llama(), ["word " * 9] * 40, [1], context=24)


def write_text(home, value):
    files.write_text(home / "page.html", str(value) * 3000)


def write_tensors(home, value):
    files.write_tensors(home / "x.safetensors", {"x": torch.full((900,), value)}, {})


def write_checkpoint(home, value):
    state = BuildState(400, [10], value, torch.device("cpu"))
    chunk = next(iter(FAKE.chunks()))
    d = ATLASES[0][3, 10]
    state.start([3], {3: Calibration(d.centre, {10: d.threshold}, 300)})
    state.take(chunk)
    state.write(home / "state.safetensors", f"job {value}")


def write_atlas(home, value):
    save_atlas(ATLASES[value], home, replace=True)


def write_folder(home, value):
    with files.whole_folder(home / f"folder-{value}", 1) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("x" * 3000)


def write_activations(home, value):
    cached(STREAM, 300 + value, show_progress=False)


WRITERS = {
    "text": (write_text, "page.html"),
    "tensors": (write_tensors, "x.safetensors"),
    "checkpoint": (write_checkpoint, "state.safetensors"),
    "atlas": (write_atlas, "layer3_p10.safetensors"),
    "folder": (write_folder, "folder-1"),
    "activations": (write_activations, "layer-1-301"),
}


@pytest.fixture(params=WRITERS)
def writer(request, tmp_path, monkeypatch):
    """(home, write(value), name of what is written)."""
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))
    write, name = WRITERS[request.param]
    home = tmp_path / "home"
    if request.param == "activations":
        home = tmp_path / "cache" / "activations" / STREAM.fingerprint
    return home, lambda value, home=home: write(home, value), name


def content(home):
    """{path: bytes} of all files; temporary ones included."""
    return {str(f.relative_to(home)): f.read_bytes() for f in home.rglob("*") if f.is_file()}


def full_disk(home, name, monkeypatch):
    """The system's own error in the middle of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)


def no_space_at_the_end(home, name, monkeypatch):
    def fail(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)


def in_the_way(home, name, monkeypatch):
    """A folder where a file is to be, a file where a folder is to be."""
    if "." in name:
        (home / name).unlink(missing_ok=True)
        (home / name).mkdir()
        (home / name / "kept").write_text("kept")
    else:
        (home / name).write_text("kept")


def folder_vanishes(home, name, monkeypatch):
    fsync = os.fsync

    def vanish(handle):
        fsync(handle)
        if home.exists():
            shutil.rmtree(home)

    monkeypatch.setattr(os, "fsync", vanish)


FAULTS = [full_disk, no_space_at_the_end, in_the_way, folder_vanishes]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_write_says_so_and_leaves_what_was_there(writer, fault, monkeypatch):
    home, write, name = writer
    write(0)
    before = content(home)
    undo = None
    try:
        with monkeypatch.context() as patched:
            undo = fault(home, name, patched)
            if fault is in_the_way:
                before = content(home)
            with pytest.raises(OSError, match="cannot be written: ") as caught:
                write(1)
    finally:
        if undo:
            undo()
    said = str(caught.value)
    assert str(home) in said
    assert "\n" not in said
    assert caught.value.__cause__ is not None
    if fault is not folder_vanishes:
        # The tokens of a set may be in place already: a sound entry of its own.
        after = {k: v for k, v in content(home).items() if "tokens-301" not in k}
        assert after == before
        assert not list(home.rglob(f"*{files.SUFFIX}"))


def test_a_read_only_folder(writer, read_only):
    home, write, _ = writer
    write(0)
    before = content(home)
    with (
        read_only(home.parent.parent if "cache" in str(home) else home),
        pytest.raises(PermissionError, match=r"cannot be written: .*; choose a folder") as told,
    ):
        write(1)
    assert told.value.__cause__ is not None
    assert content(home) == before


def test_a_file_where_the_folder_should_be(writer):
    home, write, _ = writer
    home.parent.mkdir(parents=True, exist_ok=True)
    home.write_text("a file")
    with pytest.raises(OSError, match="a file stands where a folder is needed"):
        write(1)
    assert home.read_text() == "a file"


def test_several_writers_at_once(writer):
    home, write, name = writer
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [0, 1] * 6))
    found = content(home)
    assert not [f for f in found if f.endswith(files.SUFFIX)]
    for value in (0, 1):
        if found == (alone := written(home, write, value)):
            break
    else:
        assert "." not in name, "neither of the two"
        assert alone.items() <= found.items()
    if name == "layer3_p10.safetensors":
        load_atlas(home)


def written(home, write, value):
    shutil.rmtree(home)
    write(value)
    return content(home)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("name", ["text", "tensors", "checkpoint", "folder"])
def test_killed_at_any_moment_the_old_or_the_new_is_there(name, tmp_path):
    write, _ = WRITERS[name]
    sound = []
    for value in (0, 1):
        write(tmp_path / str(value), value)
        sound.append(content(tmp_path / str(value)))
    home = tmp_path / "home"
    rng = random.Random(7)
    write(home, 0)
    for _ in range(20):
        child = os.fork()
        if not child:
            try:
                for i in range(10_000):
                    files.remove_folder(home / "folder-1")
                    write(home, i % 2)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        found = {k: v for k, v in content(home).items() if files.SUFFIX not in k}
        assert found in (sound if name != "folder" else [sound[0], sound[0] | sound[1]])
