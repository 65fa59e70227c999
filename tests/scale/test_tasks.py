"""Tests of epkit.scale.tasks: notebooks as Ray tasks, on Ray on this machine."""

import os
import time
from pathlib import Path

import pandas as pd
import pytest
from nbformat import v4
from run_examples import code, write_notebook

from epkit import run
from epkit.runner import records
from epkit.scale.tasks import run_tasks

pytestmark = pytest.mark.slow

# The first time that a run with an odd seed comes here, its worker is killed.
DEADLY = """import os, pathlib, signal
once = pathlib.Path({marks!r}, f"{{seed}}-{{n}}")
if seed == 1 and n < 3 and not once.exists():
    once.touch()
    os.kill(os.getppid(), signal.SIGKILL)"""


@pytest.fixture
def project(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    root = tmp_path / "project"
    (root / "notebooks" / "profiles").mkdir(parents=True)
    (root / "notebooks" / "profiles" / "cpu.yaml").write_text("")
    write_notebook(
        root,
        "01_count",
        v4.new_markdown_cell("# Counting"),
        code("n = 3\nseed = 0", "parameters"),
        code(DEADLY.format(marks=str(marks))),
        code("assert (seed, n) != (2, 5), 'unlucky'\nprint('square:', n**2)"),
    )
    return root


def test_24_runs_survive_lost_workers_and_failures_and_go_on(ray, project):
    file = project / "grid.yaml"
    file.write_text(
        "parameters: {seed: [0, 1, 2, 3], n: [0, 1, 2, 3, 4, 5]}\n"
        "needs: {cpus: 1.5, memory_gb: 0.1}\nattempts: 2\n"
    )
    command = ["--engine", "ray", "--sweep", str(file)]
    assert run.main(command, project) == 1
    folder = project / "runs" / "grid"
    table = pd.read_csv(folder / "sweep.csv")
    assert len(table) == 24
    assert (table.status == "done").sum() == 23
    (failed,) = table[table.status == "failed"].itertuples()
    assert (failed.seed, failed.n, failed.error) == (2, 5, "AssertionError: unlucky")
    done = table[table.status == "done"]
    assert (done.square == done.n**2).all()
    assert len(list((project.parent / "marks").iterdir())) == 3  # workers that were lost
    kept = {p: p.read_bytes() for p in folder.glob("*/state.json")}
    assert run.main(command, project) == 1
    again = {p: p.read_bytes() for p in folder.glob("*/state.json")}
    assert [p.parent.name[:10] for p in kept if again[p] != kept[p]] == ["seed=2,n=5"]
    assert set(records.read(folder / table.run[0])[0]) == {"01_count"}


def test_calls_end_in_their_own_order_and_errors_are_told(ray, tmp_path):
    def write(path, text, before=0.0):
        time.sleep(before)
        Path(path).write_text(text)

    def fail(path):
        raise ValueError(f"{path} is\nwrong")

    calls = [(str(tmp_path / "a"), "slow", 2.0), (str(tmp_path / "b"), "quick")]
    assert list(run_tasks(write, calls)) == [(1, ""), (0, "")]
    assert (tmp_path / "a").read_text() == "slow"
    assert list(run_tasks(fail, [("x",)])) == [(0, "ValueError: x is")]


@pytest.mark.parametrize(("attempts", "ended"), [(2, True), (1, False)])
def test_a_lost_worker_is_made_again_as_often_as_said(ray, tmp_path, attempts, ended):
    def die_once(path):
        if not Path(path).exists():
            Path(path).touch()
            os.kill(os.getpid(), 9)

    ((_, error),) = run_tasks(die_once, [(str(tmp_path / "been"),)], attempts=attempts)
    assert (error == "") == ended
    assert ended or error.startswith("its worker was lost")


@pytest.mark.parametrize("needs", [{"gpus": 64}, {"cpus": 1e5}, {"memory": 1e18}])
def test_needs_that_no_machine_meets_are_refused(ray, needs):
    with pytest.raises(ValueError, match="no machine of the Ray cluster has that"):
        list(run_tasks(print, [("x",)], **needs))
