"""An executed notebook as a plain web page, result first.

Above: the way to the pages before and after, and the contents. Then the first cell, with the main
figure under its answer; then the cells in order, each cell's code folded, its outputs shown. What
the plain page costs: formulas written in TeX stay in TeX, and live widgets are left out (their
static figures stand beside them). HTML that a notebook displays (its tables) is its own and stays;
the browser is told to fetch nothing for it.

Does not know: how, when or with which parameters a notebook was run.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from epkit.runner import said
from epkit.runner.frame import INLINE_SCRIPTS, POLICY, around, write_framed

WIDGET = "application/vnd.jupyter.widget-view+json"

# nbconvert's own page, but for code, which is folded.
_TEMPLATE = """{%- extends 'basic/index.html.j2' -%}
{% block input_group %}<details class="code"><summary>{{ cell.metadata.fold }}</summary>
{{ super() }}</details>{% endblock %}"""

# Anything a page would fetch when it opens: scripts and style sheets named by address.
_FETCHED = re.compile(
    r"<script\b[^>]*\bsrc\s*=[^>]*>.*?</script\s*>|<link\b[^>]*\bhref\s*=[^>]*>",
    re.IGNORECASE | re.DOTALL,
)
_HEADING = re.compile(r'<h2 id="([^"]*)">(.*?)<a class="anchor-link"', re.DOTALL)
_PICTURE_LINE = re.compile(r"^!\[[^\]]*\]\(pictures/[^)]*\)\s*$", re.MULTILINE)
_OTHER_NOTEBOOK = re.compile(r'href="(\d\d_\w+)\.ipynb"')
_LEADS = re.compile(r'<a href="([^"#:]+\.html)"[^>]*>(.*?)</a>', re.DOTALL)
_PLACE = "the-main-figure-stands-here"


def own_pages(folder: Path, stem: str) -> dict[str, str]:
    """Pages that a notebook wrote beside its own, `<stem>.<what>.html`: title → the file's name."""
    found = {}
    for path in sorted(folder.glob(f"{stem}.*.html")):
        if path.name == f"{stem}.failed.html":
            continue
        with path.open(encoding="utf-8", errors="replace") as file:
            named = re.search(r"<title>(.*?)</title>", file.read(4096), re.DOTALL)
        found[html.unescape(named[1]) if named else path.stem] = path.name
    return found


def write_page(
    notebook_path: Path,
    page_path: Path,
    others: Mapping[str, str] | None = None,
    as_stored: bool = True,
) -> None:
    """Write the executed notebook at `notebook_path` as a page that needs nothing else.

    others : text → page, of the pages before and after.
    as_stored : whether the answer in the first cell, that of the stored run, is this run's too.
    """
    notebook = nbformat.read(notebook_path, as_version=4)
    figure = said.picture(notebook)
    _open_with_figure(notebook, as_stored)
    last = max((i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"), default=-1)
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.metadata.fold = _kind_of_code(cell, i == last)
            cell.outputs = [out for out in cell.outputs if not _live(out.get("data", {}))]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/markdown" in data:
                data["text/html"] = said.shown_markdown(data.pop("text/markdown"))
    body, _ = _exporter().from_notebook_node(notebook)
    heading = said.title(notebook, notebook_path.stem)
    body = _without_dead_links(_FETCHED.sub("", body), page_path.parent)
    body = _OTHER_NOTEBOOK.sub(r'href="\1.html"', body).replace(
        f"<p>{_PLACE}</p>", _figure(figure, heading), 1
    )
    top = around({"All notebooks": "index.html", **(others or {})}) + _contents(body)
    write_framed(page_path, heading, top + body, POLICY + INLINE_SCRIPTS)


@cache
def _exporter() -> HTMLExporter:
    return HTMLExporter(raw_template=_TEMPLATE)  # whose templates take a fifth of a second to read


def _without_dead_links(body: str, folder: Path) -> str:
    """What leads to a page that only a run makes is said instead, where there was no run."""

    def kept(link: re.Match) -> str:
        there = (folder / html.unescape(link[1])).exists()
        return link[0] if there else f"{link[2]} (a page that a run of this notebook makes)"

    return _LEADS.sub(kept, body)


def _open_with_figure(notebook: NotebookNode, as_stored: bool) -> None:
    """Mark where the main figure stands: in the first cell, under the answer or the question."""
    if not notebook.cells or notebook.cells[0].cell_type != "markdown":
        return
    first = notebook.cells[0]
    source = _PICTURE_LINE.sub("", first.source)
    if not as_stored:
        source = source.replace("**Answer: ", "**Answer of the stored run, not of this one: ", 1)
    for opening in (r"\*\*Answer[^*]*\*\*", r"\*\*Question\.\*\*"):
        found = re.search(rf"^{opening}.+?(?=\n\s*\n|\Z)", source, re.MULTILINE | re.DOTALL)
        if found:
            source = f"{source[: found.end()]}\n\n{_PLACE}\n\n{source[found.end() :]}"
            break
    first.source = source


def _live(data: Mapping[str, object]) -> bool:
    """Whether an output is a widget, or nothing but what a kernel's front end draws."""
    foreign = [kind for kind in data if kind.startswith("application/vnd.")]
    return WIDGET in data or (bool(data) and len(foreign) == len(data))


def _figure(png: bytes | None, heading: str) -> str:
    if png is None:
        return ""
    source = base64.b64encode(png).decode()
    named = html.escape(f"Main figure of {heading}")
    return f'<p class="main-figure"><img alt="{named}" src="data:image/png;base64,{source}"></p>'


def _kind_of_code(cell: NotebookNode, last: bool) -> str:
    """What the fold of a code cell is called."""
    if "parameters" in cell.metadata.get("tags", []):
        return "parameters"
    if "injected-parameters" in cell.metadata.get("tags", []):
        return "parameters of this run"
    return "checks" if last and re.search(r"^\s*assert\b", cell.source, re.MULTILINE) else "code"


def _contents(body: str) -> str:
    """The headings of a page, folded; nothing where there are fewer than two."""
    found = _HEADING.findall(body)
    if len(found) < 2:
        return ""
    lines = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, text in found)
    return (
        '<nav class="contents" aria-label="contents"><details><summary>contents</summary>'
        f"<ol>{lines}</ol></details></nav>\n"
    )
