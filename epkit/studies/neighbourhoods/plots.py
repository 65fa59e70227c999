"""Figures of neighbourhoods: what lies between, paths, splits, what neighbours share, recurrence.

Labels are strings from the caller, drawable ones (`labels.drawable`), of one or two lines.

Does not know: how the numbers came about; models, tokenizers.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from epkit.stats import Interval
from epkit.studies.neighbourhoods.memberships import REST, Flow

BOX = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.6", "linewidth": 0.8}
END = {"facecolor": "#e8eef7"}
ARROW = {"arrowstyle": "-|>", "color": "0.45", "linewidth": 1.0, "shrinkA": 2, "shrinkB": 2}


class Bridge(NamedTuple):
    """Two regions and some of those between: labels, and the cosines of means."""

    title: str
    a: str
    b: str
    cosine: float
    middle: list[tuple[str, float, float]]
    """Label, cosine with a, cosine with b."""


def plot_bridges(bridges: Sequence[Bridge], title: str) -> Figure:
    """A panel per bridge: a on the left, b on the right, regions between them; cosines on arrows.

    The curved arrow below is the direct one.
    """
    rows = [max(2, len(bridge.middle)) for bridge in bridges]
    figure, axes = plt.subplots(
        len(bridges), 1, figsize=(11, 0.58 * sum(rows) + 1.3 * len(rows)), squeeze=False,
        layout="constrained", height_ratios=[r + 1.5 for r in rows],
    )  # fmt: skip
    for ax, bridge, n in zip(axes[:, 0], bridges, rows, strict=True):
        _draw_bridge(ax, bridge, n)
    figure.suptitle(title)
    return figure


def _draw_bridge(ax: Axes, bridge: Bridge, rows: int) -> None:
    ax.axis("off")
    ax.set(xlim=(0, 10), ylim=(-1.5, rows - 0.4), title=bridge.title)
    y = (rows - 1) / 2
    a, b = (_node(ax, x, y, t, END) for x, t in ((1.1, bridge.a), (8.9, bridge.b)))
    first = y + (len(bridge.middle) - 1) / 2
    for i, (label, to_a, to_b) in enumerate(bridge.middle):
        node = _node(ax, 5, first - i, label)
        for end, x, where, cosine in ((a, 1.1, 3.0, to_a), (b, 8.9, 7.0, to_b)):
            ends = {"patchA": end.get_bbox_patch(), "patchB": node.get_bbox_patch()}
            # Drawn after the boxes, whose extents are only then those of this drawing.
            ax.annotate("", (5, first - i), (x, y), zorder=4, arrowprops=ARROW | ends)
            at = y + (first - i - y) * (where - x) / (5 - x)
            ax.text(
                where, at, f"{cosine:.2f}", ha="center", va="center", fontsize=9, zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
    ends = {"patchA": a.get_bbox_patch(), "patchB": b.get_bbox_patch()}
    curve = {"color": "C3", "connectionstyle": f"arc3,rad={0.15 * (y + 0.9):.3f}"}
    ax.annotate("", (8.9, y), (1.1, y), zorder=4, arrowprops=ARROW | ends | curve)
    ax.text(5, -1.3, f"direct {bridge.cosine:.2f}", ha="center", va="center", color="C3")
    if not bridge.middle:
        ax.text(5, y, "nothing lies between", ha="center", va="center", color="0.4")


def _node(ax: Axes, x: float, y: float, label: str, extra: dict | None = None) -> Text:
    return ax.text(
        x, y, label, ha="center", va="center", fontsize=9, bbox=BOX | (extra or {}), zorder=3
    )


def plot_excess(table: pd.DataFrame, title: str) -> Figure:
    """Share between near regions beside chance, and how much more EP's excess is, by percentile.

    table : of `excess.excess_table`, indexed by p and points. Left: the share between (dots), and
    chance (bars); right: EP's excess less that of the others at the same distances.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, 3.8), layout="constrained", width_ratios=(4, 3)
    )
    levels, kinds = list(table.index.unique("p")), list(table.index.unique("points"))
    for i, kind in enumerate(kinds):
        rows = table.xs(kind, level="points").loc[levels]
        place = np.arange(len(levels)) + 0.22 * (i - (len(kinds) - 1) / 2)
        _dots(left, place, rows["between"], rows["excess"], f"C{i}", kind)
        left.hlines(rows["chance"], place - 0.09, place + 0.09, color=f"C{i}", lw=2, alpha=0.6)
        known = np.array([more is not None for more in rows["EP more"]])
        more = rows["EP more"][known]
        _dots(right, place[known], [m.value for m in more], more, f"C{i}")
    left.plot([], [], color="0.4", lw=2, alpha=0.6, label="chance")
    right.axhline(0, color="0.6", lw=1, ls=":")
    ks = table.xs(kinds[0], level="points")["K"]
    for ax in (left, right):
        ax.set_xticks(range(len(levels)), [f"p {p:g}\nK {ks[p]:,}" for p in levels])
        ax.set_xlim(-0.5, len(levels) - 0.5)
        sns.despine(ax=ax)
    left.set(ylabel="share of regions between", ylim=(0, None))
    left.set_title("Near pairs (95 % of the excess over chance)")
    right.set(ylabel="EP's excess less that of", title="At the same distances (95 %)")
    named = left.get_legend_handles_labels()
    figure.legend(*named, frameon=False, loc="outside lower center", ncols=len(kinds) + 1)
    figure.suptitle(title)
    return figure


