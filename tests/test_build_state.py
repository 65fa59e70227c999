"""Tests of epkit.build_state: interrupted, killed, tampered with, out of room: the same bytes."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import mixture
from fake_stream import FakeStream, same

from epkit import build_state
from epkit.atlas import save_atlas
from epkit.build import build_from
from epkit.build_state import BuildState
from epkit.clustering import LeaderClustering
from epkit.files import read_tensors, write_tensors
from epkit.members import MemberCollector

JOB = {"percentiles": [2, 10], "n_activations": 1300, "n_calibration": 200}
QUIET = {"show_progress": False, "checkpoint_every": 0.0, "keep": False}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache of the test's own; states are written after every chunk."""
    monkeypatch.setattr(build_state, "PAUSE", 0)
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.safetensors"


@pytest.fixture(scope="module")
def activations():
    return {3: mixture(1500, 24, seed=0), 7: mixture(1500, 24, seed=1)}


@pytest.fixture
def fake(activations):
    return FakeStream(activations)


@pytest.fixture(scope="module")
def whole(activations):
    return build_from(FakeStream(activations), checkpoint=False, **JOB, **QUIET)


def interrupted(stream, path, stop=5, **change):
    stream.stop_after = stop
    with pytest.raises(KeyboardInterrupt):
        build_from(stream, **(JOB | change), checkpoint=path, **QUIET)
    stream.stop_after = None
    assert path.exists()


TAMPERED = {
    "no tokens": lambda t, a: t.pop("tokens"),
    "tokens of another dtype": lambda t, a: t.update(tokens=t["tokens"].long()),
    "tokens cut": lambda t, a: t.update(tokens=t["tokens"][:-1]),
    "lengths of no window": lambda t, a: t.update(lengths=t["lengths"][:-1]),
    "lengths negative": lambda t, a: t["lengths"].__setitem__(slice(0, 2), torch.tensor([-1, 23])),
    "clustered all": lambda t, a: t["clustered"].fill_(True),
    "n as text": lambda t, a: a.update(n="450"),
    "n smaller": lambda t, a: a.update(n=449),
    "n negative": lambda t, a: a.update(n=-1),
    "n beyond": lambda t, a: a.update(n=5000),
    "n missing": lambda t, a: a.pop("n"),
    "cursor moved": lambda t, a: a.update(cursor=a["cursor"] - 9),
    "cursor null": lambda t, a: a.update(cursor=None),
    "another job": lambda t, a: a.update(job="0" * 24),
    "no job": lambda t, a: a.pop("job"),
    "no centre": lambda t, a: t.pop("3/centre"),
    "centre not finite": lambda t, a: t["3/centre"].fill_(torch.nan),
    "centre of another dimension": lambda t, a: t.update({"3/centre": torch.zeros(23)}),
    "no calibrations": lambda t, a: a.update(calibrations={}),
    "calibrations a list": lambda t, a: a.update(calibrations=[1, 2]),
    "another layer": lambda t, a: a["calibrations"].update({"9": a["calibrations"].pop("3")}),
    "another percentile": lambda t, a: a["calibrations"].update({"3": [[[5, 0.3]], [], 200]}),
    "threshold nan": lambda t, a: a["calibrations"]["3"].__setitem__(0, [[2, float("nan")]]),
    "threshold a text": lambda t, a: a["calibrations"]["3"].__setitem__(0, [[2, "0.3"], [10, 1]]),
    "no exemplars": lambda t, a: t.pop("3/2/exemplars"),
    "no members": lambda t, a: t.pop("7/10/closest.index"),
    "exemplars of another dtype": lambda t, a: double(t, "3/2/exemplars"),
    "exemplars of another dimension": lambda t, a: cut(t, "3/2/exemplars", (slice(None), slice(9))),
    "a region less": lambda t, a: cut(t, "3/2/exemplars", slice(-1)),
    "exemplars not unit": lambda t, a: t["3/2/exemplars"].mul_(2),
    "exemplars not finite": lambda t, a: t["3/2/exemplars"].fill_(torch.nan),
    "index not ascending": lambda t, a: cut(t, "3/2/exemplar_index", torch.tensor([1, 0])),
    "index beyond": lambda t, a: t["3/2/exemplar_index"][-1:].fill_(10**6),
    "counts wrong": lambda t, a: t["3/2/sums.counts"][:1].add_(1),
    "counts zero": lambda t, a: t["3/2/sums.counts"].zero_(),
    "sums longer than the members": lambda t, a: t["7/2/sums.directions"].fill_(2**60),
    "another number taken": lambda t, a: t["7/2/n_activations"].fill_(3),
    "member beyond": lambda t, a: t["3/2/random.index"][:1].fill_(10**6),
    "members of fewer regions": lambda t, a: cut(t, "3/2/random.key", slice(-1)),
    "one tensor more": lambda t, a: t.update(more=torch.zeros(3)),
}


