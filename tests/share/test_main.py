"""The command: a published file becomes one of ours, trouble is one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from epkit import Dictionary
from epkit.share.__main__ import main

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FILE = GOLDEN / "published_mixture48_p5.pkl"


def test_convert_writes_a_dictionary_and_says_its_size(tmp_path, capsys):
    target = tmp_path / "d.safetensors"
    assert main(["convert", str(FILE), str(target)]) == 0
    d = Dictionary.load(target)
    assert d.exemplars.shape == (39, 48)
    size = f"{target.stat().st_size / 1e6:.1f} MB"
    assert capsys.readouterr().out.splitlines()[-1] == f"{target}: K = 39, D = 48, {size}"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("nothing.pkl", "d.safetensors"),
        ("hostile.pkl", "d.safetensors"),
        ("cut.pkl", "d.safetensors"),
        (str(FILE), "d.pkl"),
        (str(FILE), "hostile.pkl/d.safetensors"),
        (".", "d.safetensors"),
    ],
)
def test_trouble_is_one_sentence_and_status_2(source, target, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("hostile.pkl").write_bytes(b"\x80\x04cos\nsystem\n(\x8c\x0etouch canary.xt.R.")
    Path("cut.pkl").write_bytes(FILE.read_bytes()[:50_000])
    assert main(["convert", source, target]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert not Path("d.safetensors").exists()
    assert not Path("canary").exists()


def test_it_is_a_command(tmp_path):
    command = [sys.executable, "-m", "epkit.share", "convert", str(FILE), "d.safetensors"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "K = 39, D = 48" in done.stdout
    assert len(Dictionary.load(tmp_path / "d.safetensors")) == 39
