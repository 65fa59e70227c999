"""Figures of the refusal experiment: regions, sweep, conditions, steering.

Does not know: how the numbers came about.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from epkit.plots.growth import plain_ticks


def plot_regions(table: pd.DataFrame, chosen: int) -> Figure:
    """Refusal rate of every region with its interval; the dot's area is its number of members."""
    table = table.sort_values("rate").reset_index()
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    x = np.arange(len(table))
    axes.vlines(x, table.low, table.high, color="0.8", zorder=1)
    colours = np.where(table.region == chosen, "C3", "C0")
    axes.scatter(x, table.rate, s=6 * table.members, c=colours, alpha=0.7, zorder=2)
    at = int(table.index[table.region == chosen][0])
    axes.annotate(
        f"region {chosen}", (at, table.rate[at]), (-10, -28), textcoords="offset points",
        ha="right", arrowprops={"arrowstyle": "-", "color": "C3"}, color="C3",
    )  # fmt: skip
    axes.set(
        xlabel="region, by refusal rate", ylabel="share of members refused", ylim=(-0.06, 1.06),
        title="Refusal by region, final position, build prompts\n(area: members; bars: 95 %)",
    )  # fmt: skip
    return figure


def plot_layer_grid(table: pd.DataFrame, values: str, title: str, label: str) -> Figure:
    """`values` of a table with columns layer and p, as a grid; empty where there is none."""
    grid = table.pivot(index="layer", columns="p", values=values).sort_index(ascending=False)
    grid = grid.astype(float)
    figure, axes = plt.subplots(figsize=(6.5, 3), layout="constrained")
    image = axes.imshow(grid, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(grid.to_numpy()):
        if np.isfinite(value):
            colour = "white" if value < 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(grid.shape[1]), [f"{p:g}" for p in grid.columns])
    axes.set_yticks(range(len(grid)), grid.index)
    axes.set(xlabel="percentile p of the threshold", ylabel="layer", title=title)
    figure.colorbar(image, label=label)
    return figure


def plot_conditions(table: pd.DataFrame) -> Figure:
    """Held-out refusal of every condition with intervals, and perplexity beside it."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 0.42 * len(table) + 1.5), sharey=True, layout="constrained",
        width_ratios=(3, 2),
    )  # fmt: skip
    y = np.arange(len(table))
    for i, (side, colour) in enumerate((("harmful", "C3"), ("benign", "C0"))):
        value = table[f"{side} refused"]
        reach = [value - table[f"{side} low"], table[f"{side} high"] - value]
        place = y + 0.2 * (2 * i - 1)
        left.errorbar(value, place, xerr=np.array(reach), fmt="o", color=colour, label=side)
        right.plot(table[f"{side} perplexity"], place, "o", color=colour)
    left.set_yticks(y, table.index)
    left.invert_yaxis()
    left.axvline(0.1, color="0.7", ls=":")
    left.set(xlim=(-0.03, 1.03), xlabel="share of prompts refused (95 %)")
    right.set(xscale="log", xlabel="perplexity of the answers\nunder the unedited model")
    plain_ticks(right.xaxis)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle("Held-out prompts under each edit")
    return figure


def plot_steering(table: pd.DataFrame) -> Figure:
    """Refusal of benign prompts and perplexity over α, a line for each direction."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
    for i, (name, rows) in enumerate(table.groupby("direction", sort=False)):
        reach = np.array([rows["refused"] - rows["low"], rows["high"] - rows["refused"]])
        left.errorbar(
            rows["alpha"], rows["refused"], yerr=reach, marker="o", color=f"C{i}", label=name
        )
        right.plot(rows["alpha"], rows["perplexity"], marker="o", color=f"C{i}", label=name)
    left.set(ylim=(-0.03, 1.03), ylabel="share refused (95 %)")
    right.set(yscale="log", ylabel="perplexity (unedited model)")
    plain_ticks(right.yaxis)
    for axes in (left, right):
        axes.set_xlabel("α, in typical norms of the layer")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center")
    figure.suptitle("Steering along the direction, benign prompts")
    return figure
