"""The notebooks' parameters: defaults in each notebook, values in a profile, overrides on top.

A profile (`notebooks/profiles/<name>.yaml`) maps `common` and notebook names to parameters. Only
names that a notebook's own parameters cell has may appear, with values of the default's type. A
value is what JSON can hold: a number, text, true, false or null, or lists and mappings of them.

The parameters cell is parsed here, not by `papermill.inspect_notebook`: that one reads line by line
with a pattern, cuts `"a # b"` at the sign, passes over `"a = b"` and refuses nothing.

Does not know: what a parameter means. Runs nothing.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from nbformat import NotebookNode

from epkit.runner import said

DEEPEST = 8
MOST_VALUES = 10_000


def find_notebooks(root: Path) -> list[Path]:
    """The numbered notebooks of a source checkout, in order; FileNotFoundError if none."""
    found = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise FileNotFoundError(
            f"no numbered notebooks in {root / 'notebooks'}: run this from a source checkout"
        )
    return found


def parameter_defaults(notebook: NotebookNode) -> dict[str, Any]:
    """Name → default of the one cell tagged `parameters`; ValueError unless plain assignments."""
    cells = said.tagged(notebook, "parameters")
    if len(cells) != 1:
        raise ValueError(f"{len(cells)} cells are tagged `parameters`; exactly one is needed")
    defaults: dict[str, Any] = {}
    try:
        body = ast.parse(cells[0].source).body
    except SyntaxError as problem:
        raise ValueError(f"the parameters cell is not plain Python: {problem}") from None
    for node in body:
        line = ast.unparse(node)
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                defaults[name] = _literal(node.value, line)
            case _:
                raise ValueError(
                    f"the parameters cell may only hold `name = literal`, not `{line}`"
                )
    return defaults


def _literal(node: ast.expr | None, line: str) -> Any:
    """The value of a number, string, list, dictionary, True, False or None; tuples as lists."""
    try:
        return plain(ast.literal_eval(node), line)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"the parameters cell has no plain literal in `{line}`") from error


def plain(value: Any, where: str) -> Any:
    """`value`, tuples as lists, if it is what JSON can hold; ValueError names `where` and why not.

    Numbers are finite and texts can be encoded; nesting and number of values have limits, since a
    few lines of YAML can stand for billions of values.
    """
    left = MOST_VALUES

    def walk(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise ValueError(
                f"{where}: nested deeper than {DEEPEST} or over {MOST_VALUES:,} values"
            )
        match value:
            case list() | tuple():
                return [walk(item, depth + 1) for item in value]
            case dict() if all(type(name) is str for name in value):
                return {walk(name, depth): walk(item, depth + 1) for name, item in value.items()}
            case str() if _encodable(value):
                return value
            case float() if math.isfinite(value):
                return value
            case bool() | int() | None:
                return value
        raise ValueError(
            f"{where}: {_shown(value)} is a {type(value).__name__} that JSON cannot hold; give a "
            "finite number, a text, true, false, null, or lists and mappings (by texts) of them"
        )

    return walk(value, 0)


def parse(text: str, where: str) -> Any:
    """The plain value that a YAML text stands for; ValueError, in one sentence, if none."""
    try:
        return plain(yaml.safe_load(text), where)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{where} is not YAML: {said[:200]}") from error
    except RecursionError as error:
        raise ValueError(f"{where}: nested deeper than {DEEPEST}") from error
    except ValueError as error:  # such as the date 2026-13-01, which YAML's own parser makes
        said = str(error)
        raise ValueError(said if said.startswith(where) else f"{where}: {said}") from error


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, dict) else f"{list(value)[:3]!r}: …"
    return text if len(text) <= 60 else text[:57] + "…"


def load_profile(root: Path, name: str) -> dict[str, dict[str, Any]]:
    """Section → parameters of the profile `name`; ValueError names the known profiles."""
    folder = root / "notebooks" / "profiles"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ValueError(f"no profile {name!r}; known profiles: {', '.join(known) or 'none'}")
    try:
        text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"profile {name} is not UTF-8 text: {error}") from error
    profile = parse(text, f"profile {name}")
    profile = {} if profile is None else profile
    if not isinstance(profile, dict):
        raise ValueError(f"profile {name} must map `common` and notebook names to parameters")
    for section, values in profile.items():
        if not isinstance(values, dict):
            raise ValueError(f"section {section!r} of profile {name} must map names to values")
    return profile


def resolve(
    profile: Mapping[str, Mapping[str, Any]],
    defaults: Mapping[str, Mapping[str, Any]],
    overrides: Mapping[str, Any] | None = None,
    selected: Sequence[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """The parameters of each selected notebook: profile's common, then its section, then overrides.

    `defaults` maps each notebook's stem to the names and defaults of its parameters cell. Raises
    ValueError on a section, name or type that the notebooks do not have.
    """
    selected = list(defaults) if selected is None else selected
    overrides = overrides or {}
    for section, values in profile.items():
        if section not in (*defaults, "common"):
            raise ValueError(f"the profile has a section {section!r}, but no such notebook exists")
        owners = list(defaults) if section == "common" else [section]
        _require_known(values, {name for stem in owners for name in defaults[stem]}, section)
    _require_known(overrides, {name for stem in selected for name in defaults[stem]}, "-p")
    resolved = {}
    for stem in selected:
        merged = {**profile.get("common", {}), **profile.get(stem, {}), **overrides}
        resolved[stem] = {name: merged[name] for name in defaults[stem] if name in merged}
        for name, value in resolved[stem].items():
            _require_type(stem, name, value, defaults[stem][name])
    return resolved


def _require_known(values: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ValueError(
            f"unknown parameter {unknown[0]!r} in {where}: no notebook there has it; "
            f"known: {', '.join(sorted(known))}"
        )


def _require_type(stem: str, name: str, value: Any, default: Any) -> None:
    if value is None or default is None or (type(value) is int and isinstance(default, float)):
        return
    if type(value) is not type(default):
        raise ValueError(
            f"parameter {name!r} of {stem} is of type {type(default).__name__} "
            f"(default {default!r}), but {value!r} is of type {type(value).__name__}"
        )
