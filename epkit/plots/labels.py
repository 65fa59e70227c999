"""Token text as a picture can show it, and labels that do not lie on one another.

Does not know: what is drawn.
"""

import functools
import unicodedata

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

SHOWN = {"\n": "↵", "\r": "↵", "\t": "⇥", "\ufffd": "□"}
UNSEEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
"""Unicode categories of characters that have no picture: controls, private use, unassigned, …"""

_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
OFFSETS = np.concatenate(
    [r * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1) for r in (4, 12, 22, 34, 48, 64, 82)]
)
"""Where a label may stand from its point, nearest first: its nearest corner or edge, in points."""


def drawable(text: str, limit: int = 18) -> str:
    """Text that matplotlib draws as it is: no formulas, no control characters, no missing glyphs.

    Spaces at either end become ␣, line ends ↵, tabs ⇥, and what the font cannot show □. Longer
    texts than `limit` characters end in ….
    """
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" ")) if inner else len(text)
    after = len(text) - before - len(inner)
    text = "␣" * before + inner + "␣" * after
    shown = (SHOWN.get(c, c) for c in text)
    return "".join(c if _has_glyph(c) else "□" for c in shown).replace("$", r"\$")


@functools.cache
def _has_glyph(character: str) -> bool:
    if unicodedata.category(character) in UNSEEN:
        return False
    return bool(_font().get_char_index(ord(character)))


@functools.cache
def _font() -> FT2Font:
    """The font of plain text, as matplotlib is set up when it is first needed."""
    return FT2Font(font_manager.findfont(font_manager.FontProperties()))


def place_labels(
    ax: Axes,
    points: np.ndarray,
    texts: list[str],
    *,
    avoid: np.ndarray | None = None,
    fontsize: float = 8,
) -> None:
    """Write texts beside their points, each as near as it can be without covering others.

    They stay within the axes, or where those are not drawn, within the figure as far as they can.
    Call it last: when the axes have their limits, and the figure all that is in it.

    Parameters
    ----------
    points : (M, 2) in data coordinates.
    texts : M strings, drawable.
    avoid : (A, 2) further points that had better stay uncovered.
    """
    if not texts:
        return
    figure = ax.figure
    figure.draw_without_rendering()  # a constrained layout moves the axes first
    scale = figure.dpi / 72
    at = ax.transData.transform(points)
    frame = ax.bbox if ax.axison else figure.bbox
    dots = at if avoid is None else np.concatenate([at, ax.transData.transform(avoid)])
    taken = np.concatenate([dots - 3, dots + 3], axis=1)
    for point, (x, y), text in zip(points, at, texts, strict=True):
        label = ax.annotate(
            text, point, xytext=(0, 0), textcoords="offset points", fontsize=fontsize,
            ha="center", va="center", zorder=10, annotation_clip=False,
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
            arrowprops={"arrowstyle": "-", "color": "0.3", "linewidth": 0.6, "shrinkB": 0},
        )  # fmt: skip
        own = Text.get_window_extent(label)  # of an Annotation it would include the arrow
        size = np.array([own.width, own.height]) + 4
        shifts = scale * OFFSETS + np.sign(OFFSETS.round(9)) * size / 2
        middles = np.array([x, y]) + shifts
        boxes = np.hstack([middles - size / 2, middles + size / 2])
        far = np.hypot(*OFFSETS.T)
        best = (_covered(boxes, taken, frame.extents).round() + far).argmin()
        label.set_position(shifts[best] / scale)
        # Covering a label is worse than covering a point or standing farther away.
        taken = np.vstack([taken, *[boxes[best]] * 4])


def _covered(boxes: np.ndarray, taken: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """How much each box covers of those taken or leaves the frame: (B, 4), (T, 4) → (B,) area."""

    def common(others: np.ndarray) -> np.ndarray:
        low = np.maximum(boxes[:, None, :2], others[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
        return (high - low).clip(0).prod(axis=2).sum(axis=1)

    whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return common(taken) + whole - common(frame[None])
