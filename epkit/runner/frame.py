"""The frame of every page: one style, no script, nothing fetched.

No style sheet and no font comes from elsewhere, so a folder of pages opens without a network, in
light or dark.

Does not know: what stands in a page.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from epkit import files

STYLE = (Path(__file__).parent / "assets" / "page.css").read_text(encoding="utf-8")

# Nothing is fetched, and nothing runs but what a notebook's own outputs bring inside themselves.
POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"
INLINE_SCRIPTS = "; script-src 'unsafe-inline'"

_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body{kind}>
{body}
</body>
</html>
"""


def write_framed(path: Path, heading: str, body: str, policy: str = POLICY, kind: str = "") -> None:
    """Write a page: its title as text, its body as HTML, whole or not at all."""
    kind = f' class="{kind}"' if kind else ""
    page = _FRAME.format(
        policy=policy, title=html.escape(heading), style=STYLE, kind=kind, body=body
    )
    files.write_text(path, page)


def around(links: Mapping[str, str]) -> str:
    """The way to other pages (text → page); nothing where there are none."""
    shown = "".join(
        f'<a href="{html.escape(page)}">{html.escape(text)}</a>' for text, page in links.items()
    )
    return f'<nav class="around" aria-label="other pages">{shown}</nav>\n' if shown else ""


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
    write_framed(path, heading, body)
