"""The runner, on two tiny notebooks that papermill really executes."""

import json
import re
import shutil

import nbformat
import papermill
import pytest
from nbformat import v4

from epkit import run

FETCHED = re.compile(r"<(?:script|link|iframe)\b[^>]*(?:src|href)\s*=", re.IGNORECASE)


def code(source, *tags):
    return v4.new_code_cell(source, metadata={"tags": list(tags)})


def write_notebook(root, stem, *cells):
    notebook = v4.new_notebook(cells=list(cells))
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    for i, cell in enumerate(notebook.cells):
        cell.id = f"{stem}-{i}"
    nbformat.write(notebook, root / "notebooks" / f"{stem}.ipynb")


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
    assert "2 of 2 notebooks done" in index
    assert "1.5" in index
    assert not list(folder.glob(".*"))


def test_only_fresh_and_a_changed_source_decide_what_runs(root, capsys):
    assert run.main(["--only", "01"], root) == 0
    assert "02_divide" not in capsys.readouterr().out
    index = (root / "runs" / "cpu" / "index.html").read_text(encoding="utf-8")
    assert '<td>Dividing</td><td class="not-run">not run</td>' in index

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
    assert names == ["01_count.html", "01_count.ipynb", "index.html", "state.json"]


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
    ],
)
def test_wrong_arguments_stop_before_anything_runs(root, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run.main(arguments, root)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not (root / "runs").exists()


def test_a_notebook_without_its_parameters_cell_is_named(root, capsys):
    write_notebook(root, "02_divide", code("n = 3"))
    with pytest.raises(SystemExit):
        run.main([], root)
    assert "02_divide.ipynb: 0 cells are tagged `parameters`" in capsys.readouterr().err


def test_inputs_change_with_parameters_and_not_with_outputs(root):
    path = root / "notebooks" / "01_count.ipynb"
    first = run.fingerprint(run.Job(path, {"n": 3}))
    assert first == run.fingerprint(run.Job(path, {"n": 3}))
    assert first != run.fingerprint(run.Job(path, {"n": 4}))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (62, "1:02"), (3723, "1:02:03")]
)
def test_clock(seconds, text):
    assert run.clock(seconds) == text
