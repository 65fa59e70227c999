"""The shape of every committed notebook; whether its outputs still hold is nbval's question."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from epkit.runner import said
from epkit.runner.profiles import load_profile, parameter_defaults, resolve

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PROFILES = sorted(path.stem for path in (ROOT / "notebooks" / "profiles").glob("*.yaml"))
FIRST_CELL = (ROOT / "tests" / "first_cell.txt").read_text(encoding="utf-8")
PACKAGE_ADDRESS = re.compile(
    r"git\+|(?:github|gitlab|pypi)\.\w+/|https?://\S+\.(?:whl|zip|tar\.gz)"
)
MOST_LINES, MOST_LINES_OF_A_CELL = 250, 25
MOST_WORDS = 40
MACHINE_PATH = re.compile(r"(?<![\w/.])/(?:root|home|Users|tmp)/\w+")
NOT_COMPARED = ("NBVAL_IGNORE_OUTPUT", "NBVAL_SKIP", "nbval-ignore-output", "nbval-skip")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture
def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def all_defaults():
    return {path.stem: parameter_defaults(nbformat.read(path, 4)) for path in NOTEBOOKS}


@pytest.mark.skipif(not NOTEBOOKS, reason="there are no notebooks yet")
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_key_exists_in_a_notebook(profile):
    resolve(load_profile(ROOT, profile), all_defaults())


def test_parameter_defaults_are_the_cpu_profile(path, notebook):
    values = resolve(load_profile(ROOT, "cpu"), all_defaults())[path.stem]
    defaults = parameter_defaults(notebook)
    assert {name: defaults[name] for name in values} == values


def test_it_opens_with_a_title_and_runs_on_python3(notebook):
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.metadata.kernelspec.name == "python3"


def test_the_first_code_cell_is_the_same_everywhere(code_cells):
    assert code_cells[0].source == FIRST_CELL


def test_no_code_names_the_address_of_a_package(code_cells):
    for cell in code_cells:
        assert not PACKAGE_ADDRESS.findall(cell.source)
        assert cell.source == FIRST_CELL or not re.search(r"\bpip\b", cell.source)


def test_it_is_short_since_helpers_live_in_its_study(code_cells):
    lines = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code_cells]
    assert sum(lines) <= MOST_LINES
    assert max(lines) <= MOST_LINES_OF_A_CELL


def test_outputs_of_one_clean_run_are_committed(code_cells):
    counts = [cell.execution_count for cell in code_cells]
    assert counts == list(range(1, len(code_cells) + 1))
    outputs = [output for cell in code_cells for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


def test_a_tagged_code_cell_says_the_verdict(notebook):
    assert [cell for cell in said.tagged(notebook, "verdict") if cell.cell_type == "code"]
    assert said.verdict(notebook)


def test_the_first_cell_asks_and_answers_in_forty_words(notebook):
    assert said.question(notebook)
    badge, answer = said.stated_answer(notebook)
    assert badge in said.BADGES
    assert 5 <= len(answer.split()) <= MOST_WORDS
    assert said.tagged(notebook, "picture")


def test_the_last_code_cell_asserts_and_is_compared(code_cells):
    last = code_cells[-1]
    assert re.search(r"^\s*assert\b", last.source, re.MULTILINE)
    assert last.outputs
    assert not [mark for mark in NOT_COMPARED if mark in last.source]
    assert not set(last.metadata.get("tags", [])) & set(NOT_COMPARED)


def test_it_is_small_and_names_no_machine(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 1_000_000
    assert "injected-parameters" not in text
    assert not MACHINE_PATH.findall(text)


# Runs the first cell in a bare Python that sees the given paths. pip is a stub: it notes what it is
# asked for and puts an empty epkit where Python finds it.
BARE = """
import json, pathlib, subprocess, sys
cell, installed, *paths = sys.argv[1:]
sys.path[:0] = [*paths, installed]
asked = []
def pip(command, check):
    assert check and command[:4] == [sys.executable, "-m", "pip", "install"], command
    asked.append(command[4:])
    pathlib.Path(installed, "epkit.py").write_text("")
subprocess.run = pip
try:
    exec(compile(cell, "cell", "exec"), {})
except ModuleNotFoundError as error:
    print(json.dumps([asked, str(error), error.__suppress_context__]))
else:
    print(json.dumps([asked, sys.modules["epkit"].__file__]))
