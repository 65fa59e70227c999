"""Figures of saturation: growth by domain, K against depth, predictions, the repeated corpus.

Functions take long tables and return a matplotlib Figure that is not shown yet.

Does not know: how the numbers came about.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epkit.plots.growth import plain_ticks

PANEL = (4.6, 3.6)
"""Width and height of a panel in inches."""


def plot_domain_growth(table: pd.DataFrame, title: str) -> Figure:
    """Regions against activations seen, both logarithmic: a panel per p, a line per domain.

    table : columns p, domain, order, n, K. The line is the mean over orders, the band their range.
    A straight line is growth by a power of the length; one that lies flat has saturated.
    """
    colours = domain_colours(table.domain.unique())
    figure, axes = _panels(table.p.unique(), "p = {:g}", sharey=False)
    for p, ax in axes.items():
        for name, rows in table[table.p == p].groupby("domain", sort=False):
            over = rows.groupby("n").K.agg(["mean", "min", "max"])
            over = over[over["min"] > 0]
            ax.plot(over.index, over["mean"], color=colours[name], label=name)
            ax.fill_between(
                over.index, over["min"], over["max"], color=colours[name], alpha=0.2, lw=0
            )
        ax.set(xscale="log", yscale="log", xlabel="activations seen")
        plain_ticks(ax.xaxis, (1, 3))
        plain_ticks(ax.yaxis, (1, 2, 5))
    _finish(figure, axes, "regions K", title)
    return figure


def plot_depth(tables: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """K against depth, a panel per table, a line per domain with its intervals.

    tables : {panel title: columns layer, domain, K, low, high}.
    """
    names = pd.concat(tables.values()).domain.unique()
    colours = domain_colours(names)
    figure, axes = _panels(list(tables), "{}", sharey=False)
    for key, ax in axes.items():
        for i, (name, rows) in enumerate(tables[key].groupby("domain", sort=False)):
            reach = [rows.K - rows.low, rows.high - rows.K]
            ax.errorbar(
                rows.layer + 0.25 * (i - (len(names) - 1) / 2), rows.K, yerr=np.array(reach),
                color=colours[name], label=name, marker="o", ms=4, capsize=2,
            )  # fmt: skip
        ax.set(xlabel="layer", ylim=(0, None))
        ax.set_xticks(sorted(tables[key].layer.unique()))
    _finish(figure, axes, "regions K", title)
    return figure


def plot_predictions(table: pd.DataFrame, methods: Sequence[str], title: str) -> Figure:
    """Predicted over observed K by method, a panel per p, a dot per domain and layer.

    table : columns p, domain, method, ratio. The dotted line is a right prediction.
    """
    colours = domain_colours(table.domain.unique())
    figure, axes = _panels(table.p.unique(), "p = {:g}", sharey=True)
    for p, ax in axes.items():
        for i, (name, rows) in enumerate(table[table.p == p].groupby("domain", sort=False)):
            at = rows.method.map(list(methods).index) + 0.13 * (i - 1.5)
            ax.plot(rows.ratio, at, "o", ms=4, alpha=0.7, color=colours[name], label=name)
        ax.axvline(1, color="0.5", ls=":")
        ax.set(xlabel="predicted K / observed K")
        ax.set_yticks(range(len(methods)), methods)
    next(iter(axes.values())).invert_yaxis()
    _finish(figure, axes, "", title)
    return figure


def plot_repeats(curves: Mapping[str, pd.DataFrame], once: int, title: str) -> Figure:
    """Growth of a small corpus read again and again beside that of fresh text.

    curves : {label: columns n, K}, the fresh text first. once : activations in the small corpus.
    """
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for i, (label, rows) in enumerate(curves.items()):
        ax.plot(rows.n, rows.K, color=f"C{i}", ls="-" if i == 0 else "--", label=label)
    for at in np.arange(once, max(rows.n.max() for rows in curves.values()), once):
        ax.axvline(at, color="0.85", lw=0.8, zorder=0)
    ax.set(xlabel="activations seen", ylabel="regions K", ylim=(0, None), title=title)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.legend(frameon=False, loc="lower right")
    sns.despine(ax=ax)
    return figure


def domain_colours(names: Sequence[str]) -> dict[str, object]:
    """A colour per domain, grey for the mixed stream."""
    palette = iter(sns.color_palette("colorblind", len(names)))
    return {name: "0.45" if name == "mixed" else next(palette) for name in names}


def _panels(keys: Sequence, title: str, *, sharey: bool) -> tuple[Figure, dict[object, Axes]]:
    figure, axes = plt.subplots(
        1, len(keys), figsize=(PANEL[0] * len(keys), PANEL[1]), sharey=sharey, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax, key in zip(axes[0], keys, strict=True):
        ax.set_title(title.format(key))
        sns.despine(ax=ax)
    return figure, dict(zip(keys, axes[0], strict=True))


def _finish(figure: Figure, axes: dict[object, Axes], ylabel: str, title: str) -> None:
    """Label on the leftmost panel, one legend below, the title above."""
    first = next(iter(axes.values()))
    first.set_ylabel(ylabel)
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(title)
