"""The pages of a folder of runs: what was run, and the stored outputs of what was not.

Does not know: how a notebook is run.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from epkit.runner import pages, said
from epkit.runner.index import NotebookCard
from epkit.runner.index import write_index as write_cards
from epkit.runner.profiles import parameter_defaults


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def result_path(folder: Path, stem: str, status: str) -> Path:
    """Where a notebook that ended with this status is kept."""
    return folder / (f"{stem}.ipynb" if status == "done" else f"{stem}.failed.ipynb")


def read_notebook(path: Path) -> nbformat.NotebookNode | None:
    """A notebook; None where there is none, or half of one that a full disk has left."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, AttributeError):
        return None


def write_index(folder: Path, notebooks: Sequence[Path], state: Mapping[str, Any]) -> None:
    """Write `index.html` over all notebooks: those run from their record, others as stored."""
    cards = [card(folder, source, state.get(source.stem)) for source in notebooks]
    done = sum(one.status == "done" for one in cards)
    told = f"Profile {folder.name}: {done} of {len(cards)} notebooks run here."
    if stored := sum(one.status == "stored" for one in cards):
        told += f" The other pages show stored outputs of profile cpu ({stored})."
    write_cards(folder / "index.html", "Exemplar Partitioning, executed", told, cards)


def card(folder: Path, source: Path, record: Mapping[str, Any] | None) -> NotebookCard:
    """The card of one notebook: what came of it, and the good result of an earlier run.

    Without a record it is the card of the notebook's stored outputs.
    """
    page, links = folder / f"{source.stem}.html", pages.own_pages(folder, source.stem)
    executed = result_path(folder, source.stem, record["status"]) if record else source
    notebook, first = read_notebook(executed), read_notebook(source)
    if record and record["status"] == "failed":
        if page.exists():
            earlier = result_path(folder, source.stem, "done").exists()
            links["the earlier result" if earlier else "the stored result"] = page.name
        page = executed.with_suffix(".html")
    shown = notebook or first
    told = {"verdict": said.verdict(notebook) if notebook else ""}
    if record and record["status"] == "failed":
        told = {"answer": html.escape(record["error"]), "verdict": ""}
    elif notebook and _as_stored(notebook):
        told["badge"], told["answer"] = said.stated_answer(notebook)
    elif notebook:
        told["answer"] = html.escape(said.opening(notebook))
    return NotebookCard(
        title=said.title(shown, source.stem) if shown else source.stem,
        status=record["status"] if record else "stored",
        time=clock(record["seconds"]) if record else "",
        page=page.name if page.exists() else None,
        picture=(notebook and said.picture(notebook)) or (first and said.picture(first)),
        question=said.question(shown) if shown else "",
        links=links,
        **told,
    )


def _as_stored(notebook: nbformat.NotebookNode) -> bool:
    """Whether a notebook ran with its own defaults, those of its typed answer."""
    given = notebook.metadata.get("papermill", {}).get("parameters", {})
    try:
        defaults = parameter_defaults(notebook)
    except ValueError:
        return False
    return all(defaults.get(name) == value for name, value in given.items())


def write_result_page(
    folder: Path, notebooks: Sequence[Path], executed: Path, only_old: bool = False
) -> None:
    """The page of a notebook in `folder`, with the way to those before and after it.

    No page is written of what is no notebook, nor, with `only_old`, where the page is newer.
    """
    page = folder / executed.with_suffix(".html").name
    newer = page.exists() and page.stat().st_mtime >= executed.stat().st_mtime
    if (only_old and newer) or (notebook := read_notebook(executed)) is None:
        return
    stems = [path.stem for path in notebooks]
    stem = executed.stem.removesuffix(".failed")
    others = {}
    if stem in stems:
        place = stems.index(stem)
        if place > 0:
            others[f"‹ {stems[place - 1]}"] = f"{stems[place - 1]}.html"
        if place + 1 < len(stems):
            others[f"{stems[place + 1]} ›"] = f"{stems[place + 1]}.html"
    pages.write_page(executed, page, others, _as_stored(notebook))


def write_stored(folder: Path, notebooks: Sequence[Path], state: Mapping[str, Any]) -> None:
    """Pages of the stored outputs of notebooks that were not run into `folder`, where missing."""
    for source in notebooks:
        if source.stem not in state:
            write_result_page(folder, notebooks, source, only_old=True)
