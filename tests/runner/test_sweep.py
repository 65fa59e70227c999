"""Tests of epkit.runner.sweep, here; on Ray they are in scale/test_tasks.py."""

import json
import re
import shutil
from urllib.parse import unquote

import nbformat
import pandas as pd
import papermill
import pytest
from nbformat import v4
from run_examples import code, write_notebook

from epkit import run
from epkit.runner.sweep import checked_values, load_sweep, point_name


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "my project"
    (root / "notebooks" / "profiles").mkdir(parents=True)
    (root / "notebooks" / "profiles" / "cpu.yaml").write_text("common: {n: 6}\n")
    cells = [code("n = 3\nseed = 0\nlayers = [1]", "parameters"), code("print('square:', n**2)")]
    write_notebook(root, "01_count", v4.new_markdown_cell("# Counting"), *cells)
    return root


@pytest.fixture
def stub(monkeypatch):
    """Instead of papermill: the notebook with what its last cell would print; seed 13 fails."""

    def execute(source, target, parameters, *_args, **_options):
        execute.ran.append(parameters)
        if parameters["seed"] == 13:
            raise ZeroDivisionError("bad luck")
        notebook = nbformat.read(source, as_version=4)
        text = f"square: {parameters['n'] ** 2}\nseen < all\n"
        notebook.cells[-1].outputs = [v4.new_output("stream", text=text)]
        nbformat.write(notebook, target)

    execute.ran = []
    monkeypatch.setattr(papermill, "execute_notebook", execute)
    return execute


def sweep_file(root, text):
    path = root / "seeds.yaml"
    path.write_text(text)
    return str(path)


def test_every_combination_runs_and_one_table_holds_all(root, stub, capsys):
    file = sweep_file(root, "parameters: {seed: [0, 1], layers: [[1], [2, 3]], n: [4]}")
    assert run.main(["--sweep", file], root) == 0
    wanted = [{"seed": s, "layers": x, "n": 4} for s in (0, 1) for x in ([1], [2, 3])]
    assert stub.ran == wanted
    folder = root / "runs" / "seeds"
    table = pd.read_csv(folder / "sweep.csv")
    assert list(table.seed) == [0, 0, 1, 1]
    assert list(table.layers) == ["[1]", "[2, 3]"] * 2
    assert list(table.square) == [16] * 4
    assert set(table.status) == {"done"}
    page = (folder / "index.html").read_text()
    for point in wanted:
        name = point_name(point)
        assert {p.name for p in (folder / name).iterdir()} >= {"01_count.ipynb", "01_count.html"}
        assert name in page
    links = [folder / unquote(link) for link in re.findall('href="(.+?)"', page)]
    assert len(links) == 4
    assert all(link.is_file() for link in links)
    assert "[4/4]" in capsys.readouterr().out


def test_a_failure_stops_no_other_and_the_same_command_goes_on(root, stub):
    file = sweep_file(root, "parameters: {seed: [13, 14]}")
    assert run.main(["--sweep", file], root) == 1
    table = pd.read_csv(root / "runs" / "seeds" / "sweep.csv")
    assert list(table.status) == ["failed", "done"]
    assert table.error[0] == "ZeroDivisionError: bad luck"
    stub.ran.clear()
    assert run.main(["--sweep", file], root) == 1
    assert [p["seed"] for p in stub.ran] == [13]
    assert run.main(["--sweep", file, "--fresh"], root) == 1
    assert [p["seed"] for p in stub.ran] == [13, 13, 14]


def test_what_a_killed_sweep_has_done_is_not_done_again(root, stub, monkeypatch):
    file = sweep_file(root, "parameters: {seed: [0, 1, 2]}")
    done = papermill.execute_notebook

    def interrupted(source, target, parameters, *args, **options):
        if parameters["seed"] == 1:
            raise KeyboardInterrupt
        done(source, target, parameters, *args, **options)

    monkeypatch.setattr(papermill, "execute_notebook", interrupted)
    assert run.main(["--sweep", file], root) == 130
    monkeypatch.setattr(papermill, "execute_notebook", done)
    assert run.main(["--sweep", file], root) == 0
    assert [p["seed"] for p in stub.ran] == [0, 1, 2]


def test_two_values_never_share_a_folder_and_no_name_leaves_it():
    points = [{"a": v} for v in (1, 1.0, "1", True, [1], "../..", "x" * 300, "x" * 301, "", " ")]
    names = [point_name(point) for point in points]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9.,=_-]{1,80}", name)
        assert name.startswith("a=")
    assert point_name({"a": [1, 2]}) == point_name(json.loads('{"a": [1, 2]}'))


