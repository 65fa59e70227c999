"""The runner, on two tiny notebooks. Where papermill itself is not the point, a stub stands in."""

import json
import re
import shutil
import subprocess
import sys
import threading

import nbformat
import papermill
import pytest
from nbformat import v4
from run_examples import code, write_notebook

from epkit import run
from epkit.runner import records

FETCHED = re.compile(r"<(?:script|link|iframe)\b[^>]*(?:src|href)\s*=", re.IGNORECASE)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A project whose second notebook fails unless `divisor` is given, in a path with a space."""
    root = tmp_path_factory.mktemp("a project")
    profiles = root / "notebooks" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "cpu.yaml").write_text("common: {n: 6}\n02_divide: {divisor: 0}\n")
    (profiles / "typo.yaml").write_text("common: {m: 6}\n")
    verdict = "from IPython.display import Markdown\ndisplay(Markdown(f'Counted **{n}**.'))"
    write_notebook(
        root,
        "01_count",
        v4.new_markdown_cell("# Counting"),
        code("n = 3\nlabel = 'a'", "parameters"),
        code("import os, sys\nprint(os.path.basename(os.getcwd()), sys.prefix)"),
        code(verdict, "verdict"),
    )
    write_notebook(
        root,
        "02_divide",
        v4.new_markdown_cell("# Dividing"),
        code("n = 3\ndivisor = 2", "parameters"),
        code("print('before')"),
        code("print(n / divisor)", "verdict"),
    )
    return root


@pytest.fixture
def root(template, tmp_path):
    """A copy of the project in which nothing has been run."""
    return shutil.copytree(template, tmp_path / "my project")


@pytest.fixture
def stub(monkeypatch):
    """Instead of papermill: copies the notebook; `stub.error` is raised after that."""

    def execute(source, target, *_args, **options):
        shutil.copy(source, target)
        execute.ran.append(source.stem)
        execute.bar = options["progress_bar"]
        if execute.error:
            raise execute.error

    execute.error, execute.ran = None, []
    monkeypatch.setattr(papermill, "execute_notebook", execute)
    return execute


def test_failure_then_resume_then_change(root, capsys):
    folder = root / "runs" / "cpu"

    assert run.main([], root) == 1
    printed = capsys.readouterr().out
    assert re.search(r"01_count +done +\d+:\d\d\n", printed)
    assert re.search(r"02_divide +failed +\d+:\d\d  ZeroDivisionError: division by zero", printed)
    assert "----> 1 print(n / divisor)" in printed
    assert "\x1b" not in printed
    assert not (folder / "02_divide.ipynb").exists()
    failed = nbformat.read(folder / "02_divide.failed.ipynb", as_version=4)
    outputs = [output for cell in failed.cells for output in cell.get("outputs", [])]
    assert [output.output_type for output in outputs] == ["stream", "error"]

    executed = nbformat.read(folder / "01_count.ipynb", as_version=4)
    (where,) = [c for c in executed.cells if c.cell_type == "code" and "getcwd" in c.source]
    assert where.outputs[0].text == f"notebooks {run.sys.prefix}\n"

    index = (folder / "index.html").read_text(encoding="utf-8")
    assert '<a href="01_count.html">Counting</a>' in index
    assert "Counted <strong>6</strong>." in index
    assert "ZeroDivisionError: division by zero" in index
    for page in folder.glob("*.html"):
        assert not FETCHED.search(page.read_text(encoding="utf-8"))

    assert run.main(["-p", "divisor", "4"], root) == 0
    printed = capsys.readouterr().out
    assert re.search(r"01_count +skipped", printed)
    assert re.search(r"02_divide +done", printed)
    assert (folder / "02_divide.ipynb").exists()
    assert not (folder / "02_divide.failed.ipynb").exists()
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert "2 of 2 notebooks run here" in index
    assert "1.5" in index
    assert not list(folder.glob(".*"))


def test_two_at_a_time_end_as_one_after_the_other(root, capsys):
    assert run.main(["--at-once", "2"], root) == 1
    printed = capsys.readouterr().out
    table = printed[printed.index("notebook  ") :]
    assert re.search(r"01_count +done.*\n02_divide +failed", table)
    folder = root / "runs" / "cpu"
    assert list(json.loads((folder / "state.json").read_text())) != []
    assert (folder / "01_count.html").exists()
    assert (folder / "02_divide.failed.html").exists()
    assert run.main(["--at-once", "2", "-p", "divisor", "4"], root) == 0
    assert re.search(r"01_count +skipped", capsys.readouterr().out)


def test_only_fresh_and_a_changed_source_decide_what_runs(root, capsys):
    assert run.main(["--only", "01"], root) == 0
    assert "02_divide" not in capsys.readouterr().out
    index = (root / "runs" / "cpu" / "index.html").read_text(encoding="utf-8")
    assert '<a href="02_divide.html">Dividing</a>' in index
    assert index.count("not run here: stored outputs") == 1
    assert "stored outputs of profile cpu (1)" in index

    path = root / "notebooks" / "01_count.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].outputs = [v4.new_output("stream", name="stdout", text="an old output")]
    nbformat.write(notebook, path)
    assert run.main(["--only", "01"], root) == 0
    assert "skipped" in capsys.readouterr().out

    assert run.main(["--only", "01", "--fresh"], root) == 0
    assert "skipped" not in capsys.readouterr().out

    notebook.cells[2].source += "\nprint('more')"
    nbformat.write(notebook, path)
    assert run.main(["--only", "01_count"], root) == 0
    assert "skipped" not in capsys.readouterr().out


def test_a_dead_kernel_is_a_failure_like_any_other(root, capsys):
    write_notebook(root, "01_count", code("n = 3", "parameters"), code("import os\nos._exit(9)"))
    assert run.main(["--only", "01"], root) == 1
    assert "DeadKernelError: the notebook's Python process died" in capsys.readouterr().out
    assert (root / "runs" / "cpu" / "01_count.failed.ipynb").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_on_a_terminal_and_one_plain_line_elsewhere(
    root, stub, capsys, monkeypatch, terminal
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert run.main(["--only", "01"], root) == 0
    said = capsys.readouterr()
    assert ("01_count: running" in said.out) != terminal
    assert said.err == ""
    assert stub.bar == ({"desc": "01_count", "leave": False} if terminal else False)


def test_a_failing_rerun_leaves_the_earlier_result_and_the_index_links_both(root, stub):
    folder = root / "runs" / "cpu"
    assert run.main([], root) == 0
    good = {path.name: path.read_bytes() for path in folder.glob("01_count.*")}

    stub.error = ValueError("<b>no</b>")
    assert run.main(["--only", "01", "--fresh"], root) == 1
    assert {name: (folder / name).read_bytes() for name in good} == good
    assert (folder / "01_count.failed.ipynb").exists()
    assert json.loads((folder / "state.json").read_text())["01_count"]["status"] == "failed"
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert '<a href="01_count.failed.html">Counting</a>' in index
    assert '<a href="01_count.html">the earlier result</a>' in index
    assert "&lt;b&gt;no&lt;/b&gt;" in index
    assert "1 of 2 notebooks run here" in index

    stub.error = None
    assert run.main(["--only", "01"], root) == 0
    assert sorted(path.name for path in folder.glob("01_count.*")) == sorted(good)
    assert "earlier result" not in (folder / "index.html").read_text(encoding="utf-8")


def test_what_a_stopped_run_or_a_full_disk_left_half_done_is_made_again(root, stub):
    folder = root / "runs" / "cpu"
    assert run.main([], root) == 0
    (folder / "01_count.html").unlink()
    (folder / "02_divide.ipynb").write_text("{")
    stub.ran.clear()
    assert run.main([], root) == 0
    assert stub.ran == ["02_divide"]
    assert (folder / "01_count.html").exists()


def test_half_a_notebook_from_a_full_disk_is_a_failure_without_a_page(root, monkeypatch):
    def execute(_source, target, *_args, **_kwargs):
        target.write_text('{"cells": [')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    assert run.main(["--only", "01"], root) == 1
    index = (root / "runs" / "cpu" / "index.html").read_text(encoding="utf-8")
    assert "No space left on device" in index
    assert not (root / "runs" / "cpu" / "01_count.failed.html").exists()


def test_a_damaged_state_is_one_line_and_everything_runs_again(root, stub, capsys):
    assert run.main([], root) == 0
    state = root / "runs" / "cpu" / "state.json"
    sound = json.loads(state.read_text())
    state.write_text("[" * 100_000)
    capsys.readouterr()
    assert run.main([], root) == 0
    assert f"{state} is damaged (RecursionError); starting as if" in capsys.readouterr().out
    assert stub.ran == ["01_count", "02_divide"] * 2
    assert set(json.loads(state.read_text())) == set(sound)


def test_a_second_run_says_that_another_is_going_on_and_loses_nothing(root, stub, capsys):
    assert run.main(["--only", "02"], root) == 0
    folder = root / "runs" / "cpu"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    with records.locked(folder):
        assert run.main([], root) == 2
    said = capsys.readouterr()
    assert said.err == f"another run is writing to {folder}: wait for its end, or stop it\n"
    assert said.out == ""
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert run.main([], root) == 0
    assert set(json.loads((folder / "state.json").read_text())) == {"01_count", "02_divide"}


def test_of_two_runs_at_once_one_is_refused_and_the_other_keeps_its_records(root, stub):
    start, codes = threading.Barrier(2), []

    def execute(source, target, *_args, **_kwargs):
        shutil.copy(source, target)
        if source.stem == "01_count":
            refused.wait(20)

    def go():
        start.wait(20)
        codes.append(run.main([], root))
        if codes[-1] == 2:
            refused.set()

    refused = threading.Event()
    papermill.execute_notebook = execute  # the fixture puts the real one back
    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(codes) == [0, 2]
    assert set(records.read(root / "runs" / "cpu")[0]) == {"01_count", "02_divide"}


def test_a_killed_run_leaves_no_lock(root, stub):
    folder = root / "runs" / "cpu"
    script = (
        "import os, sys; from pathlib import Path; from epkit.runner import records\n"
        "with records.locked(Path(sys.argv[1])):\n    os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, folder], cwd=run.ROOT)
    assert killed.returncode == -9
    assert run.main([], root) == 0


@pytest.mark.parametrize("what", ["a file", "no right"])
def test_a_folder_that_cannot_be_written_is_one_sentence(root, stub, capsys, monkeypatch, what):
    if what == "a file":
        (root / "runs").write_text("")
    else:

        def refuse(path, *_args, **_kwargs):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(records.Path, "mkdir", refuse)
    assert run.main([], root) == 2
    said = capsys.readouterr()
    assert re.fullmatch(r"cannot write to .*runs/cpu \(.*\): make room .*\n", said.err)
    assert stub.ran == []


def test_interrupt_keeps_what_is_done_and_leaves_no_half_file(root, capsys, monkeypatch):
    def execute(source, target, *_args, **_kwargs):
        shutil.copy(source, target)
        if source.stem == "02_divide":
            raise KeyboardInterrupt

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    assert run.main([], root) == 130
    assert "interrupted" in capsys.readouterr().out
    folder = root / "runs" / "cpu"
    assert list(json.loads((folder / "state.json").read_text())) == ["01_count"]
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "01_count.html",
        "01_count.ipynb",
        "02_divide.html",
        "index.html",
        "state.json",
    ]


def test_list_runs_nothing(root, capsys):
    assert run.main(["--list", "-p", "label", "b"], root) == 0
    assert capsys.readouterr().out.splitlines() == [
        "01_count  n=6  label='b'",
        "02_divide  n=6  divisor=0",
    ]
    assert not (root / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "gpu"], "no profile 'gpu'; known profiles: cpu, typo"),
        (["--profile", "typo"], "unknown parameter 'm' in common"),
        (["--only", "07"], "no notebook '07'; known: 01_count, 02_divide"),
        (["--only", "01", "-p", "divisor", "2"], "unknown parameter 'divisor' in -p"),
        (["-p", "divisor", "[1, 2"], "while parsing"),
        (["-p", "n", "1e3"], "'1e3' is of type str"),
        (["-p", "n", "2024-01-01"], "-p n: datetime.date(2024, 1, 1) is a date"),
        (["-p", "n", "2024-13-01"], "-p n: month must be in 1..12"),
        (["-p", "n", "!!binary aGk="], "-p n: b'hi' is a bytes"),
        (["-p", "n", "!!set {a}"], "-p n: {'a'} is a set"),
        (["-p", "n", "{1: 2}"], "-p n: [1]: … is a dict"),
        (["-p", "n", ".nan"], "-p n: nan is a float"),
        (["-p", "label", '"\\ud800"'], "-p label: '\\ud800' is a str"),
        (["-p", "n", "!!python/object/apply:os.system [ls]"], "-p n is not YAML: could not"),
        (["-p", "n", "[" * 3_000], "-p n: nested deeper than 8"),
        (["-p", "n", "[[[[[[[[[[1]]]]]]]]]]"], "-p n: nested deeper than 8"),
        (["-p", "n", "&a [*a]"], "-p n: nested deeper than 8"),
        (["-p", "n", "1" * 10_000], "-p n: "),
    ],
)
def test_wrong_arguments_stop_before_anything_runs(root, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run.main(arguments, root)
    assert stop.value.code == 2
    said = capsys.readouterr().err.split("error: ")[1]
    assert message in said
    assert said.count("\n") == 1
    assert not (root / "runs").exists()


def test_a_notebook_without_its_parameters_cell_is_named(root, capsys):
    write_notebook(root, "02_divide", code("n = 3"))
    with pytest.raises(SystemExit):
        run.main([], root)
    assert "02_divide.ipynb: 0 cells are tagged `parameters`" in capsys.readouterr().err
