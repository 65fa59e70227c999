"""Figures of the out-of-distribution notebook: distances per corpus, sweeps, scores side by side.

Functions take scores or tables with `Interval` cells and return a matplotlib Figure that is not
shown yet. A corpus has the same colour in all of them.

Does not know: models, dictionaries.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor


def plot_text_distances(scores: Mapping[str, Tensor], threshold: float, title: str) -> Figure:
    """Distances of tokens (left) and mean distances of texts (right), a line per corpus.

    scores : {corpus: (W, T)}, the reference corpus first. threshold : θ, dotted on the left.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    widest = max(float(values.max()) for values in scores.values())
    bins = np.linspace(0, widest, 45)
    for (corpus, values), colour in zip(scores.items(), _colours(len(scores)), strict=True):
        values = values.cpu()
        token, text = values.flatten().numpy(), values.double().mean(dim=1).numpy()
        share = np.full(len(token), 1 / len(token))
        left.hist(token, bins, weights=share, histtype="step", lw=1.5, color=colour, label=corpus)
        right.ecdf(text, color=colour, lw=1.5)
    left.axvline(threshold, color="0.4", ls=":", lw=1.5, label="θ")
    left.set(xlabel="cosine distance of a token to the nearest exemplar", ylabel="share of tokens")
    right.set(xlabel="mean cosine distance of a text", ylabel="share of texts below")
    left.legend(frameon=False)
    figure.suptitle(title)
    return figure


def plot_separation(table: pd.DataFrame, layer: int, p: float) -> Figure:
    """Gap in mean distance and AUROC against p (at a layer) and against depth (at a p).

    table : columns layer, p, corpus, gap, auroc (`Interval` cells), random gap, random auroc
    (floats, of random exemplars at equal K, dashed).
    """
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), sharey="row", layout="constrained")
    corpora = list(table["corpus"].unique())
    colours = _colours(len(corpora) + 1)[1:]
    for row, value in enumerate(("gap", "auroc")):
        for corpus, colour in zip(corpora, colours, strict=True):
            own = table[table["corpus"] == corpus]
            for ax, over, part in (
                (axes[row, 0], "p", own[own["layer"] == layer]),
                (axes[row, 1], "layer", own[own["p"] == p]),
            ):
                _errorbars(ax, part[over], part[value], colour, corpus)
                ax.plot(part[over], part[f"random {value}"], ls="--", lw=1, color=colour)
        axes[row, 0].set(xscale="log", xlabel="percentile p of the threshold")
        ticks = sorted(table["p"].unique())
        axes[row, 0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes[row, 0].minorticks_off()
        axes[row, 1].set(xlabel="layer", xticks=sorted(table["layer"].unique()))
        for ax in axes[row]:
            ax.axhline(0 if value == "gap" else 0.5, color="0.6", lw=1)
    axes[0, 0].set(title=f"layer {layer}", ylabel="gap: mean distance over that of\nheld-out text")
    axes[0, 1].set_title(f"p = {p:g}")
    axes[1, 0].set_ylabel("AUROC of tokens")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles.append(plt.Line2D([], [], color="0.4", ls="--", lw=1))
    figure.legend(
        handles, [*labels, "random exemplars, equal K"], loc="outside lower center", ncols=3
    )
    figure.suptitle("Distance from held-out text (95 % intervals over texts)")
    return figure


def plot_methods(table: pd.DataFrame, value: str, title: str) -> Figure:
    """A panel per corpus, a row per score: AUROC with intervals.

    table : columns method, corpus and `value` (`Interval` cells); rows of a corpus in the order in
    which the methods are to stand.
    """
    corpora = list(table["corpus"].unique())
    methods = list(table["method"].unique())
    figure, axes = plt.subplots(
        1, len(corpora), figsize=(2.1 * len(corpora) + 2.5, 0.33 * len(methods) + 1.4),
        sharex=True, sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    for ax, corpus, colour in zip(axes[0], corpora, _colours(len(corpora) + 1)[1:], strict=True):
        cells = table[table["corpus"] == corpus].set_index("method").loc[methods, value]
        for y, cell in enumerate(cells):
            ax.plot([cell.low, cell.high], [y, y], color=colour, lw=2)
            ax.plot(cell.value, y, "o", color=colour, mfc=colour if y == 0 else "white")
        ax.axvline(cells.iloc[0].value, color=colour, lw=0.8, ls=":")
        ax.axvline(0.5, color="0.6", lw=1)
        ax.set(title=corpus, xlim=(-0.03, 1.03), xticks=[0, 0.5, 1])
    axes[0, 0].set_yticks(range(len(methods)), methods)
    axes[0, 0].invert_yaxis()
    figure.supxlabel("AUROC against held-out text (95 %)", fontsize="medium")
    figure.suptitle(title)
    return figure


def _errorbars(ax: Axes, x: pd.Series, cells: pd.Series, colour: tuple, label: str) -> None:
    value = np.array([cell.value for cell in cells])
    reach = [[c.value - c.low for c in cells], [c.high - c.value for c in cells]]
    ax.errorbar(x, value, yerr=reach, marker="o", ms=4, capsize=2, color=colour, label=label)


def _colours(n: int) -> list[tuple]:
    return [(0.1, 0.1, 0.1), *sns.color_palette("colorblind", n - 1)]
