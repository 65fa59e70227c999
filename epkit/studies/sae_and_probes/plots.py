"""Figures of the comparison of regions with SAE latents and with labels.

Tables hold `Interval`s (value, low, high). EP is drawn in one colour, random exemplars in another.

Does not know: how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epkit.studies.sae_and_probes import EP, RANDOM

STYLES = {EP: ("C0", "o"), RANDOM: ("C1", "s")}
BASIS_LINES = {"mean": "-", "exemplar": ":"}
SCALE_LINES = ("--", "-.", (0, (1, 4)))


def plot_shares(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    scale: Mapping[str, Sequence[float]],
    *,
    title: str,
    label: str,
) -> Figure:
    """A panel per column of intervals, over p, with a line per kind of features and basis.

    table : columns features ("EP", "random exemplars"), basis, p, and those of `columns`.
    columns : column of the table: title of its panel.
    scale : name: a value for each panel, drawn as a level line.
    """
    figure, axes = plt.subplots(
        1, len(columns), figsize=(5 * len(columns), 3.8), sharey=True, layout="constrained"
    )
    for i, (axis, (column, panel)) in enumerate(zip(axes, columns.items(), strict=True)):
        for (name, basis), part in table.groupby(["features", "basis"], sort=False):
            _line(axis, part.p, part[column], name, f"{name}, {basis}", BASIS_LINES[basis])
        for style, (name, values) in zip(SCALE_LINES, scale.items(), strict=False):
            axis.axhline(values[i], color="0.4", lw=1, ls=style, label=name)
        _percentiles(axis, table.p)
        axis.set(title=panel, ylim=(-0.02, 1.02))
    axes[0].set_ylabel(label)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    figure.suptitle(title)
    return figure


def plot_probes(table: pd.DataFrame, scale: Mapping[str, float], *, title: str) -> Figure:
    """A panel per probe: mean accuracy over p, of EP and of random exemplars at equal K.

    table : columns probe, exemplars ("EP", "random exemplars"), p, accuracy (intervals).
    scale : name: accuracy drawn as a level line in every panel.
    """
    probes = list(dict.fromkeys(table.probe))
    figure, axes = plt.subplots(
        1, len(probes), figsize=(3 * len(probes), 3.6), sharey=True, layout="constrained"
    )
    for axis, probe in zip(axes, probes, strict=True):
        part = table[table.probe == probe]
        for name, style in zip(STYLES, ("-", "--"), strict=True):
            own = part[part.exemplars == name]
            _line(axis, own.p, own.accuracy, name, name, style)
        for style, (name, value) in zip(("-", *SCALE_LINES), scale.items(), strict=False):
            axis.axhline(value, color="0.4", lw=1, ls=style, label=name)
        _percentiles(axis, table.p)
        axis.set_title(probe)
    axes[0].set_ylabel("mean accuracy on test texts (95 %)")
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(title)
    return figure


def plot_sets(accuracy: pd.DataFrame, *, title: str) -> Figure:
    """Accuracy of up to four methods (columns) on every set (rows), sorted by the first one."""
    accuracy = accuracy.sort_values(accuracy.columns[0])
    figure, axis = plt.subplots(figsize=(8, 0.27 * len(accuracy) + 1.5), layout="constrained")
    y = np.arange(len(accuracy))
    styles = (("|", "black", 70), ("o", "C0", 26), ("s", "C1", 26), ("x", "0.5", 26))
    for name, (marker, colour, size) in zip(accuracy, styles, strict=False):
        axis.scatter(accuracy[name], y, s=size, marker=marker, color=colour, label=name, zorder=3)
    axis.set_yticks(y, accuracy.index, fontsize=8)
    axis.axvline(0.5, color="0.7", lw=1)
    axis.grid(axis="y", alpha=0.3)
    axis.set(xlabel="accuracy on test texts", title=title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _line(axis: Axes, p: pd.Series, intervals: pd.Series, name: str, label: str, line) -> None:
    """Values with their intervals over p, in the style of `name`."""
    order = np.argsort(p.to_numpy())
    value, low, high = np.array(intervals.tolist())[order].T
    colour, marker = STYLES[name]
    axis.errorbar(
        p.to_numpy()[order], value, [value - low, high - value], color=colour, marker=marker,
        capsize=2, ls=line, label=label,
    )  # fmt: skip


def _percentiles(axis: Axes, p: pd.Series) -> None:
    """A logarithmic axis with a tick at every percentile there is."""
    ticks = sorted(p.unique())
    axis.set(xscale="log", xlabel="percentile p of the threshold (%)")
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
