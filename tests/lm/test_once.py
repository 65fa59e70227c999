"""Tests of epkit.lm.once."""

import subprocess
import sys
import threading
import time

import filelock
import pytest

from epkit.lm.once import only_maker

SCRIPT = """
import sys, time
from pathlib import Path
from epkit.lm.once import only_maker
target = Path(sys.argv[1])
with only_maker(target, "x"):
    if not target.exists():
        time.sleep(1.5)
        with target.open("x") as file:
            file.write("made")
        print("made")
"""


def test_of_several_processes_one_makes_and_the_others_find(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "deep" / "it")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sum("made\n" in text.splitlines(keepends=True) for text in said) == 1


def test_a_thread_waits_for_another_and_says_so(tmp_path, capsys):
    order = []

    def make():
        with only_maker(tmp_path / "it", "what is tested"):
            order.append("first")
            time.sleep(0.5)
            order.append("done")

    thread = threading.Thread(target=make)
    thread.start()
    while not order:
        time.sleep(0.01)
    with only_maker(tmp_path / "it", "what is tested"):
        order.append("second")
    thread.join()
    assert order == ["first", "done", "second"]
    assert "waiting for what is tested, made by another process" in capsys.readouterr().out


def test_an_error_inside_is_passed_on_and_frees_the_lock(tmp_path):
    with pytest.raises(OSError, match="mine"), only_maker(tmp_path / "it", "x"):
        raise OSError("mine")
    with filelock.FileLock(tmp_path / ".it.lock", timeout=0):
        pass


def test_where_no_lock_can_be_kept_nothing_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with only_maker(tmp_path / "file" / "it", "x"):  # its folder cannot be made
        pass

    def refuse(*_args, **_kwargs):
        raise NotImplementedError("no locks here")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with only_maker(tmp_path / "it", "x"):
        pass
