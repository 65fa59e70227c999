"""Token text as a picture can show it, and labels that do not lie on one another.

Does not know: what is drawn.
"""

import functools

import numpy as np
from adjustText import adjust_text
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.ft2font import FT2Font

from epkit.checks import whole
from epkit.lm.text import visible

ROUNDS = 200
"""Of pushing labels apart; a number and not a time, so that a picture is the same every time."""


def drawable(text: str, limit: int = 18) -> str:
    """Text that matplotlib draws as it is: no formulas, no control characters, no missing glyphs.

    As `visible` says it (⏎ for a line end, ⇥ for a tab, · for what has no shape), with ␣ for spaces
    at either end and □ for what the font cannot show. Texts longer than `limit` characters end
    in ….
    """
    text = visible(text, whole("limit", limit, 1))
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" ")) if inner else len(text)
    after = len(text) - before - len(inner)
    text = "␣" * before + inner + "␣" * after
    return "".join(c if _has_glyph(c) else "□" for c in text).replace("$", r"\$")


@functools.cache
def _has_glyph(character: str) -> bool:
    return bool(_font().get_char_index(ord(character)))


@functools.cache
def _font() -> FT2Font:
    """The font of plain text, as matplotlib is set up when it is first needed."""
    return FT2Font(font_manager.findfont(font_manager.FontProperties()))


def place_labels(
    ax: Axes,
    points: np.ndarray,
    texts: list[str],
    fontsize: float = 8,
) -> None:
    """Write texts beside their points, none over another, by adjustText.

    They stay within the axes. Call it last: when the axes have their limits, and the figure all
    that is in it.

    Parameters
    ----------
    points : (M, 2) in data coordinates.
    texts : M strings, drawable.
    """
    if not texts:
        return
    ax.figure.draw_without_rendering()  # a constrained layout moves the axes first
    labels = [
        ax.text(
            x, y, text, fontsize=fontsize, zorder=10, in_layout=False,
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
        )
        for (x, y), text in zip(points, texts, strict=True)
    ]  # fmt: skip
    adjust_text(
        labels, ax=ax, iter_lim=ROUNDS, expand=(1.1, 1.4),
        arrowprops={"arrowstyle": "-", "color": "0.3", "linewidth": 0.6, "in_layout": False},
    )  # fmt: skip
