"""What a notebook depends on: a small package in which each change reruns what reaches it."""

from pathlib import Path

import nbformat
import pytest
from nbformat import v4

import epkit
from epkit.runner import inputs
from epkit.runner.profiles import find_notebooks

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = {
    "__init__.py": "import importlib\nfrom kit.method import cluster\n"
    '_LATER = {"load": "kit.lm.models"}\n_MODULES = ("plots",)\n'
    "def __getattr__(name):\n    return getattr(importlib.import_module(_LATER[name]), name)\n",
    "method.py": "import json\nimport numpy as np\ndef cluster(): ...\n",
    "lm/__init__.py": "",
    "lm/models.py": "from kit.lm.table import TABLE\ndef load(): ...\n",
    "lm/table.py": 'TABLE = open("data/sources.toml")\n',
    "lm/unused.py": "",
    "lm/typed.py": "import typing\nif typing.TYPE_CHECKING:\n    import kit.page.card\n",
    "page/__init__.py": "",
    "page/card.py": "def later():\n    import kit.method\n",
    "page/assets/card.css": "p {}",
    "plots/__init__.py": "from kit.plots.growth import plot\n",
    "plots/growth.py": "def plot(): ...\n",
    "studies/__init__.py": "",
    "studies/ood/__init__.py": "",
    "studies/ood/scores.py": "from kit.studies.ood import plots\n",
    "studies/ood/plots.py": "",
    "studies/refusal/__init__.py": "",
    "studies/refusal/plots.py": "",
    "broken.py": "def (",
}
ALWAYS = {"kit", "kit.method"}
MODELS = {"kit.lm", "kit.lm.models", "kit.lm.table"}
OOD = {"kit.studies", "kit.studies.ood", "kit.studies.ood.plots"}


@pytest.fixture
def package(tmp_path):
    for name, text in PACKAGE.items():
        path = tmp_path / "kit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in ("sources.toml", "results/table.csv", "cache/blob"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    return tmp_path / "kit"


def notebook(folder, *sources):
    path = folder / "01_a.ipynb"
    cells = [v4.new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


@pytest.mark.parametrize(
    ("source", "reached"),
    [
        ("import kit", ALWAYS),
        ("import kit\nkit.cluster()", ALWAYS),
        ("import kit\nkit.load('m')", ALWAYS | MODELS),
        ("import kit as k\nf = lambda: k.load('m').x.y", ALWAYS | MODELS),
        ("from kit import load", ALWAYS | MODELS),
        ("%matplotlib inline\n!ls\nimport kit.lm.unused", ALWAYS | {"kit.lm", "kit.lm.unused"}),
        ("from kit import plots\nplots.plot()", ALWAYS | {"kit.plots", "kit.plots.growth"}),
        ("import kit\nkit.plots.growth.plot", ALWAYS | {"kit.plots", "kit.plots.growth"}),
        ("import kit.page as p\np.card.later()", ALWAYS | {"kit.page", "kit.page.card"}),
        ("from kit.lm import typed", ALWAYS | {"kit.lm", "kit.lm.typed"}),
        ("from kit.studies.ood import plots", ALWAYS | OOD),
        ("from kit.studies.ood.scores import x", ALWAYS | OOD | {"kit.studies.ood.scores"}),
        ("import os, json\nx = os.path.join", set()),
    ],
)
def test_imports_are_followed_to_the_modules_they_reach(package, source, reached):
    assert inputs.follow([source], package).modules == reached


@pytest.mark.parametrize(
    "source",
    [
        "import kit\nkit.nonsense()",
        "import kit\ngetattr(kit, name)",
        "from kit import *",
        "from kit import nonsense",
        "from kit.nowhere import x",
        "import kit.nowhere",
        "from . import x",
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module as get\nget(name)",
        "__import__(name)",
        "from kit import broken",
        "def (",
    ],
)
def test_what_cannot_be_followed_counts_as_all_but_the_studies(package, source):
    found = inputs.follow([source], package).modules
    known = set(inputs.modules(package))
    assert found == {name for name in known if not name.startswith("kit.studies")}


def test_cells_share_their_names(package):
    found = inputs.follow(["def f():\n    return kit.load", "import kit"], package)
    assert found.modules == ALWAYS | MODELS


@pytest.mark.parametrize(
    ("changed", "reruns"),
    [
        ("kit/method.py", {"plain", "ood", "card"}),
        ("kit/studies/ood/plots.py", {"ood"}),
        ("kit/studies/refusal/plots.py", set()),
        ("kit/lm/unused.py", set()),
        ("kit/page/assets/card.css", {"card"}),
        ("kit/page/assets/new.js", {"card"}),
        ("kit/page/__pycache__/card.pyc", set()),
        ("data/sources.toml", {"plain"}),
        ("data/results/table.csv", {"ood"}),
        ("data/cache/blob", set()),
    ],
)
def test_a_change_reruns_the_notebooks_that_reach_it_and_no_others(
    package, tmp_path, changed, reruns
):
    sources = {
        "plain": "import kit\nkit.load()",
        "ood": "from kit.studies.ood import plots\nopen(f'../data/results/{name}.csv')",
        "card": "import kit.page.card",
    }

    def digests():
        found = {}
        for name, source in sources.items():
            found[name] = inputs.fingerprint(notebook(tmp_path, source), {"n": 1}, package)
        return found

    before = digests()
    path = tmp_path / changed
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "\n# a comment")
    after = digests()
    assert {name for name in sources if before[name] != after[name]} == reruns


