"""Figures of a comparison of two dictionaries: matched cosines, flows of members, what is new.

Numbers come in as tensors and tables, labels as strings from the caller.

Does not know: models, tokenizers, how the numbers came about.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from torch import Tensor

from epkit.plots.labels import drawable

GAP = 0.012
"""Free space between two regions of the flow diagram, as a share of its height."""


def plot_cosines(
    panels: Mapping[str, Mapping[str, Sequence[Tensor]]], cutoffs: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Matched cosines of several comparisons, one panel each: {panel: {comparison: cosines}}.

    The sequences of a comparison (one (M,) tensor for each pair of dictionaries) are pooled; the
    first comparison of a panel is the noise floor and filled, the others are outlined. Shares are
    on a logarithmic axis. `cutoffs`: {panel: {name: cosine}}, drawn as vertical lines.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.4 * len(panels), 4.2), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    lowest = min(float(c.min()) for rows in panels.values() for cs in rows.values() for c in cs)
    bins = np.linspace(min(0.0, np.floor(lowest * 10) / 10), 1, 41)
    for ax, (title, rows) in zip(axes[0], panels.items(), strict=True):
        for i, (name, parts) in enumerate(rows.items()):
            values = torch.cat([part.cpu() for part in parts]).numpy()
            style = {"color": "0.8"} if i == 0 else {"histtype": "step", "color": f"C{i - 1}"}
            weights = np.full(len(values), 1 / len(values))
            ax.hist(values, bins=bins, weights=weights, label=name, linewidth=1.6, **style)
        for i, (name, cutoff) in enumerate(cutoffs[title].items()):
            line = ("--", ":")[i % 2]
            ax.axvline(cutoff, color="black", linestyle=line, linewidth=1, label=name)
        ax.set(title=title, xlabel="cosine of matched regions", yscale="log", ylim=(5e-4, 1))
    axes[0, 0].set_ylabel("share of matched pairs")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    figure.suptitle("Matched cosines against the noise floor (grey: the same model)")
    return figure


def plot_region_flow(
    table: Tensor,
    labels_a: Sequence[str],
    labels_b: Sequence[str],
    *,
    n: int = 10,
    sides: tuple[str, str] = ("base", "tuned"),
) -> Figure:
    """Where the members of the n largest regions of a went, as ribbons to regions of b.

    table : (K_a, K_b) `contingency`. labels_a (K_a,), labels_b (K_b,): what to write beside them.
    On the right stand the n regions of b that take most of them, and all others as one. Heights
    are shares of the members of the n regions of a.
    """
    left, right, flows = _largest_flows(table, n)
    names = [*(labels_b[k] for k in right), "other regions"]
    figure, ax = plt.subplots(figsize=(8.5, 0.42 * len(left) + 1.2), layout="constrained")
    start, end = _tops(flows.sum(1)), _tops(flows.sum(0))
    _nodes(ax, 0.0, start, flows.sum(1), [labels_a[k] for k in left], "right")
    _nodes(ax, 1.0, end, flows.sum(0), names, "left")
    for i, j in zip(*flows.nonzero(), strict=True):
        ax.add_patch(_ribbon(start[i], end[j], flows[i, j], f"C{i % 10}"))
        start[i] -= flows[i, j]
        end[j] -= flows[i, j]
    ax.set(xlim=(-0.6, 1.6), ylim=(min(start.min(), end.min()) - 0.02, 1.02))
    ax.axis("off")
    share = float(table[left].sum() / table.sum())
    figure.suptitle(
        f"Members of the {len(left)} largest {sides[0]} regions ({share:.0%} of all activations, "
        f"left)\nand the {sides[1]} regions they lie in (right)"
    )
    return figure


def _largest_flows(table: Tensor, n: int) -> tuple[list[int], list[int], np.ndarray]:
    """Regions on the left and on the right, and the shares that go from one to the other.

    The last column is what goes to other regions. A region on the right stands at the mean height
    of what flows into it, which makes few crossings.
    """
    table = table.cpu()
    left = table.sum(1).sort(descending=True, stable=True).indices[:n]
    flows = table[left].double()
    right = flows.sum(0).sort(descending=True, stable=True).indices[:n]
    inner = flows[:, right]
    height = (inner * torch.arange(len(left))[:, None]).sum(0) / inner.sum(0).clamp(min=1)
    order = height.sort(stable=True).indices
    others = flows.sum(1, keepdim=True) - inner.sum(1, keepdim=True)
    shares = torch.cat([inner[:, order], others], dim=1) / flows.sum()
    return left.tolist(), right[order].tolist(), shares.numpy()


def _tops(heights: np.ndarray) -> np.ndarray:
    """Upper edges of boxes stacked downwards from 1 with gaps."""
    return 1 - np.concatenate([[0], np.cumsum(heights + GAP)[:-1]])


def _nodes(ax: Axes, x: float, tops, heights, names: Sequence[str], align: str) -> None:
    for top, height, name in zip(tops, heights, names, strict=True):
        ax.add_patch(plt.Rectangle((x - 0.012, top - height), 0.024, height, color="0.3"))
        ax.text(
            x + (0.03 if align == "left" else -0.03), top - height / 2, drawable(name, 34),
            ha=align, va="center", fontsize=8,
        )  # fmt: skip


def _ribbon(left: float, right: float, height: float, colour: str) -> PathPatch:
    """A band from (0, left) down to (1, right), both upper edges, of one height."""
    points = [
        (0, left), (0.5, left), (0.5, right), (1, right),
        (1, right - height), (0.5, right - height), (0.5, left - height), (0, left - height),
        (0, left),
    ]  # fmt: skip
    curve = [Path.CURVE4] * 3
    codes = [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY]
    return PathPatch(Path(points, codes), facecolor=colour, alpha=0.45, linewidth=0)


def plot_occupancy(panels: Mapping[str, pd.DataFrame], *, most: int = 14) -> Figure:
    """Prompts by the region of their final token: {panel: table with columns harmful, benign}.

    One bar per region, the fullest first; all after the first `most` are drawn as one.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.4 * len(panels), 3.4), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax, (title, table) in zip(axes[0], panels.items(), strict=True):
        table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
        shown, rest = table.iloc[:most], table.iloc[most:]
        x = np.arange(len(shown) + (len(rest) > 0))
        harmful, benign = (
            np.append(shown[side], [rest[side].sum()] * (len(rest) > 0))
            for side in ("harmful", "benign")
        )
        ax.bar(x, harmful, color="C3", label="harmful")
        ax.bar(x, benign, bottom=harmful, color="C0", label="benign")
        names = [str(k) for k in shown.index] + [f"{len(rest)} more"] * (len(rest) > 0)
        ax.set_xticks(x, names, rotation=60 if len(names) > 4 else 0, fontsize=8)
        ax.set(title=title, xlabel="region")
    axes[0, 0].set_ylabel("prompts")
    axes[0, -1].legend(frameon=False)
    figure.suptitle("Regions of the final token")
    return figure


def plot_missing_counterparts(
    panels: Mapping[str, tuple[Tensor, Tensor, int]], label: str, *, name: str = "refusal region"
) -> Figure:
    """Score against size of every region, one of them marked: {panel: (scores, counts, region)}."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.4 * len(panels), 3.6), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax, (title, (scores, counts, region)) in zip(axes[0], panels.items(), strict=True):
        counts, scores = counts.cpu(), scores.cpu()
        ax.scatter(counts, scores, s=9, color="0.55", alpha=0.5, linewidths=0)
        ax.scatter(counts[region], scores[region], s=60, color="C3", zorder=3, label=name)
        ax.axhline(0, color="0.8", zorder=0)
        ax.set(title=title, xlabel="members", xscale="log")
    axes[0, 0].set_ylabel(label)
    axes[0, -1].legend(frameon=False, loc="lower right")
    figure.suptitle("Missing counterparts: every region of the tuned dictionary")
    return figure