def _dots(
    ax: Axes, place: np.ndarray, value: Sequence[float], spread: Sequence[Interval], colour: str,
    label: str = "",
) -> None:  # fmt: skip
    """Values with error bars as wide as intervals of something that moves with them."""
    if len(place):
        reach = np.abs([(i.value - i.low, i.high - i.value) for i in spread]).T
        ax.errorbar(place, value, yerr=reach, fmt="o", color=colour, label=label, ms=5)


class Route(NamedTuple):
    """A path: labels of its regions in order, and the cosine of each step."""

    title: str
    labels: list[str]
    cosines: list[float]


def plot_routes(routes: Sequence[Route], title: str) -> Figure:
    """Paths from top to bottom, one a column, with the cosine of every step on its arrow."""
    longest = max(len(route.labels) for route in routes)
    figure, axes = plt.subplots(
        1, len(routes), figsize=(3.6 * len(routes), 0.62 * longest + 1), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax, route in zip(axes[0], routes, strict=True):
        ax.axis("off")
        ax.set(xlim=(-1, 1), ylim=(0.5 - longest, 0.5), title=route.title)
        last = len(route.labels) - 1
        for i, label in enumerate(route.labels):
            _node(ax, 0, -i, label, END if i in (0, last) else None)
        for i, cosine in enumerate(route.cosines):
            ax.annotate("", (0, -i - 0.72), (0, -i - 0.28), arrowprops=ARROW)
            ax.text(0.06, -i - 0.5, f"{cosine:.2f}", ha="left", va="center", fontsize=8)
    figure.suptitle(title)
    return figure


def plot_split_flow(
    flow: Flow, levels: Sequence[str], labels: Sequence[Sequence[str]], title: str
) -> Figure:
    """Where the members of a coarse region lie in finer dictionaries: a column per level.

    Bars are as high as the members they hold, ribbons as wide as the members that go on.

    levels, labels : the name of every level, and of every region of it in the flow's order.
    """
    total = int(flow.members[0].sum())
    gap = 0.03 * total
    most = max(len(shown) for shown in flow.regions)
    figure, ax = plt.subplots(figsize=(3.7 * len(levels), 0.75 * most + 1.2), layout="constrained")
    bottoms = [_stack(members, gap, total + (most - 1) * gap) for members in flow.members]
    palette = sns.color_palette("husl", max(1, len(flow.regions[min(1, len(levels) - 1)])))
    colours: list[list] = [["0.55"]]
    for i, links in enumerate(flow.links):
        parent = links.argmax(axis=0)
        own = [palette[j] if i == 0 else colours[-1][parent[j]] for j in range(links.shape[1])]
        colours.append([
            "0.75" if r == REST else c for r, c in zip(flow.regions[i + 1], own, strict=True)
        ])  # fmt: skip
        _ribbons(ax, i, links, bottoms[i], bottoms[i + 1], colours[i + 1])
    for i, (members, low) in enumerate(zip(flow.members, bottoms, strict=True)):
        for j, height in enumerate(members):
            ax.bar(i, height, 0.05, low[j], color=colours[i][j], edgecolor="none", zorder=3)
            ax.text(
                i + 0.04, low[j] + height / 2, f"{labels[i][j]}  ({height:,})", va="center",
                fontsize=9, zorder=4,
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
            )  # fmt: skip
    ax.set_xticks(range(len(levels)), levels)
    ax.set(xlim=(-0.06, len(levels) - 0.25), yticks=[], xlabel="dictionary, coarse to fine")
    sns.despine(ax=ax, left=True, bottom=True)
    ax.set_title(title)
    return figure


def _stack(members: np.ndarray, gap: float, height: float) -> np.ndarray:
    """Bottoms of bars stacked from the top, in the middle of a column of this height."""
    used = members.sum() + gap * (len(members) - 1)
    tops = (height + used) / 2 - np.concatenate([[0], (members + gap).cumsum()[:-1]])
    return tops - members


def _ribbons(
    ax: Axes, level: int, links: np.ndarray, left: np.ndarray, right: np.ndarray, colours: list
) -> None:
    x = np.linspace(0, 1, 40)
    bend = (1 - np.cos(np.pi * x)) / 2
    # Both ends are filled from the top down, in the order of the bars at the other end.
    start = left + links.sum(axis=1)
    end = right + links.sum(axis=0)
    for (i, j), n in np.ndenumerate(links):
        if n:
            top = start[i] + (end[j] - start[i]) * bend
            ax.fill_between(
                level + 0.025 + 0.95 * x, top - n, top, color=colours[j], alpha=0.3, linewidth=0
            )
            start[i] -= n
            end[j] -= n


def plot_agreement(curves: pd.DataFrame, baseline: pd.DataFrame, title: str) -> Figure:
    """What two regions share against how far apart they are, a panel per measure.

    curves : columns measure, dictionary, distance, value, low, high; in order of distance.
    baseline : columns measure, dictionary, value: of random pairs, drawn dotted.
    """
    measures = curves["measure"].unique()
    figure, axes = plt.subplots(
        1, len(measures), figsize=(3.5 * len(measures), 3.5), squeeze=False, layout="constrained"
    )
    for ax, measure in zip(axes[0], measures, strict=True):
        here = curves[curves["measure"] == measure]
        for i, (name, rows) in enumerate(here.groupby("dictionary", sort=False)):
            reach = np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]])
            ax.errorbar(rows["distance"], rows["value"], yerr=reach, fmt="o-", ms=4, color=f"C{i}",
                        label=name)  # fmt: skip
            level = baseline.query("measure == @measure and dictionary == @name")["value"]
            ax.axhline(float(level.iloc[0]), color=f"C{i}", linestyle=":", linewidth=1)
        ax.set(title=measure, xlabel="median distance of the pairs", ylim=(0, None))
        sns.despine(ax=ax)
    axes[0, 0].set_ylabel("mean over pairs of regions (95 %)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(title)
    return figure


def plot_new_members(table: pd.DataFrame, title: str) -> Figure:
    """What regions of one half of a stream receive from the other, by their size in the first.

    table : columns dictionary, size, others, mean new, low, high, recur, recur low, recur high.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
    sizes = list(dict.fromkeys(table["size"]))
    for i, (name, rows) in enumerate(table.groupby("dictionary", sort=False)):
        x = np.array([sizes.index(s) for s in rows["size"]]) + 0.12 * (2 * i - 1)
        for ax, value, low, high in (
            (left, "recur", "recur low", "recur high"), (right, "mean new", "low", "high"),
        ):  # fmt: skip
            reach = np.array([rows[value] - rows[low], rows[high] - rows[value]])
            ax.errorbar(x, rows[value], yerr=reach, fmt="o", ms=5, color=f"C{i}", label=name)
        right.plot(x, rows["others"], "_", ms=14, color=f"C{i}", label=f"{name}: others in build")
    for ax in (left, right):
        ax.set_xticks(range(len(sizes)), sizes)
        ax.set_xlabel("members of the region in the build half")
        sns.despine(ax=ax)
    left.set(ylim=(0, 1.03), ylabel="share of regions with a new member (95 %)")
    right.set(yscale="symlog", ylim=(0, None), ylabel="new members per region (95 %)")
    right.legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    return figure


def plot_distributions(
    values: Mapping[str, Mapping[str, np.ndarray]], bins: Mapping[str, np.ndarray], title: str
) -> Figure:
    """Outlined histograms of several quantities, a panel each, one colour per dictionary.

    values : {quantity: {dictionary: (K,) values}}; bins : {quantity: edges}, logarithmic ones give
    a logarithmic axis.
    """
    figure, axes = plt.subplots(
        1, len(values), figsize=(4 * len(values), 3.6), squeeze=False, layout="constrained"
    )
    for ax, (quantity, by_name) in zip(axes[0], values.items(), strict=True):
        for i, (name, value) in enumerate(by_name.items()):
            weight = np.full(len(value), 1 / len(value))
            ax.hist(value, bins[quantity], weights=weight, histtype="step", linewidth=1.5,
                    color=f"C{i}", label=name)  # fmt: skip
        steps = np.diff(bins[quantity])
        if steps[-1] > 2 * steps[0]:
            ax.set_xscale("log")
        ax.set_xlabel(quantity)
        sns.despine(ax=ax)
    axes[0, 0].set_ylabel("share of regions")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(title)
    return figure
