"""Figures of saturation: growth by domain, K against θ, K against depth.

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

PANEL = (3.9, 3.6)
"""Width and height of a panel in inches."""
RULES = {"published": ("v", "published rule stops"), "ours": ("o", "our rule stops")}
"""Signs and names of the two stopping rules."""


def plot_domain_growth(table: pd.DataFrame, marks: pd.DataFrame, title: str) -> Figure:
    """Regions against activations seen, both logarithmic: a panel per p, a line per domain.

    table : columns p, domain, order, n, K. The line is the mean over orders, the band their range.
    marks : columns p, domain, rule, n, K, where a stream's own order stops: ▼ by the published
    rule, ● by ours. A straight line is growth by a power of the length; a flat one has saturated.
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
        for rule in marks.rule.unique():
            shape, label = RULES[rule]
            ax.plot([], [], shape, color="0.3", label=label)
            for mark in marks[(marks.p == p) & (marks.rule == rule)].itertuples():
                ax.plot(mark.n, mark.K, shape, color=colours[mark.domain], mec="black", ms=8)
        ax.set(xscale="log", yscale="log", xlabel="activations seen")
        plain_ticks(ax.xaxis, (1,))
        plain_ticks(ax.yaxis, (1, 2, 5))
    _finish(figure, axes, "regions K", title)
    return figure


def plot_thresholds(
    table: pd.DataFrame, thresholds: Mapping[int, float], shared: float, title: str
) -> Figure:
    """K against θ, a panel per domain, a line per layer.

    table : columns domain, layer, θ, K. thresholds : {layer: its own θ}, a dot on its line.
    shared : the θ that is the same for all layers, dotted.
    """
    colours = dict(zip(thresholds, sns.color_palette("viridis", len(thresholds)), strict=True))
    figure, axes = _panels(table.domain.unique(), "{}", sharey=True)
    for name, ax in axes.items():
        for layer, rows in table[table.domain == name].groupby("layer"):
            ax.plot(rows["θ"], rows.K, color=colours[layer], label=f"layer {layer}")
            own = np.exp(np.interp(thresholds[layer], rows["θ"], np.log(rows.K)))
            ax.plot(thresholds[layer], own, "o", color=colours[layer], mec="black", ms=6)
        ax.axvline(shared, color="0.4", ls=":", label="shared θ")
        ax.set(yscale="log", xlabel="cosine distance θ")
        plain_ticks(ax.yaxis, (1, 3))
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
