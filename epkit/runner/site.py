"""The executed notebooks, the API reference and the glossary as static pages: `make site`.

`python -m epkit.runner.site [FOLDER]` writes them to a folder that opens in a browser without a
network: `index.html` with a card for every notebook, the pages of their stored outputs, `api/`
(made by pdoc from the docstrings) and `glossary.html`. What is written anew each time: everything.

Does not know: results of runs on this machine (`runner.results` shows those).
"""

from __future__ import annotations

import argparse
import pkgutil
import sys
import warnings
from pathlib import Path

import epkit
from epkit.runner import results
from epkit.runner.frame import around, write_framed
from epkit.runner.index import write_index
from epkit.runner.profiles import find_notebooks
from epkit.runner.said import shown_markdown

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = Path("notebooks", "glossary.md")
NOT_SHOWN = ("epkit.studies", "epkit.runner")
"""Packages that serve the notebooks of this repository alone."""


def write_site(root: Path, folder: Path) -> Path:
    """Write the site of the checkout `root` into `folder`; the path of its first page.

    Raises ModuleNotFoundError where pdoc, which makes the reference, is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_reference(folder / "api")
    notebooks = find_notebooks(root)
    cards = []
    for source in notebooks:
        results.write_result_page(folder, notebooks, source)
        cards.append(results.card(folder, source, None))
    text = (root / GLOSSARY).read_text(encoding="utf-8")
    back = around({"All notebooks": "index.html"})
    write_framed(folder / "glossary.html", "Glossary", back + shown_markdown(text))
    index = folder / "index.html"
    links = {"API reference": "api/epkit.html", "Glossary": "glossary.html"}
    told = "Executed notebooks of epkit, with their stored outputs."
    write_index(index, "Exemplar Partitioning", told, cards, links)
    return index


def _write_reference(folder: Path) -> None:
    try:
        import pdoc
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            "the reference is made by pdoc: pip install 'epkit[site]', or use `make site`",
            name="pdoc",
        ) from missing
    pdoc.render.configure(docformat="numpy", show_source=False)
    with warnings.catch_warnings():  # a package that shows its modules names them twice
        warnings.filterwarnings("ignore", "The module specification .* already been added")
        pdoc.pdoc(*reference_modules(), output_directory=folder)


def reference_modules() -> list[str]:
    """The modules that the reference shows."""
    found = ["epkit"]
    for module in pkgutil.walk_packages(epkit.__path__, "epkit."):
        hidden = module.name.startswith(NOT_SHOWN) or module.name.rpartition(".")[2].startswith("_")
        if not hidden:
            found.append(module.name)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Write the site; 2 where pdoc is missing."""
    ask = argparse.ArgumentParser(prog="python -m epkit.runner.site", description=__doc__)
    ask.add_argument("folder", nargs="?", type=Path, default=ROOT / "site")
    try:
        print(write_site(ROOT, ask.parse_args(arguments).folder))
    except ModuleNotFoundError as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