def double(tensors, name):
    tensors[name] = tensors[name].double()


def cut(tensors, name, which):
    tensors[name] = tensors[name][which].contiguous()


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_checkpoint_with_a_sound_checksum_is_not_used(name, fake, path, whole, capsys):
    interrupted(fake, path)
    tensors, about = read_tensors(path)
    TAMPERED[name](tensors, about)
    write_tensors(path, tensors, about)
    capsys.readouterr()
    assert same(whole, build_from(fake, **JOB, checkpoint=path, **QUIET))
    said = capsys.readouterr().out
    assert said.startswith("the interrupted build cannot be used, starting again: ")
    assert said.count("\n") == 1


FOREIGN = {
    "another seed": {"seed": 1},
    "another n": {"n_activations": 1400},
    "another n_calibration": {"n_calibration": 201},
    "other percentiles": {"percentiles": [2]},
    "another order": {"percentiles": [10, 2]},
    "saturation": {"saturation_window": 1200},
    "other texts": {"stream": lambda x: FakeStream({k: v + 0.1 for k, v in x.items()})},
    "another layer": {"stream": lambda x: FakeStream({3: x[3], 8: x[7]})},
    "a layer less": {"stream": lambda x: FakeStream({3: x[3]})},
    "another dimension": {
        "stream": lambda x: FakeStream({k: v[:, :20].clone() for k, v in x.items()})
    },
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_checkpoint_of_another_job_is_not_used(name, activations, path, whole, capsys):
    change = dict(FOREIGN[name])
    other = change.pop("stream", FakeStream)(activations)
    interrupted(other, path, **change)
    assert same(whole, build_from(FakeStream(activations), **JOB, checkpoint=path, **QUIET))
    assert "starting again: it is of another job" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"half a file", b"\0" * 100])
def test_a_damaged_checkpoint_is_said_and_not_used(fake, path, whole, capsys, content):
    path.write_bytes(content)
    assert same(whole, build_from(fake, **JOB, checkpoint=path, **QUIET))
    assert "starting again" in capsys.readouterr().out


def is_folder(path):
    path.mkdir()


def is_below_a_file(path):
    path.parent.write_text("a file")


@pytest.mark.parametrize("obstacle", [is_folder, is_below_a_file])
def test_a_build_is_not_lost_where_its_checkpoint_cannot_be(fake, path, whole, capsys, obstacle):
    path = path.parent / "folder" / "state"
    if obstacle is is_folder:
        path.parent.mkdir()
    obstacle(path)
    assert same(whole, build_from(fake, **JOB, checkpoint=path, **QUIET))
    assert capsys.readouterr().out.count("cannot be resumed") == 1


