"""Figures of notebook 13: kinds found and regions read, by prevalence and by percentile.

Functions take tables of `by_kind` and return a matplotlib Figure that is not shown yet. A reader
has the same colour and marker in all of them.

Does not know: how the numbers came about.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from epkit.studies.rare_kinds.kinds import NO_KIND
from epkit.studies.rare_kinds.readers import METHODS
from epkit.studies.rare_kinds.tables import curve

STYLE = {
    method: {"color": colour, "marker": marker, "lw": 2.2 if i == 0 else 1.3}
    for i, (method, colour, marker) in enumerate(
        zip(METHODS, sns.color_palette("colorblind", len(METHODS)), "osD^vPX", strict=True)
    )
}
AXES = {"prevalence": "prevalence in the stream, %", "p": "percentile p of the threshold"}


def plot_found(table: pd.DataFrame, over: str, kinds: list[str], title: str) -> Figure:
    """Share of runs in which a kind is found, recall, and regions read until it is seen.

    table : at one percentile, or at one prevalence. over : the other of the two. kinds : those on
    which no rule was chosen, for the last panel; its dotted lines are reading in random order.
    """
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.9), layout="constrained")
    none = table[table.kind == NO_KIND].assign(kind="none")
    for ax, column in zip(axes, ("found", "recall"), strict=False):
        _lines(ax, curve(table, over, column))
    if len(none):
        _lines(axes[0], curve(none, over, "found"), ls=":", lw=1, ms=3, label=None)
    tested = table[table.kind.isin(kinds)]
    _lines(axes[2], 2 ** curve(tested, over, "log2_read"))
    _lines(axes[2], 2 ** curve(tested, over, "log2_random"), ls=":", lw=1, ms=3, label=None)
    labels = (
        "runs with a region of the kind\n(dotted: passages of no kind)",
        "held-out activations of the kind\nthat are in its regions",
        "regions read until the kind is seen\n(dotted: in random order)",
    )
    for ax, label in zip(axes, labels, strict=True):
        ax.set(xscale="log", xlabel=AXES[over], title=label)
        ticks = sorted(table[over].unique())
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    for ax in axes[:2]:
        ax.set_ylim(bottom=0)
    axes[2].set_yscale("log")
    low, high = axes[2].get_ylim()
    ticks = [n for n in (1, 3, 10, 30, 100, 300, 1000, 3000, 10000) if low <= n <= high]
    axes[2].set_yticks(ticks, [f"{n:,}" for n in ticks], minor=False)
    axes[2].yaxis.set_minor_formatter(NullFormatter())
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4)
    figure.suptitle(title)
    return figure


def _lines(ax: Axes, lines: pd.DataFrame, **style) -> None:
    for method in lines:
        ax.plot(lines.index, lines[method], **({"label": method} | STYLE[method] | style))


def plot_kinds(table: pd.DataFrame, title: str) -> Figure:
    """A panel a kind, at one setting: runs found (bar) and recall (dot), a reader a row."""
    kinds = list(table.kind.unique())
    methods = [m for m in METHODS if (table.method == m).any()]
    figure, axes = plt.subplots(
        1, len(kinds), figsize=(1.55 * len(kinds) + 2.6, 0.34 * len(methods) + 1.5), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for ax, kind in zip(axes[0], kinds, strict=True):
        own = table[table.kind == kind].set_index("method").loc[methods]
        colours = [STYLE[m]["color"] for m in methods]
        ax.barh(methods, own.found, color=colours, alpha=0.45)
        ax.scatter(own.recall, methods, color=colours, edgecolor="0.2", zorder=3)
        ax.set(title=kind.replace(" ", "\n", 1), xlim=(0, 1.05), xticks=[0, 0.5, 1])
    axes[0, 0].invert_yaxis()
    figure.supxlabel("bar: share of runs found; dot: recall on held-out text", fontsize="medium")
    figure.suptitle(title)
    return figure
