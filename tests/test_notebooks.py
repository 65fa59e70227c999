"""The shape of every committed notebook; whether its outputs still hold is nbval's question."""

import re
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from epkit.runner import pages
from epkit.runner.profiles import load_profile, parameter_defaults, resolve

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PROFILES = sorted(path.stem for path in (ROOT / "notebooks" / "profiles").glob("*.yaml"))
REPOSITORY = "https://github.com/epkit/epkit"
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


def test_the_first_code_cell_installs_epkit_where_it_is_missing(notebook, code_cells):
    assert "pip install" in code_cells[0].source
    assert f"git+{REPOSITORY}" in code_cells[0].source
    assert sum(cell.source.count(REPOSITORY) for cell in notebook.cells) == 1


def test_outputs_of_one_clean_run_are_committed(code_cells):
    counts = [cell.execution_count for cell in code_cells]
    assert counts == list(range(1, len(code_cells) + 1))
    outputs = [output for cell in code_cells for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


def test_a_tagged_code_cell_says_the_verdict(notebook):
    assert [cell for cell in pages.tagged(notebook, "verdict") if cell.cell_type == "code"]
    assert pages.verdict(notebook)


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
