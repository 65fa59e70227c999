"""Tests of epkit.files."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import safetensors
import torch

from epkit import files


def test_whole_folder_keeps_what_another_process_put_there(tmp_path):
    target = tmp_path / "target"
    with files.whole_folder(target, 1) as mine:
        (mine / "file").write_text("mine")
        with files.whole_folder(target, 1) as theirs:
            (theirs / "file").write_text("theirs")
    assert (target / "file").read_text() == "theirs"
    assert [f.name for f in tmp_path.iterdir()] == ["target"]


def test_an_interrupted_folder_is_not_there(tmp_path):
    def half():
        with files.whole_folder(tmp_path / "target", 1) as folder:
            (folder / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["text", "tensors"])
def test_an_interrupted_write_leaves_what_was_there(kind, tmp_path, monkeypatch):
    target = tmp_path / "target"
    write = {
        "text": lambda value: files.write_text(target, str(value)),
        "tensors": lambda value: files.write_tensors(target, {"x": torch.tensor([value])}, {}),
    }[kind]
    write(1)
    before = target.read_bytes()

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write(2)
    assert target.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["target"]


def test_a_text_keeps_its_line_ends_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "page.html"
    files.write_text(path, "é\r\nb\n")
    assert path.read_bytes() == "é\r\nb\n".encode()


def test_a_folder_larger_than_the_disk_is_refused_before_writing(tmp_path):
    with (
        pytest.raises(OSError, match="GB are free: make room"),
        files.whole_folder(tmp_path / "target", 1 << 60),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_what_was_read_does_not_hang_on_the_file(tmp_path):
    path = tmp_path / "x.safetensors"
    files.write_tensors(path, {"x": torch.arange(10_000.0)}, {"a": 1})
    tensors, about = files.read_tensors(path)
    with path.open("r+b") as opened:
        opened.write(b"\xff" * path.stat().st_size)
    os.truncate(path, 0)
    assert torch.equal(tensors["x"], torch.arange(10_000.0))
    assert about == {"a": 1}


def test_leftovers_of_a_day_ago_are_collected(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))
    outside, inside = tmp_path / "home", tmp_path / "cache" / "builds"
    for folder in (outside, inside):
        folder.mkdir(parents=True)
        for name in (f".a.123{files.SUFFIX}", ".other.tmp", f".new{files.SUFFIX}"):
            (folder / name).write_text("left")
            if "new" not in name:
                os.utime(folder / name, (0, 0))
        (folder / f".b{files.SUFFIX}").mkdir()
        (folder / f".b{files.SUFFIX}" / "half").write_text("left")
        os.utime(folder / f".b{files.SUFFIX}" / "half", (0, 0))
        os.utime(folder / f".b{files.SUFFIX}", (0, 0))
        files.write_text(folder / "text", "text")
    # Outside the cache other programs' temporary files are left alone.
    assert {f.name for f in outside.iterdir()} == {"text", f".new{files.SUFFIX}", ".other.tmp"}
    assert {f.name for f in inside.iterdir()} == {"text", f".new{files.SUFFIX}"}


@pytest.mark.parametrize("number", [5, 13, 27, 28, 30, 122])
def test_a_failing_write_is_one_sentence_with_its_cause(tmp_path, monkeypatch, number):
    path = tmp_path / "x.safetensors"

    def fail(*args, **kwargs):
        raise safetensors.SafetensorError(f"I/O error: {os.strerror(number)} (os error {number})")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OSError, match="cannot be written") as caught:
        files.write_tensors(path, {"x": torch.zeros(3)}, {})
    assert caught.value.errno == number
    assert str(path) in str(caught.value)
    assert isinstance(caught.value.__cause__, safetensors.SafetensorError)


def test_four_threads_write_one_path(tmp_path):
    path = tmp_path / "x.safetensors"

    def write(value):
        for _ in range(60):
            files.write_tensors(path, {"x": torch.full((50,), value)}, {})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(files.read_tensors(path)[0]["x"].unique()) == 1
    assert [f.name for f in tmp_path.iterdir()] == ["x.safetensors"]


def test_whoever_may_read_a_text_may_read_tensors(tmp_path):
    files.write_text(tmp_path / "text", "text")
    files.write_tensors(tmp_path / "tensors", {"x": torch.zeros(3)}, {})
    assert (tmp_path / "text").stat().st_mode == (tmp_path / "tensors").stat().st_mode
