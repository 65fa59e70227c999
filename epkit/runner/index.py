"""One page over all notebooks: a card each, with picture, question, answer, badge, time and link.

The typed answer of a notebook is that of its stored run; a run with other parameters is told by the
beginning of its own verdict instead, and has no badge. Details are folded.

Does not know: how a notebook was run.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from PIL import Image

from epkit.runner.frame import around, write_framed
from epkit.runner.said import shown_markdown

WIDTH = 640
"""Pixels of a card's picture."""


@dataclass(frozen=True)
class NotebookCard:
    """One notebook in the table of contents; `page` is None where there is nothing to open."""

    title: str
    status: str  # "done", "failed" or "stored": the outputs that came with it
    time: str = ""
    page: str | None = None
    picture: bytes | None = None  # PNG
    question: str = ""  # Markdown
    badge: str = ""  # one of said.BADGES
    answer: str = ""  # Markdown
    verdict: str = ""  # HTML
    links: Mapping[str, str] = field(default_factory=dict)  # text → page


def write_index(
    path: Path,
    heading: str,
    told: str,
    cards: Sequence[NotebookCard],
    links: Mapping[str, str] | None = None,
) -> None:
    """Write the cards of all notebooks under a heading, a sentence and links (text → page)."""
    listed = "\n".join(_card(card) for card in cards)
    body = (
        f"<h1>{html.escape(heading)}</h1>\n<p>{html.escape(told)}</p>\n{around(links or {})}"
        f'<ul class="cards">\n{listed}\n</ul>'
    )
    write_framed(path, heading, body, kind="cards-page")


def _card(card: NotebookCard) -> str:
    title = html.escape(card.title)
    shot = _shot(card.picture)
    if card.page:
        page = html.escape(card.page)
        title = f'<a href="{page}">{title}</a>'
        shot = shot and f'<a class="shot" href="{page}" tabindex="-1" aria-hidden="true">{shot}</a>'
    elif shot:
        shot = f'<span class="shot">{shot}</span>'
    parts = [shot, f"<h2>{title}</h2>", f"<p>{_badge(card.badge)}{_status(card)}</p>"]
    if card.question:
        parts.append(f'<div class="question">{shown_markdown(card.question)}</div>')
    if card.answer:
        parts.append(f'<div class="answer">{shown_markdown(card.answer)}</div>')
    parts += [
        f'<p><a href="{html.escape(page)}">{html.escape(text)}</a></p>'
        for text, page in card.links.items()
    ]
    if card.verdict:
        parts.append(f"<details><summary>verdict in full</summary>{card.verdict}</details>")
    return f'<li class="card">{"".join(parts)}</li>'


def _badge(badge: str) -> str:
    if not badge:
        return ""
    return f'<span class="badge {html.escape(badge.split()[0])}">{html.escape(badge)}</span>'


def _status(card: NotebookCard) -> str:
    told = {"stored": "not run here: stored outputs", "done": f"run in {card.time}"}
    text = told.get(card.status, f"failed after {card.time}")
    return f'<span class="{card.status} time">{html.escape(text)}</span>'


@lru_cache(maxsize=64)  # the index is written again after every notebook
def _shot(png: bytes | None) -> str:
    """A picture of at most `WIDTH` pixels, inside the page."""
    if png is None:
        return ""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((WIDTH, WIDTH))
    small = io.BytesIO()
    image.quantize(64).save(small, "PNG", optimize=True)
    source = base64.b64encode(small.getvalue()).decode()
    return f'<img alt="" src="data:image/png;base64,{source}">'
