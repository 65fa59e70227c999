import os

import pytest
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
