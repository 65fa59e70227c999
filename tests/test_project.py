"""The project's own files agree: requirements, environment, commands, declared imports."""

import ast
import re
import stat
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from epkit.runner.profiles import load_profile

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"pytorch": "torch"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def normalise(name):
    name = re.sub(r"[-_.]+", "-", name).lower()
    return CONDA_NAMES.get(name, name)


def requirements(lines):
    """Normalised name → set of version conditions."""
    split = (re.fullmatch(r"([\w.-]+?)\s*([<>=!~].*)?", line) for line in lines)
    return {normalise(m[1]): set(filter(None, (m[2] or "").split(","))) for m in split}


def test_conda_environment_has_the_same_requirements(project):
    wanted = requirements([*project["dependencies"], f"python{project['requires-python']}"])
    for extra in project["optional-dependencies"].values():
        wanted |= requirements(extra)
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [line for line in environment["dependencies"] if isinstance(line, str)]
    (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
    assert pip[-1] == "-e ."
    found = requirements([*conda, *pip[:-1]])
    assert found.pop("pip") == set()
    assert found == wanted


def test_each_requirement_is_justified_in_its_line():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = re.findall(r'^    "[^"]+",.*$', text, re.MULTILINE)
    assert len(lines) > 20
    assert [line for line in lines if not re.search(r"#.*\w{3}", line)] == []


def test_torch_and_numpy_are_not_capped(project):
    found = requirements(project["dependencies"])
    for name in ("torch", "numpy"):
        assert not [condition for condition in found[name] if condition[0] in "<=~"]


def test_every_import_of_the_package_is_a_declared_requirement(project):
    declared = set(requirements(project["dependencies"]))
    for extra in ("plot3d", "scale", "site"):
        declared |= set(requirements(project["optional-dependencies"][extra]))
    distributions = packages_distributions()
    undeclared = {}
    for path in sorted((ROOT / "epkit").rglob("*.py")):
        for name in imported(path) - {"epkit"}:
            owners = {normalise(owner) for owner in distributions.get(name, [name])}
            if not owners & declared:
                undeclared[path.name] = name
    assert undeclared == {}


def imported(path):
    """Top-level names of the modules that a source file imports, without the standard library's."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names)


def test_continuous_integration_runs_the_readme_test_command():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    lines = script.read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in lines
    assert lines[-1] == "make test"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^make run\b", readme, re.MULTILINE)
    assert re.search(r"^make test\b", readme, re.MULTILINE)


def test_every_command_of_the_makefile_is_in_its_help_and_in_the_readme():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in set(phony.split()) - {"help"}:
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name
        assert re.search(rf'^\t@echo "make {name}\s', makefile, re.MULTILINE), name
        assert f"make {name}" in readme, name


def test_unit_tests_are_the_quick_ones_and_no_notebooks():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    quick = r"^unit: .+\n\t\$\(PY\) -m pytest -m \"not slow\" tests\n\n"
    assert re.search(quick, makefile, re.MULTILINE)
    whole = (
        r"^test: .+\n\t.*\$\(PY\) -m pytest \$\(NBVAL\) .* \$\(FIRST\) tests \$\(NOTEBOOKS\)\n\n"
    )
    assert re.search(whole, makefile, re.MULTILINE)
    assert "FIRST = notebooks/01_build.ipynb\n" in makefile
    assert "NOTEBOOKS = $(filter-out $(FIRST),$(sort $(wildcard notebooks/" in makefile


def test_a_run_installs_nothing_that_only_tests_need():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^READY = (\S+)$", makefile, re.MULTILINE)
    targets = dict(re.findall(r"^(\S+): (\$\(\w+\))$", makefile, re.MULTILINE))
    assert {name for name, needs in targets.items() if needs == "$(READY)"} == {
        "run", "all", "site", "wheel", "$(TESTABLE)"
    }  # fmt: skip
    assert {name for name, needs in targets.items() if needs == "$(TESTABLE)"} == {
        "test", "unit", "check"
    }  # fmt: skip
    installs = re.findall(r'-e "\.\[(\S+)\]"', makefile)
    assert installs == ["site,plot3d", "plot3d", "test,plot3d"]


def test_security_names_no_address():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    assert not re.findall(r"https?://|\S+@\S+\.\w", text)


def test_readme_lists_the_notebooks_that_exist_and_no_others():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"notebooks/(\d\d_\w+)\.ipynb", readme))
    assert listed == {path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}


@pytest.mark.parametrize("name", sorted(p.stem for p in ROOT.glob("notebooks/profiles/*.yaml")))
def test_every_profile_loads(name):
    assert "common" in load_profile(ROOT, name)
