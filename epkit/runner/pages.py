"""Executed notebooks as plain web pages behind one table of contents.

A page is the notebook's cells (nbconvert's "basic" template) inside a frame written here: no
script, no style sheet and no font comes from elsewhere, so a folder of pages opens without a
network, in light or dark. What that costs: formulas written in TeX stay in TeX, and live widgets
are left out (their static figures stand beside them).

The verdict of a notebook is what its cell tagged `verdict` says: a Markdown cell's text, or a code
cell's printed text and displayed Markdown. Text that a notebook put out may hold text of a corpus:
it is shown, and never becomes a control, a script or a picture from elsewhere. HTML that a notebook
displays (its tables) is its own and stays; the browser is told to fetch nothing for it.

Does not know: how, when or with which parameters a notebook was run.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html, strip_ansi
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat import NotebookNode

from epkit import files

WIDGET = "application/vnd.jupyter.widget-view+json"

# Anything a page would fetch when it opens: scripts and style sheets named by address.
_FETCHED = re.compile(
    r"<script\b[^>]*\bsrc\s*=[^>]*>.*?</script\s*>|<link\b[^>]*\bhref\s*=[^>]*>",
    re.IGNORECASE | re.DOTALL,
)

# What Markdown itself makes; any other tag in its text is shown as text.
_TAGS = re.findall(
    r"\w+",
    "a abbr b blockquote br code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i li ol p pre span "
    "strong sub sup table tbody td th thead tr ul",
)
_ATTRIBUTES = {"a": ["href", "title"], "div": ["class"], "span": ["class"], "ol": ["start"]}
_CLEANER = SanitizeHTML(tags=_TAGS, attributes=_ATTRIBUTES)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --soft: #f4f5f7; --line: #d9dce1;
  --dim: #667; --link: #0b57d0; --good: #17703a; --bad: #b3261e; --word: #8a2be2; --text: #0a6b3d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6ea; --paper: #16181c; --soft: #20242a;
  --line: #3a3f47; --dim: #9aa0aa; --link: #8ab4f8; --good: #6fce92; --bad: #ff8a80;
  --word: #c9a0ff; --text: #9ad8a8; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 62rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--link); } .anchor-link { display: none; }
pre, code { font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; }
pre { margin: .3rem 0; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
.input_area, .highlight { background: var(--soft); border-radius: 4px; }
.highlight pre { padding: .5rem .7rem; }
.prompt { color: var(--dim); font: 11px ui-monospace, monospace; }
.cell { margin: .8rem 0; } .output_subarea { overflow-x: auto; }
.output_stderr pre, .output_error pre { color: var(--bad); }
img, svg { max-width: 100%; height: auto; } .output_png img { background: #fff; }
table { border-collapse: collapse; margin: .6rem 0; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
.done { color: var(--good); } .failed { color: var(--bad); } .not-run, .time { color: var(--dim); }
.time { white-space: nowrap; } .wide { overflow-x: auto; }
td p { margin: 0 0 .3rem; } .printed { white-space: pre-line; }
.k, .kn, .kc, .ow, .nb { color: var(--word); } .s1, .s2, .sd, .sa, .si { color: var(--text); }
.c1 { color: var(--dim); } .mi, .mf { color: var(--link); }
"""

# Nothing is fetched. The table of contents runs nothing either.
_POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"
_INLINE_SCRIPTS = "; script-src 'unsafe-inline'"

_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class IndexLine:
    """One line of the table of contents; `page` is None for a notebook that has not been run."""

    title: str
    status: str  # "done", "failed" or "not run"
    time: str
    verdict: str  # HTML
    page: str | None
    links: Mapping[str, str] = field(default_factory=dict)  # text → page, under the verdict


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


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    """The cells of `notebook` that carry `tag`, in order."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def title(notebook: NotebookNode, default: str) -> str:
    """The first Markdown heading of `notebook`, or `default` where it has none."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = re.search(r"^#{1,6}\s+(.+?)\s*#*$", cell.source, re.MULTILINE)
            if heading:
                return heading.group(1)
    return default


def verdict(notebook: NotebookNode) -> str:
    """What the cells tagged `verdict` say, as harmless HTML; empty where nothing was said."""
    parts = []
    for cell in tagged(notebook, "verdict"):
        if cell.cell_type == "markdown":
            parts.append(_shown_markdown(cell.source))
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stdout":
                text = html.escape(strip_ansi(output.text).strip())
                parts.append(f'<p class="printed">{text}</p>')
            elif "text/markdown" in output.get("data", {}):
                parts.append(_shown_markdown(output.data["text/markdown"]))
    return "\n".join(parts)


def _shown_markdown(text: str) -> str:
    """Markdown as HTML of Markdown's own tags; others are shown as they are written."""
    return _CLEANER.sanitize_html_tags(markdown2html(strip_ansi(text)))


def write_page(notebook_path: Path, page_path: Path) -> None:
    """Write the executed notebook at `notebook_path` as a page that needs nothing else."""
    notebook = nbformat.read(notebook_path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/markdown" in data:
                data["text/html"] = _shown_markdown(data.pop("text/markdown"))
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    heading = title(notebook, notebook_path.stem)
    back = '<p><a href="index.html">All notebooks</a></p>\n'
    body = back + _FETCHED.sub("", body)
    files.write_text(page_path, _frame(heading, body, _POLICY + _INLINE_SCRIPTS))


def write_index(path: Path, profile: str, entries: Sequence[IndexLine]) -> None:
    """Write the table of contents of one profile's executed notebooks."""
    n_done = sum(entry.status == "done" for entry in entries)
    rows = "\n".join(_row(entry) for entry in entries)
    body = (
        "<h1>Exemplar Partitioning, executed</h1>\n"
        f"<p>Profile <code>{html.escape(profile)}</code>: "
        f"{n_done} of {len(entries)} notebooks done.</p>\n"
        "<table>\n<tr><th>Notebook</th><th>Status</th><th>Time</th><th>Verdict</th></tr>\n"
        f"{rows}\n</table>"
    )
    files.write_text(path, _frame(f"epkit: {profile}", body, _POLICY))


def write_sheet(
    path: Path, heading: str, told: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Write one table as a page: a heading, a sentence, and rows whose cells are HTML."""
    header = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    lines = "\n".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows
    )
    body = (
        f"<h1>{html.escape(heading)}</h1>\n<p>{html.escape(told)}</p>\n"
        f'<div class="wide"><table>\n<tr>{header}</tr>\n{lines}\n</table></div>'
    )
    files.write_text(path, _frame(heading, body, _POLICY))


def _row(entry: IndexLine) -> str:
    name = html.escape(entry.title)
    if entry.page:
        name = f'<a href="{html.escape(entry.page)}">{name}</a>'
    kind = entry.status.replace(" ", "-")
    links = "".join(
        f'<p><a href="{html.escape(page)}">{html.escape(text)}</a></p>'
        for text, page in entry.links.items()
    )
    return (
        f'<tr><td>{name}</td><td class="{kind}">{entry.status}</td>'
        f'<td class="time">{entry.time}</td><td>{entry.verdict}{links}</td></tr>'
    )


def _frame(page_title: str, body: str, policy: str) -> str:
    heading = html.escape(page_title)
    return _FRAME.format(title=heading, style=_STYLE, body=body, policy=policy)
