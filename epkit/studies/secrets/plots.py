"""The figure of notebook 15: the rank of the hidden word by every method.

Does not know: models, how the numbers came about.
"""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from epkit.studies.secrets.search import METHODS


def plot_ranks(found: pd.DataFrame, fixed: str) -> Figure:
    """Rank among the candidates, a dot a word and draw: coloured where the organism hides it, grey
    where it does not. The word that selectors were fixed on is hollow; left of the dotted line lies
    the twentieth of the candidates in which chance puts one word of twenty."""
    found = found[found.half == ""]
    methods = [method for method in METHODS if method in set(found.method)]
    figure, ax = plt.subplots(figsize=(9.6, 0.6 * len(methods) + 1.4), layout="constrained")

    def draw(rows: pd.DataFrame, offset: float, **style) -> None:
        ax.scatter(rows["rank"], [methods.index(m) + offset for m in rows.method], **style)

    draw(found[found.organism != found.word], -0.2, s=12, color="0.7", linewidths=0,
         label="not hidden there")  # fmt: skip
    for i, word in enumerate(found.word.unique()):
        own = found[(found.organism == word) & (found.word == word)]
        face, name = ("none", f"{word} (fixed on it)") if word == fixed else (f"C{i}", word)
        if len(own):
            draw(own, 0.14, s=46, facecolors=face, edgecolors=f"C{i}", label=name)
    n = int(found.n.max())
    ax.axvline(n / 20, color="0.4", ls=":", lw=1)
    ax.set(xscale="log", xlim=(0.85, n * 1.15), xlabel=f"rank of the word among {n} candidates")
    ax.set_yticks(range(len(methods)), methods)
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    figure.suptitle("How early the hidden word comes, by every method")
    return figure