"""


@pytest.fixture
def place(tmp_path):
    """A folder `notebooks` in an empty one, and how to run the first cell there."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "installed").mkdir()

    def go(*paths, **environment):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", BARE, FIRST_CELL, tmp_path / "installed", *paths],
            cwd=tmp_path / "notebooks",
            env={**os.environ, "EPKIT_SOURCE": "", **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        *said, result = done.stdout.splitlines()
        return "\n".join(said), *json.loads(result)

    go.root = tmp_path
    return go


def make_package(folder, text=""):
    (folder / "epkit").mkdir(parents=True)
    (folder / "epkit" / "__init__.py").write_text(text)
    return folder


def test_an_installed_epkit_is_used_whatever_else_is_there(place):
    make_package(place.root)
    (place.root / "notebooks" / "epkit-1-py3-none-any.whl").write_text("")
    elsewhere = make_package(place.root / "site")
    said, asked, used = place(elsewhere, EPKIT_SOURCE="epkit")
    assert (said, asked) == ("", [])
    assert used == str(elsewhere / "epkit" / "__init__.py")


def test_in_a_checkout_the_first_cell_uses_the_checkout_and_installs_nothing(place):
    make_package(place.root)
    (place.root / "notebooks" / "epkit-1-py3-none-any.whl").write_text("")
    said, asked, used = place(EPKIT_SOURCE="epkit")
    assert (said, asked) == ("", [])
    assert used == str(place.root / "epkit" / "__init__.py")


def test_the_first_cell_installs_what_the_user_named_and_only_that(place):
    (place.root / "notebooks" / "epkit-1-py3-none-any.whl").write_text("")
    requirement = "epkit @ git+https://example.org/me/epkit; python_version > '3'"
    said, asked, _ = place(EPKIT_SOURCE=requirement)
    assert asked == [["--quiet", requirement]]
    assert said.startswith(f"installed {requirement}; ")
    assert "restart the kernel" in said


def test_the_first_cell_installs_an_uploaded_wheel_the_newest_of_several(place):
    for age, version in enumerate(("0.10.0", "0.9.0")):
        wheel = place.root / "notebooks" / f"epkit-{version}-py3-none-any.whl"
        wheel.write_text("")
        os.utime(wheel, (1_000_000 - age, 1_000_000 - age))
    (place.root / "notebooks" / "epkitten-9-py3-none-any.whl").write_text("")
    _, asked, _ = place()
    wheel = place.root / "notebooks" / "epkit-0.10.0-py3-none-any.whl"
    assert asked == [["--quiet", str(wheel)]]


def test_the_first_cell_says_in_one_sentence_what_to_do_otherwise(place):
    said, asked, error, alone = place()
    assert (said, asked, alone) == ("", [], True)
    assert error.startswith("epkit is not here: clone or upload")
    for word in ("`make wheel`", "EPKIT_SOURCE"):
        assert word in error
    assert "\n" not in error


def test_a_missing_requirement_of_epkit_is_not_taken_for_a_missing_epkit(place):
    elsewhere = make_package(place.root / "site", "import nothing_of_this_name")
    _, asked, error, _ = place(elsewhere, EPKIT_SOURCE="epkit")
    assert asked == []
    assert error == "No module named 'nothing_of_this_name'"


def test_the_first_cell_is_short_and_names_no_address():
    assert len(FIRST_CELL.splitlines()) <= 25
    assert not PACKAGE_ADDRESS.findall(FIRST_CELL)


@pytest.mark.parametrize(
    ("text", "sanitised"),
    [
        ("built in 12.3 s", "built in TIME"),
        ("3 ms, ~5 min", "TIME, TIME"),
        ("[00:12<01:02:03]", "[TIME<TIME]"),
        ("12,345 activations/s", "RATE"),
        ("12.3k tokens/s at 4/s", "RATE at RATE"),
        ("saved /var/lib/some/dict.safetensors now", "saved PATH now"),
        ("saved ~/cache/epkit/", "saved PATH"),
        ("<object at 0x7f12ab34cd56>", "<object at ADDRESS>"),
        ("0.123456 -1.2345678e-05", "FLOAT FLOAT"),
        ("<td>0.1234</td><td>0.12345</td>", "<td>0.1234</td><td>FLOAT</td>"),
        ("K 1,193 of 60,000 in 20 sets; AUROC 0.912", None),
        ("https://example.org/a/b.html and/or runs/cpu/index.html", None),
        ("<tr><td>a</td></tr> p1/p2", None),
    ],
)
def test_nbval_ignores_what_differs_between_runs_and_nothing_else(text, sanitised):
    found = get_sanitize_patterns((ROOT / "tests" / "nbval_sanitize.cfg").read_text("utf-8"))
    assert len(found) == 6
    result = text
    for pattern, replacement in found:
        result = re.sub(pattern, replacement, result)
    assert result == (text if sanitised is None else sanitised)
