"""The card of a region as HTML: plain facts in, one string out, every text escaped.

The card has no script and fetches nothing. Its colours come from the page around it (JupyterLab's
variables where there are any, else the text colour), so it reads in light and dark.

Does not know: where the facts come from.
"""

from dataclasses import dataclass
from math import isnan
from pathlib import Path

from epkit.inspect.histogram import Histogram, histogram_html
from epkit.lm.text import as_html

STYLE = (Path(__file__).parent / "assets" / "card.css").read_text(encoding="utf-8")

TITLES = {
    "all": "All members",
    "closest": "Closest members",
    "random": "Members drawn at random",
    "farthest": "Farthest members",
}

COLOUR_NOTES = {
    "coloured": "Colour: cosine u·e of the token's direction with the exemplar; hover for the "
    "number and the token's region. Outlined: the member. A line opens for more text.",
    "plain": "Outlined: the member. No colour: it needs the model or its activations.",
    "pending": "Outlined: the member. Colour and competitors are being computed …",
}


@dataclass(frozen=True)
class Context:
    """A member among its neighbours: visible token texts, which one it is, its distance.

    cosines : of every token with the exemplar (nan where a token is no activation), if known.
    regions : that every token lies in (-1 for none), if known.
    before, after : visible text farther off on either side.
    """

    tokens: list[str]
    at: int
    distance: float
    cosines: list[float] | None
    regions: list[int] | None = None
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Link:
    """Another region, and the number it is named for."""

    region: int
    label: str
    value: str


@dataclass(frozen=True)
class Card:
    """What a card says of a region. Texts are visible (no control characters) but not escaped.

    `name` says what members share, `label` is the exemplar's token. `colour` is a key of
    `COLOUR_NOTES`. `foretold` is of the kept members that a token follows, how many are followed by
    a promoted one, and how many there are; None where promoted tokens are not known.
    """

    region: int
    name: str
    label: str
    count: int
    share: float
    coherence: float
    threshold: float
    distance_mean: float
    distance_std: float
    position: int
    exemplar: Context
    members: dict[str, list[Context]]
    colour: str
    promoted: list[tuple[str, float]] | None
    suppressed: list[tuple[str, float]] | None
    foretold: tuple[int, int] | None
    histogram: Histogram
    nearest: list[Link]
    competitors: list[Link]
    competitors_of: str


def card_html(card: Card, *, links: bool = True) -> str:
    """A card with its style sheet. `links=False` leaves the lists of other regions out."""
    side = [
        _lens("Promoted next tokens", card.promoted, foretold_note(card)),
        _lens("Suppressed next tokens", card.suppressed),
        _section("Distances to the exemplar", _distances(card)),
    ]
    if links:
        side += [
            _section("Nearest regions", _links(card.nearest, "cosine distance of exemplars")),
            _section("Competitors", _links(card.competitors, f"second for {card.competitors_of}")),
        ]
    members = [
        _section(TITLES.get(kind, kind), "".join(_concordance(c) for c in contexts))
        for kind, contexts in card.members.items()
    ]
    exemplar = f'<p class="ep-exemplar">{_tokens(card.exemplar)}</p>'
    return (
        f'<style>{STYLE}</style><article class="epkit-card" data-region="{card.region}">'
        f"{_head(card)}"
        f'<div class="ep-columns"><div class="ep-main">{_section("Exemplar", exemplar)}'
        f'{"".join(members)}<p class="ep-note">{as_html(COLOUR_NOTES[card.colour])}</p></div>'
        f'<div class="ep-side">{"".join(side)}</div></div></article>'
    )


def measures(card: Card) -> list[tuple[str, str]]:
    """(name, value) of the numbers at the head of a card."""
    return [
        ("members", f"{card.count:,} ({card.share:.2%})"),
        ("coherence", f"{card.coherence:.3f}"),
        ("distance", f"{card.distance_mean:.3f} ± {card.distance_std:.3f}"),
        ("threshold θ", f"{card.threshold:.3f}"),
        ("founded at", f"{card.position:,}"),
    ]


def _head(card: Card) -> str:
    numbers = "".join(
        f"<div><dt>{as_html(name)}</dt><dd>{as_html(value)}</dd></div>"
        for name, value in measures(card)
    )
    return (
        f'<header><h3>{as_html(card.name)} <span class="ep-number">Region {card.region:,}</span> '
        f'<code class="ep-token">{as_html(card.label)}</code></h3><dl>{numbers}</dl></header>'
    )


def _section(title: str, content: str) -> str:
    return f"<section><h4>{as_html(title)}</h4>{content}</section>"


def _concordance(context: Context) -> str:
    """One line with the member in the middle, which opens to more of the text around it."""
    at = context.at
    parts = [
        f'<span class="ep-{side}"><span>{_tokens(context, a, b)}</span></span>'
        for side, a, b in (("before", 0, at), ("own", at, at + 1), ("after", at + 1, None))
    ]
    line = f'<span class="ep-gap">{context.distance:.3f}</span>{"".join(parts)}'
    wide = f"{as_html(context.before)}{_tokens(context)}{as_html(context.after)}"
    return (
        f'<details><summary class="ep-line">{line}</summary><p class="ep-wide">{wide}</p></details>'
    )


def _tokens(context: Context, start: int = 0, stop: int | None = None) -> str:
    """Tokens of a context, each coloured by its cosine, the member marked."""
    spans = []
    for i in range(len(context.tokens))[start:stop]:
        cosine = None if context.cosines is None else context.cosines[i]
        marks = ' class="ep-member"' if i == context.at else ""
        if cosine is not None and not isnan(cosine):
            told = _told(context, i)
            marks += f' style="--c:{max(cosine, 0):.2f}" title="u·e = {cosine:.2f}{told}"'
        tag = "mark" if i == context.at else "span"
        spans.append(f"<{tag}{marks}>{as_html(context.tokens[i])}</{tag}>")
    return "".join(spans)


def _told(context: Context, i: int) -> str:
    """Whether a token is a member, as far as that is known."""
    if context.regions is None or context.regions[i] < 0:
        return ""
    own = context.regions[context.at]
    return ", a member" if context.regions[i] == own else f", in region {context.regions[i]}"


def foretold_note(card: Card) -> str:
    """Whether the promoted tokens are those that come: in how many kept members one follows."""
    if not card.foretold or not card.foretold[1]:
        return ""
    hits, of = card.foretold
    if not hits:
        return f"mark well: they follow none of {of} kept members, so they do not tell what comes"
    return f"one of them follows {hits} of {of} kept members"


def _lens(title: str, pairs: list[tuple[str, float]] | None, note: str = "") -> str:
    if pairs is None:
        return _section(title, '<p class="ep-note">not known without the model</p>')
    note = f'<p class="ep-note">{as_html(note)}</p>' if note else ""
    rows = "".join(
        f'<li><code class="ep-token">{as_html(text)}</code> <span>{logit:+.1f}</span></li>'
        for text, logit in pairs
    )
    return _section(title, f'{note}<ol class="ep-lens">{rows}</ol>')


def _distances(card: Card) -> str:
    return histogram_html(card.histogram, card.threshold, card.distance_mean, card.distance_std)


def _links(links: list[Link], what: str) -> str:
    rows = "".join(
        f'<li><b>{link.region}</b> <code class="ep-token">{as_html(link.label)}</code> '
        f"<span>{as_html(link.value)}</span></li>"
        for link in links
    )
    return f'<p class="ep-note">{as_html(what)}</p><ol class="ep-links">{rows}</ol>'
