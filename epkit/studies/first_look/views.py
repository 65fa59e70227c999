"""What notebook 00 shows, as HTML that needs no kernel, script or network; every text escaped.

Colours are half transparent and text takes the page's own, so that all of it reads in light and
dark. Where a site strips styles, the words still say what there is to see.

Does not know: models, widgets.
"""

import base64
import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from epkit.inspect.regions import Regions
from epkit.lm.text import as_html, visible
from epkit.lm.trace import Trace
from epkit.plots.labels import drawable, place_labels
from epkit.plots.map import colouring
from epkit.studies.first_look.game import Round
from epkit.studies.first_look.reading import Edited
from epkit.studies.first_look.shipped import Look
from epkit.studies.first_look.walk import Stop

WIDTH = 7
"""Tokens on either side of a member."""

NAMED = 22
"""Regions that the map names: the largest whose members share something, then the others."""

_MARK = "background: rgba(245,140,20,.4); color: inherit; border-radius: 3px"
_DIM = "opacity: .7; font-size: 12px"


def lines_html(regions: Regions, index: np.ndarray) -> str:
    """Members in their contexts, a line each, their own token marked."""
    rows = []
    for low, at, high in zip(*regions.text.spans(np.asarray(index), WIDTH), strict=True):
        texts = regions.texts(regions.text.tokens[low:high])
        left, own, right = (
            as_html("".join(texts[a:b]), 300)
            for a, b in ((0, at - low), (at - low, at - low + 1), (at - low + 1, None))
        )
        rows.append(
            '<div style="display: grid; grid-template-columns: 1fr auto 1fr; white-space: pre; '
            'line-height: 1.6; border-bottom: 1px solid rgba(128,128,128,.2)">'
            f'<span style="text-align: right; overflow: hidden; direction: rtl"><bdo dir="ltr">'
            f'{left}</bdo></span><mark style="{_MARK}">{own}</mark>'
            f'<span style="overflow: hidden">{right}</span></div>'
        )
    return "".join(rows)


def region_html(regions: Regions, region: int, title: str = "", why: str = "") -> str:
    """A region in short: its name, its numbers, its closest members."""
    d = regions.dictionary
    index = d.members.of(region, "closest")[0].numpy()
    head = f'<div style="{_DIM}">{as_html(title)}: {as_html(why)}</div>' if title else ""
    return (
        f'<div style="flex: 1 1 340px; min-width: 0; font-size: 13px">{head}'
        f'<div style="font-size: 19px; font-weight: 600">{as_html(regions.names[region])}</div>'
        f'<div style="{_DIM}">region {region}, {int(d.counts[region]):,} members, '
        f"coherence {float(d.coherence[region]):.2f}; its closest members:</div>"
        f"{lines_html(regions, index)}</div>"
    )


def map_html(look: Look, region: int) -> str:
    """The map of all regions, one of them marked, beside that region."""
    picture = base64.b64encode(map_png(look, region)).decode()
    k = len(look.dictionary)
    return _row(
        f'<img style="flex: 1 1 430px; min-width: 0; max-width: 620px" alt="Map of {k} regions" '
        f'src="data:image/png;base64,{picture}">',
        region_html(look.regions, region),
    )


