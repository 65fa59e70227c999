"""Figures of the refusal experiment: regions, conditions with their controls, steering.

Does not know: how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epkit.plots.growth import plain_ticks

SIDES = (("harmful", "C3"), ("benign", "C0"))


def plot_regions(table: pd.DataFrame, chosen: int) -> Figure:
    """Refusal rate of every region with its interval; the dot's area is its number of members."""
    table = table.sort_values("rate").reset_index()
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    x = np.arange(len(table))
    axes.vlines(x, table.low, table.high, color="0.8", zorder=1)
    colours = np.where(table.region == chosen, "C3", "C0")
    axes.scatter(x, table.rate, s=6 * table.members, c=colours, alpha=0.7, zorder=2)
    axes.set(
        xlabel=f"regions by refusal rate (red: region {chosen}, the one to edit)",
        ylabel="share of members refused", ylim=(-0.06, 1.06),
        title="Refusal by region, final position, build prompts\n(area: members; bars: 95 %)",
    )  # fmt: skip
    return figure


def plot_conditions(table: pd.DataFrame, rates: Mapping[str, np.ndarray], n_prompts: int) -> Figure:
    """Held-out refusal and perplexity of every condition, and below them the controls as dots.

    table : `condition_table`. rates : of `control_table`, on `n_prompts` of the harmful prompts.
    """
    kinds = [name for name in rates if name != "no edit"]
    names = [*table.index, *(f"{name}, {n_prompts} prompts" for name in kinds)]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.5, 0.42 * len(names) + 1.5), sharey=True, layout="constrained",
        width_ratios=(3, 2),
    )  # fmt: skip
    for i, (side, colour) in enumerate(SIDES):
        place = np.arange(len(table)) + 0.2 * (2 * i - 1)
        _bars(left, table[f"{side} refused"], place, colour, side)
        _bars(right, table[f"{side} perplexity"], place, colour, side)
    for i, name in enumerate(kinds, len(table)):
        found = np.sort(rates[name])
        # Equal rates are drawn beside each other, so that each of them can be seen.
        beside = [int((found[:j] == found[j]).sum()) for j in range(len(found))]
        left.plot(found, i + 0.36 - 0.036 * np.array(beside), ".", color="0.35", markersize=5)
    left.axhline(len(table) - 0.5, color="0.8", lw=1)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set(xlim=(-0.03, 1.03), xlabel="share of prompts refused (95 %)")
    right.set(xscale="log", xlabel="perplexity of the answers\nunder the unedited model (95 %)")
    plain_ticks(right.xaxis)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    figure.suptitle("Held-out prompts under each edit, and one dot a control")
    return figure


def _bars(axes: Axes, intervals: pd.Series, place: np.ndarray, colour: str, label: str) -> None:
    """Values with their limits, side by side."""
    value, low, high = np.array([tuple(interval) for interval in intervals]).T
    reach = np.clip([value - low, high - value], 0, None)
    axes.errorbar(value, place, xerr=reach, fmt="o", color=colour, label=label, markersize=4)


def plot_steering(table: pd.DataFrame) -> Figure:
    """Refusal of benign build prompts and perplexity over α, a line for each direction."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    start = table[table["α"] == 0]
    steered = table[table["α"] > 0]
    for i, (name, rows) in enumerate(steered.groupby("direction", sort=False)):
        rows = pd.concat([start, rows])
        for axes, column in ((left, "refused"), (right, "perplexity")):
            value, low, high = np.array([tuple(one) for one in rows[column]]).T
            reach = np.clip([value - low, high - value], 0, None)
            x = rows["α"] + 0.004 * i
            axes.errorbar(x, value, yerr=reach, marker="o", color=f"C{i}", label=name, capsize=2)
    left.set(ylim=(-0.03, 1.03), ylabel="share refused (95 %)")
    right.set(yscale="log", ylabel="perplexity, unedited model (95 %)")
    plain_ticks(right.yaxis)
    for axes in (left, right):
        axes.set_xlabel("α, in typical norms of the layer")
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False
    )
    figure.suptitle("Steering along a direction, benign build prompts")
    return figure