def test_cells_and_parameters_count_and_outputs_do_not(package, tmp_path):
    first = inputs.fingerprint(notebook(tmp_path, "x = 1"), {"n": 3, "m": 1}, package)
    path = notebook(tmp_path, "x = 1")
    executed = nbformat.read(path, 4)
    executed.cells[0].outputs = [v4.new_output("stream", text="1")]
    nbformat.write(executed, path)
    assert inputs.fingerprint(path, {"m": 1, "n": 3}, package) == first
    assert inputs.fingerprint(path, {"n": 4, "m": 1}, package) != first
    assert inputs.fingerprint(notebook(tmp_path, "x = 2"), {"n": 3, "m": 1}, package) != first


def test_an_upgrade_of_an_imported_package_counts_and_of_another_does_not(
    package, tmp_path, monkeypatch
):
    path = notebook(tmp_path, "import kit")
    first = inputs.fingerprint(path, {}, package)
    version = inputs.importlib.metadata.version
    for upgraded, same in (("pandas", True), ("numpy", False)):
        monkeypatch.setattr(
            inputs.importlib.metadata,
            "version",
            lambda name, upgraded=upgraded: "99" if name == upgraded else version(name),
        )
        assert (inputs.fingerprint(path, {}, package) == first) == same


def test_every_public_name_of_epkit_is_followed_to_its_module():
    # One unknown name would bring everything, the runner too.
    names = "\n".join(f"epkit.{name}" for name in epkit.__all__)
    found = inputs.follow([f"import epkit\n{names}"]).modules
    assert {"epkit.lm.models", "epkit.inspect.explorer", "epkit.matching", "epkit.plots"} <= found
    assert "epkit.run" not in found
    assert "epkit.run" in inputs.follow(["import epkit\nepkit.nonsense"]).modules


def test_each_study_is_reached_by_its_own_notebooks_alone():
    reached = {}
    for path in find_notebooks(ROOT):
        cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        found = inputs.follow(cells).modules
        assert "epkit.clustering" in found
        reached[path.stem] = {name.split(".")[2] for name in found if name.count(".") > 1}
        reached[path.stem] &= {path.name for path in (ROOT / "epkit" / "studies").iterdir()}
    assert "refusal" in reached["04_refusal"]
    assert reached["01_build"] == {"building"}
    assert all(len(studies) <= 3 for studies in reached.values())