def map_png(look: Look, region: int) -> bytes:
    """The map as a picture: regions as points where they were laid out, the largest by name."""
    d = look.dictionary
    everything = np.arange(len(d))
    values, norm = colouring(d, everything, "coherence")
    figure, ax = plt.subplots(figsize=(7.2, 5.6), layout="constrained", dpi=90)
    size = 5 + 7 * np.sqrt(d.counts.cpu().numpy().clip(1) / 10)
    dots = ax.scatter(
        *look.where.T, c=values, norm=norm, cmap="viridis", s=size, linewidths=0.3,
        edgecolors="white",
    )  # fmt: skip
    figure.colorbar(dots, ax=ax, label="coherence", shrink=0.6, pad=0.01)
    ax.set(xticks=[], yticks=[])
    facts = look.facts
    ax.set_title(
        f"{len(d):,} regions of {facts['model']}, layer {facts['layer']}: near ones lie near",
        fontsize=10,
    )
    ax.plot(*look.where[region], "o", color="none", markersize=13, markeredgecolor="crimson", mew=2)
    names, counts = look.regions.names, d.counts.tolist()
    order = sorted(range(len(d)), key=lambda k: (names[k].startswith("≈"), -counts[k]))
    largest = dict.fromkeys(names[k] for k in [region, *order])
    shown = [next(k for k in [region, *order] if names[k] == name) for name in largest][:NAMED]
    place_labels(ax, look.where[shown], [drawable(names[k], 24) for k in shown], 7)
    with io.BytesIO() as held:
        figure.savefig(held, format="png")
        plt.close(figure)
        return held.getvalue()


def walk_html(regions: Regions, stops: Sequence[Stop]) -> str:
    """The stops of a walk side by side."""
    return _row(*(region_html(regions, s.region, f"{s.title}", s.why) for s in stops))


def sentence_html(regions: Regions, trace: Trace) -> str:
    """A sentence's tokens, each with the name of its region beneath; hues tell regions apart."""
    parts = []
    threshold = float(trace.thresholds[0])
    told = zip(
        trace.texts, trace.clustered.tolist(), trace.region[0].tolist(), trace.distance[0].tolist(),
        strict=True,
    )  # fmt: skip
    for text, clustered, region, distance in told:
        if not clustered:
            continue
        far = distance > threshold
        name = regions.names[region] + (" (far)" if far else "")
        near = 0.15 + 0.45 * max(0.0, 1 - distance / max(threshold, 1e-9))
        look = "transparent" if far else f"hsla({region * 137.508 % 360:.0f},75%,50%,{near:.2f})"
        parts.append(
            '<span style="display: inline-flex; flex-direction: column; margin: 0 2px 10px 0; '
            'vertical-align: top; max-width: 130px">'
            f'<b title="region {region}, distance {distance:.3f}, θ {threshold:.3f}" '
            f'style="background: {look}; white-space: pre; padding: 1px 4px; border-radius: 4px; '
            f'font-weight: 500">{as_html(text, 40)}</b> '
            f'<small style="opacity: .75; font-size: 10.5px; line-height: 1.2; padding: 0 4px; '
            f'overflow-wrap: anywhere">{as_html(name, 40)}</small></span> '
        )
    return f'<div style="font-size: 16px; line-height: 1.3">{"".join(parts)}</div>'


def round_html(regions: Regions, shown: Round) -> str:
    """What a player sees of a round."""
    return f'<div style="font-size: 13px">{lines_html(regions, shown.members)}</div>'


def game_html(regions: Regions, rounds: Sequence[Round]) -> str:
    """A game without a kernel: every round folded, its answer folded inside."""
    return "".join(
        f"<details{' open' if i == 0 else ''}><summary>Round {i + 1}</summary>"
        f"{round_html(regions, shown)}<details><summary>answer</summary>"
        f"{as_html(shown.kind)}</details></details>"
        for i, shown in enumerate(rounds)
    )


def edits_html(prompt: str, found: Sequence[Edited]) -> str:
    """A prompt's continuations under edits, a row each."""
    rows = "".join(
        f'<tr><th style="text-align: left; white-space: nowrap">{as_html(e.what)}</th>'
        f'<td style="text-align: left">{as_html(prompt, 200)}<mark style="{_MARK}">'
        f"{as_html(visible(e.text), 400)}</mark></td></tr>"
        for e in found
    )
    return f"<table>{rows}</table>"


def _row(*parts: str) -> str:
    style = "display: flex; flex-wrap: wrap; gap: 12px 28px; align-items: flex-start"
    return f'<div style="{style}">{"".join(parts)}</div>'