def test_a_build_is_not_lost_on_a_full_disk(fake, home, whole, capsys, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    assert same(whole, build_from(fake, **JOB, **(QUIET | {"keep": True})))
    said = capsys.readouterr().out
    assert said.count("cannot be resumed") == said.count("the atlas is not kept") == 1
    assert not [f for f in home.rglob("*") if f.is_file()]


def test_a_build_is_not_lost_in_a_read_only_cache(fake, home, whole, capsys, read_only):
    home.mkdir()
    with read_only(home):
        assert same(whole, build_from(fake, **JOB, **(QUIET | {"keep": True})))
    said = capsys.readouterr().out
    assert said.count("cannot be resumed") == said.count("the atlas is not kept") == 1


def test_a_build_is_not_lost_when_its_checkpoint_cannot_be_removed(
    fake, path, whole, capsys, read_only
):
    interrupted(fake, path)
    with read_only(path.parent):
        assert same(whole, build_from(fake, **JOB, checkpoint=path, **QUIET))
    assert "remove it when you like" in capsys.readouterr().out


def test_a_build_is_not_lost_when_the_cache_is_a_file(fake, home, whole, capsys):
    home.write_text("a file")
    assert same(whole, build_from(fake, **JOB, **(QUIET | {"keep": True})))
    assert "the atlas is not kept" in capsys.readouterr().out


STEPS = [
    (build_state, "as_activations"), (build_state, "directions"), (build_state, "write_tensors"),
    (build_state, "fit_together"), (LeaderClustering, "state"),
    (MemberCollector, "update"), (MemberCollector, "state"), (MemberCollector, "members"),
    (BuildState, "regions_line"), (os, "replace"), (os, "fsync"),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "name"), STEPS, ids=lambda x: getattr(x, "__name__", x))
@pytest.mark.parametrize("after", [False, True])
def test_interrupted_at_any_step_it_ends_with_the_same_bytes(
    fake, path, whole, monkeypatch, owner, name, after
):
    """Just before or after some call of a step, twice; say between clustering and members."""
    rng = np.random.default_rng(len(name))
    step = getattr(owner, name)
    for left in rng.integers(1, 12, size=2):
        calls = iter([None] * int(left))

        def breaking(*args, calls=calls, **kwargs):
            last = next(calls, "last") == "last"
            if last and not after:
                raise KeyboardInterrupt
            result = step(*args, **kwargs)
            if last:
                raise KeyboardInterrupt
            return result

        with monkeypatch.context() as patched:
            patched.setattr(owner, name, breaking)
            with contextlib.suppress(KeyboardInterrupt):
                build_from(fake, **JOB, checkpoint=path, **QUIET)
    assert same(whole, build_from(fake, **JOB, checkpoint=path, **QUIET))
    assert os.listdir(path.parent) in ([], ["cache"])


SCRIPT = """
import os, random, signal, sys, time
sys.path.insert(0, {tests!r})
from conftest import mixture
from fake_stream import FakeStream
from epkit.atlas import save_atlas
from epkit import build_state
from epkit.build import build_from

build_state.PAUSE = 1

def build():
    fake = FakeStream({{3: mixture(3000, 24)}}, windows_per_chunk=4)
    atlas = build_from(fake, [1], 3000, n_calibration=300, show_progress=False, keep=False,
                       checkpoint={state!r}, checkpoint_every=0.0)
    save_atlas(atlas, {out!r})

random.seed(12)
kills = 0
while kills < 20:
    child = os.fork()
    if not child:
        build()
        os._exit(0)
    time.sleep(random.uniform(0.01, 0.15))
    os.kill(child, signal.SIGKILL)
    kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    if os.path.exists({out!r}):
        for name in os.listdir({out!r}):
            os.rename(os.path.join({out!r}, name), os.path.join({done!r}, f"{{kills}}-{{name}}"))
build()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_killed_twenty_times_the_file_has_the_same_bytes(tmp_path):
    state, out, done = tmp_path / "state.safetensors", tmp_path / "out", tmp_path / "done"
    done.mkdir()
    tests = str(Path(__file__).parent)
    script = SCRIPT.format(tests=tests, state=str(state), out=str(out), done=str(done))
    subprocess.run([sys.executable, "-c", script], check=True)
    fake = FakeStream({3: mixture(3000, 24)}, windows_per_chunk=4)
    whole = build_from(fake, [1], 3000, n_calibration=300, checkpoint=False, **QUIET)
    expected = save_atlas(whole, tmp_path / "expected")[0].read_bytes()
    files = [*out.iterdir(), *done.glob("*-layer*")]
    assert out / "layer3_p1.safetensors" in files
    assert all(file.read_bytes() == expected for file in files)
    assert not state.exists()
