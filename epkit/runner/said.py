"""What a notebook says of itself: its title, question, answer, badge, verdict and picture.

The first Markdown cell holds the title, a paragraph `**Question.** …` and one
`**Answer: holds in part.** …`, whose first words are the badge. The verdict of a notebook is what
its cell tagged `verdict` says: a Markdown cell's text, or a code cell's printed text and displayed
Markdown. Its picture is the first one that its cell tagged `picture` has put out.

Text that a notebook put out may hold text of a corpus: it is shown, and never becomes a control, a
script or a picture from elsewhere.

Does not know: how, when or with which parameters a notebook was run.
"""

from __future__ import annotations

import base64
import html
import re

from nbconvert.filters import markdown2html, strip_ansi
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat import NotebookNode

BADGES = (
    "holds",
    "holds in part",
    "no better than random",
    "fails",
    "not shown",
    "nothing claimed",
)
"""What an answer may open with; the last where a notebook only measures or shows."""

# What Markdown itself makes; any other tag in its text is shown as text.
_TAGS = re.findall(
    r"\w+",
    "a abbr b blockquote br code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i li ol p pre span "
    "strong sub sup table tbody td th thead tr ul",
)
_ATTRIBUTES = {"a": ["href", "title"], "div": ["class"], "span": ["class"], "ol": ["start"]}
_CLEANER = SanitizeHTML(tags=_TAGS, attributes=_ATTRIBUTES)


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


def question(notebook: NotebookNode) -> str:
    """The paragraph after `**Question.**`, as Markdown; empty where there is none."""
    return _paragraph(notebook, r"\*\*Question\.\*\*")[1]


def stated_answer(notebook: NotebookNode) -> tuple[str, str]:
    """The badge and the paragraph after it, as Markdown; both empty where there is no answer."""
    badge, text = _paragraph(notebook, r"\*\*Answer: ([^*]*)\.\*\*")
    return badge, text


def _paragraph(notebook: NotebookNode, opening: str) -> tuple[str, str]:
    """What the opening's group holds, if any, and the rest of the paragraph in the first cell."""
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown":
        return "", ""
    found = re.search(rf"^{opening}\s*(?P<text>.+?)(?:\n\s*\n|\Z)", first.source, re.M | re.S)
    if not found:
        return "", ""
    text = " ".join(found["text"].split())
    return (found[1] if found.re.groups > 1 else ""), text


def opening(notebook: NotebookNode, words: int = 40) -> str:
    """The first words of what the cells tagged `verdict` put out, as text."""
    told = []
    for cell in tagged(notebook, "verdict"):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stdout":
                told += strip_ansi(output.text).split()
            elif "text/markdown" in output.get("data", {}):
                told += strip_ansi(output.data["text/markdown"]).split()
    return " ".join(told[:words]) + (" …" if len(told) > words else "")


def verdict(notebook: NotebookNode) -> str:
    """What the cells tagged `verdict` say, as harmless HTML; empty where nothing was said."""
    parts = []
    for cell in tagged(notebook, "verdict"):
        if cell.cell_type == "markdown":
            parts.append(shown_markdown(cell.source))
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stdout":
                text = html.escape(strip_ansi(output.text).strip())
                parts.append(f'<p class="printed">{text}</p>')
            elif "text/markdown" in output.get("data", {}):
                parts.append(shown_markdown(output.data["text/markdown"]))
    return "\n".join(parts)


def picture(notebook: NotebookNode) -> bytes | None:
    """The PNG of the cell tagged `picture`, by itself or inside HTML; None where there is none."""
    for cell in tagged(notebook, "picture"):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            inside = re.search(r'src="data:image/png;base64,([^"]+)"', data.get("text/html", ""))
            if "image/png" in data or inside:
                return base64.b64decode(data.get("image/png") or inside[1])
    return None


def shown_markdown(text: str) -> str:
    """Markdown as HTML of Markdown's own tags; others are shown as they are written."""
    return _CLEANER.sanitize_html_tags(markdown2html(strip_ansi(text)))
