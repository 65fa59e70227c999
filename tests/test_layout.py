"""The rules of the house: who may import whom, no circle, a light `import epkit`."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import epkit

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "epkit"

METHOD = {"geometry", "calibration", "clustering", "dictionary", "partition"}
TENSORS = {"members", "readouts", "interventions", "matching", "controls", "stats"}
TENSORS |= {"files", "checks", "soundness", "blocks", "sums"}


def modules():
    """{dotted name below epkit: path} of every module."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__") if name != "__init__" else ""] = path
    return found


def imports(path, known, *, deferred=True):
    """Modules of epkit that a file imports, `TYPE_CHECKING` blocks left out.

    deferred : count imports inside functions as well.
    """
    found = set()

    def visit(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not deferred:
                continue
            if isinstance(child, ast.Import):
                found.update(a.name.removeprefix("epkit.") for a in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: relative import"
                if child.module and child.module.split(".")[0] == "epkit":
                    base = child.module.removeprefix("epkit").removeprefix(".")
                    for alias in child.names:
                        inner = f"{base}.{alias.name}".strip(".")
                        found.add(inner if inner in known else base)
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found & set(known)


def graph(**options):
    known = modules()
    return {name: imports(path, known, **options) - {name} for name, path in known.items()}


def room(name):
    return name.split(".")[0]


def test_no_circle_of_imports():
    # A package's __init__ only collects what its modules define.
    try:
        list(TopologicalSorter(graph()).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


def test_nobody_imports_a_study_and_studies_leave_each_other_alone():
    for name, found in graph().items():
        for other in found:
            if room(other) == "studies" and other != "studies":
                assert room(name) == "studies", f"{name} imports {other}"
                assert name.split(".")[:2] == other.split(".")[:2], f"{name} imports {other}"


def test_the_method_and_the_tensor_modules_know_nothing_to_their_right():
    below = METHOD | TENSORS
    for name, found in graph().items():
        if room(name) in below:
            assert {room(other) for other in found} <= below, f"{name} imports {sorted(found)}"


def test_lm_knows_no_dictionary_consumer():
    above = {"inspect", "plots", "studies", "share", "scale", "runner", "run", "benchmark"}
    for name, found in graph().items():
        if room(name) == "lm":
            assert not {room(other) for other in found} & above, f"{name} imports {sorted(found)}"


SHARED = {"main", "write_index", "build"}
"""Public names that may still stand for two things."""


def test_a_public_name_is_one_thing():
    places = {}
    for name, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not {name: found for name, found in twice.items() if name not in SHARED}


def test_few_modules_outside_the_subfolders():
    assert len(list(PACKAGE.glob("*.py"))) <= 24


def test_import_epkit_loads_torch_and_numpy_and_no_model_library():
    heavy = "ray transformers nnsight ipywidgets IPython datasets scipy sklearn pandas matplotlib"
    script = f"import sys, epkit; print([m for m in {heavy.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", epkit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(epkit, name) is not None
    assert name in dir(epkit)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        epkit.nonsense  # noqa: B018


@pytest.mark.parametrize("first", ["epkit.build", "epkit.lm.generate", "epkit.partition"])
def test_functions_keep_their_names_whatever_is_imported_first(first):
    if first.removeprefix("epkit.") not in modules():
        pytest.skip("no such module")
    name = first.rsplit(".")[-1]
    script = f"import {first}, epkit; print(callable(epkit.{name}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "True", done.stderr
