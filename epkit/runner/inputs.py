"""What the result of a notebook depends on, as one digest.

1. Its cells, without outputs, and its parameters.
2. The modules of `epkit` that its imports reach, as bytes. Imports are followed in the source text,
   lazy names of the package (`_LATER`, `_MODULES`) included; nothing is imported.
3. The data files in the folders of those modules, and those of the checkout's `data` that the
   notebook or such a module names.
4. The versions of Python and of the packages that these cells and modules import.

Where an import cannot be followed (an unknown name of the package, a computed module name), every
module outside `studies` counts: a notebook too many is run rather than one too few.

Does not know: what a module does, how a notebook is run, the results of other notebooks.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

PACKAGE = Path(__file__).resolve().parents[1]


def fingerprint(path: Path, parameters: Mapping[str, Any], package: Path = PACKAGE) -> str:
    """Hex digest of all that decides what the notebook at `path` gives with `parameters`.

    Parameters
    ----------
    path : a notebook.
    parameters : values that JSON can hold.
    package : the folder of the package that the notebook imports.
    """
    notebook = nbformat.read(path, as_version=4)
    cells = [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in notebook.cells]
    found = follow([cell.source for cell in notebook.cells if cell.cell_type == "code"], package)
    inputs = {
        "cells": cells,
        "parameters": dict(parameters),
        "files": {
            file.relative_to(package.parent).as_posix(): hashlib.sha256(
                file.read_bytes()
            ).hexdigest()
            for file in files_of(found, package)
        },
        "versions": versions(found.foreign),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


@dataclass
class Reached:
    """What some source text reaches."""

    modules: set[str] = field(default_factory=set)  # of the package, dotted
    foreign: set[str] = field(default_factory=set)  # top names of other packages
    words: set[str] = field(default_factory=set)  # of its texts, cut at every slash


def follow(cells: Iterable[str], package: Path = PACKAGE) -> Reached:
    """What code cells reach in `package`, directly and through its modules."""
    known = modules(package)
    total = Reached()
    # One text, since cells share their names: `import epkit` stands in the first alone.
    text = "\n".join(TransformerManager().transform_cell(source) for source in cells)
    _Reader(package.name, known).read(text, total)
    done: set[str] = set()
    while waiting := sorted(total.modules - done):
        for name in waiting:
            done.add(name)
            _Reader(package.name, known, inside=name).read(known[name].read_bytes(), total)
    return total


def modules(package: Path) -> dict[str, Path]:
    """Dotted name → file of every module of a package folder."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def files_of(found: Reached, package: Path) -> list[Path]:
    """The files behind what was found: modules, their folders' data, data named by the sources."""
    known = modules(package)
    reached = {known[name] for name in found.modules}
    folders = {path.parent for path in reached}
    for path in package.rglob("*"):
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts:
            home = next(up for up in path.parents if up == package or (up / "__init__.py").exists())
            if home in folders:
                reached.add(path)
    data = package.parent / "data"
    for path in data.rglob("*"):
        parts = path.relative_to(data).parts
        if path.is_file() and parts[0] != "cache" and found.words.intersection(parts):
            reached.add(path)
    return sorted(reached)


def versions(names: Iterable[str]) -> dict[str, str]:
    """Distribution → version of the installed packages of these top names, and Python's."""
    found = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for name in names:
        for owner in _distributions().get(name, []):
            found[owner] = importlib.metadata.version(owner)
    return found


@functools.lru_cache(1)
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


class _Reader:
    """Reads one source text and notes what it reaches.

    root : the package's name; known : its modules; inside : the module being read, if it is one.
    """

    def __init__(self, root: str, known: Mapping[str, Path], inside: str = "") -> None:
        self.root, self.known, self.inside = root, known, inside
        self.lazy, self.eager = _names_of(known[root])
        self.bound: dict[str, str] = {}  # name in the text → module of the package

    def read(self, source: str | bytes, found: Reached) -> None:
        """Note in `found` what a source text reaches."""
        try:
            nodes = list(_nodes(ast.parse(source)))
        except (SyntaxError, ValueError, RecursionError):
            self._everything(found)
            return
        for node in nodes:
            if isinstance(node, ast.Import):
                self._import(node, found)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node, found)
        owners = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.Attribute):
                self._chain(node, found)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.words.update(node.value.split("/"))
            bare = isinstance(node, ast.Name) and id(node) not in owners
            # The package itself handed on, as in getattr(epkit, name).
            if bare and self.bound.get(node.id) == self.root:
                self._everything(found)
            # The package's own lazy names are followed one by one instead.
            if _name(node) in ("import_module", "__import__") and self.inside != self.root:
                self._everything(found)

    def _import(self, node: ast.Import, found: Reached) -> None:
        for alias in node.names:
            top = alias.name.split(".")[0]
            if top != self.root:
                found.foreign.add(top)
                continue
            self._reach(alias.name, found)
            self.bound[alias.asname or top] = alias.name if alias.asname else top

    def _import_from(self, node: ast.ImportFrom, found: Reached) -> None:
        top = (node.module or "").split(".")[0]
        if node.level == 0 and top != self.root:
            found.foreign.add(top)
            return
        if node.level or node.module not in self.known:
            self._everything(found)
            return
        for alias in node.names:
            self._reach(node.module, found)
            inner = self._attribute(node.module, alias.name, found)
            if inner:
                self.bound[alias.asname or alias.name] = inner

    def _chain(self, node: ast.Attribute, found: Reached) -> None:
        """Follow `epkit.a.b` as far as it names modules."""
        names = _dotted(node)
        module = self.bound.get(names[0]) if names else None
        for name in names[1:]:
            if module:
                module = self._attribute(module, name, found)

    def _attribute(self, module: str, name: str, found: Reached) -> str | None:
        """Note what a name of a module reaches; the module that it is, if it is one."""
        inner = f"{module}.{name}"
        if inner in self.known:
            self._reach(inner, found)
            return inner
        if module == self.root and name in self.lazy:
            self._reach(self.lazy[name], found)
        elif module == self.root and name not in self.eager and not name.startswith("__"):
            self._everything(found)
        return None

    def _reach(self, module: str, found: Reached) -> None:
        """Note a module and the packages around it, which Python runs first."""
        parts = module.split(".")
        if module not in self.known:
            self._everything(found)
        names = (".".join(parts[: i + 1]) for i in range(len(parts)))
        found.modules.update(name for name in names if name in self.known)

    def _everything(self, found: Reached) -> None:
        studies = f"{self.root}.studies"
        found.modules.update(name for name in self.known if not name.startswith(studies))


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node below `tree`, but for what stands under `if TYPE_CHECKING`: it is never run."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from _nodes(other)
            continue
        yield child
        yield from _nodes(child)


def _name(node: ast.AST) -> str:
    """The name that a node stands for, the last part of a dotted one; empty for other nodes."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            return name
    return ""


def _dotted(node: ast.expr) -> list[str]:
    """["a", "b", "c"] of the expression `a.b.c`; empty for any other expression."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


def _names_of(path: Path) -> tuple[dict[str, str], set[str]]:
    """The package's lazy names with their modules, and the names that it has at once."""
    lazy: dict[str, str] = {}
    eager: set[str] = set()
    for node in ast.parse(path.read_bytes()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="_LATER")], value=value):
                lazy |= ast.literal_eval(value)
            case ast.Import() | ast.ImportFrom():
                eager |= {alias.asname or alias.name for alias in node.names}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                eager.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                eager.add(name)
    return lazy, eager