def test_checked_values_are_the_printed_pairs_of_the_last_cell():
    last = v4.new_code_cell("")
    text = "rate: 0.31\nwhat [a, b] is: yes: both\nno pair\n: none\na: 1  b: 2\n"
    last.outputs = [
        v4.new_output("stream", text=text),
        v4.new_output("stream", name="stderr", text="e: 1"),
    ]
    first = v4.new_code_cell("", outputs=[v4.new_output("stream", text="x: 1")])
    found = checked_values(v4.new_notebook(cells=[first, last, v4.new_markdown_cell("y: 2")]))
    assert found == {"rate": "0.31", "what [a, b] is": "yes: both", "a": "1", "b": "2"}
    assert checked_values(v4.new_notebook()) == {}


def test_list_names_the_runs_and_runs_none(root, stub, capsys):
    file = sweep_file(root, "parameters: {seed: [0, 1]}")
    assert run.main(["--sweep", file, "--list"], root) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert not (root / "runs").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "must map profile, notebooks"),
        ("a: 1", "must map profile, notebooks"),
        ("profile: cpu", "at least one parameter"),
        ("parameters: {}", "at least one parameter"),
        ("parameters: {seed: 1}", "seed must have a list of values to try, got 1"),
        ("parameters: {seed: []}", "seed must have a list"),
        ("parameters: {seed: [1, 1]}", "seed has a value twice"),
        ("parameters: {nothing: [1]}", "unknown parameter 'nothing'"),
        ("parameters: {seed: [a]}", "'a' is of type str"),
        ("parameters: {seed: [1]}\nprofile: gpu", "no profile 'gpu'"),
        ("parameters: {seed: [1]}\nnotebooks: ['07']", "no notebook '07'"),
        ("parameters: {seed: [1]}\nnotebooks: 01", "notebooks must be a list"),
        ("parameters: {seed: [1]}\nneeds: {gpu: 1}", "needs may have cpus, gpus and memory_gb"),
        ("parameters: {seed: [1]}\nneeds: {gpus: many}", "gpus must be"),
        ("parameters: {seed: [1]}\nneeds: {cpus: -1}", "cpus must be"),
        ("parameters: {seed: [1]}\nattempts: 0", "attempts must be"),
        ("parameters: {seed: [1]}\nattempts: yes", "attempts must be"),
        ("parameters: [", "is not YAML"),
        (f"parameters: {{seed: {list(range(101))}, n: {list(range(100))}}}", "10,100 combinations"),
    ],
)
def test_a_wrong_file_is_one_sentence_and_nothing_runs(root, stub, capsys, text, message):
    with pytest.raises(SystemExit) as stop:
        run.main(["--sweep", sweep_file(root, text)], root)
    assert stop.value.code == 2
    said = capsys.readouterr().err.split("error: ")[1]
    assert message in said
    assert said.count("\n") == 1
    assert not stub.ran


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "ray"], "--engine ray runs sweeps: give --sweep FILE"),
        (["--sweep", "s.yaml", "--only", "01"], "a sweep's file says what to run"),
        (["--sweep", "s.yaml", "-p", "n", "1"], "a sweep's file says what to run"),
        (["--sweep", "nowhere.yaml"], "No such file"),
    ],
)
def test_wrong_arguments(root, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run.main(arguments, root)
    assert message in capsys.readouterr().err


def test_of_two_sweeps_at_once_one_is_refused(root, stub, capsys):
    from epkit.runner import records

    file = sweep_file(root, "parameters: {seed: [0]}")
    with records.locked(root / "runs" / "seeds"):
        assert run.main(["--sweep", file], root) == 2
    assert "another run is writing" in capsys.readouterr().err
    assert not stub.ran


def test_the_table_of_a_half_written_folder_says_not_run(root, stub):
    file = sweep_file(root, "parameters: {seed: [0, 1]}")
    assert run.main(["--sweep", file], root) == 0
    shutil.rmtree(root / "runs" / "seeds" / point_name({"seed": 1}))
    stub.ran.clear()
    assert run.main(["--sweep", file], root) == 0
    assert [p["seed"] for p in stub.ran] == [1]
    assert load_sweep(root / "seeds.yaml").points() == [{"seed": 0}, {"seed": 1}]
