"""The picture of a region's distances: members against random activations, with numbers.

Does not know: where the distances come from.
"""

from dataclasses import dataclass, field

from epkit.lm.text import as_html

WIDTH, FLOOR, HEIGHT = 260, 78, 104
"""Of the drawing, and how far down its axis lies, in pixels."""


@dataclass(frozen=True)
class Histogram:
    """Distances of members: bars over equal bins of [0, threshold], or single values; and whose.

    background : of random activations, in bins of the same width that go on beyond the threshold.
    against : what is said of them.
    """

    bars: list[int]
    values: list[float]
    of: str
    background: list[int] = field(default_factory=list)
    against: str = ""


def histogram_html(h: Histogram, threshold: float, mean: float, std: float) -> str:
    """A drawing of the distances, and under it what it shows."""
    said = [h.of, f"line: mean {mean:.3f} ± {std:.3f}"] + ([h.against] if h.against else [])
    return (
        f'{histogram_svg(h, threshold, mean, std)}<p class="ep-note">{as_html("; ".join(said))}</p>'
    )


def histogram_svg(h: Histogram, threshold: float, mean: float, std: float) -> str:
    """Bars (counts) or ticks (single members) up to the threshold, the background in grey beyond.

    Members and background are scaled each to their own highest bar.
    """
    top = max(threshold, 1e-9)
    reach = top * max(len(h.background) / max(len(h.bars), 24), 1.0)

    def x(distance: float) -> float:
        return min(max(distance, 0) / reach, 1) * WIDTH

    marks = [*_bars(h.background, reach, "ep-back"), *_bars(h.bars, top, "ep-bar", x(top))]
    marks += [
        f'<rect class="ep-bar" x="{x(value) - 1:.1f}" y="14" width="2" height="{FLOOR - 14}">'
        f"<title>{value:.3f}</title></rect>"
        for value in h.values
    ]
    low, mid, end = (x(mean + s * std) for s in (-1, 0, 1))
    marks.append(
        f'<path class="ep-axis" d="M0 {FLOOR}H{WIDTH}M{x(top):.1f} 8V{FLOOR + 4}"/>'
        f'<path class="ep-spread" d="M{low:.1f} {FLOOR + 7}H{end:.1f}"/>'
        f'<circle class="ep-mean" cx="{mid:.1f}" cy="{FLOOR + 7}" r="3"/>'
    )
    theta = _text(min(x(top), WIDTH - 24), HEIGHT - 4, f"θ {top:.2f}", "middle")
    marks += [_text(0, HEIGHT - 4, "0", "start"), theta]
    if reach > 1.5 * top:
        marks.append(_text(WIDTH, HEIGHT - 4, f"{reach:.2f}", "end"))
    if h.bars:
        marks.append(_text(0, 9, f"highest bar: {max(h.bars):,}", "start"))
    about = f"Distances of {h.of}, from 0 to {threshold:.3f}"
    return (
        f'<svg class="ep-histogram" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{as_html(about)}">{"".join(marks)}</svg>'
    )


def _bars(counts: list[int], reach: float, name: str, width: float = WIDTH) -> list[str]:
    """Bars over [0, reach] that fill `width` pixels; each tells its number on hover."""
    step, high = width / max(len(counts), 1), max(counts, default=0) or 1
    return [
        f'<rect class="{name}" x="{i * step:.1f}" y="{FLOOR - (FLOOR - 14) * n / high:.1f}" '
        f'width="{max(step - 0.5, 0.5):.1f}" height="{(FLOOR - 14) * n / high:.1f}">'
        f"<title>{i * reach / len(counts):.2f}–{(i + 1) * reach / len(counts):.2f}: {n:,}</title>"
        "</rect>"
        for i, n in enumerate(counts)
        if n
    ]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    place = f'x="{x:.1f}" y="{y}" text-anchor="{anchor}"'
    return f'<text class="ep-tick" {place}>{as_html(text)}</text>'
