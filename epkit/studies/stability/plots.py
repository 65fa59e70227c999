"""Figures of the stability notebook: what comes again, cuts, remedies, co-membership, prompts.

Does not know: how the numbers came about.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

RANDOM = "0.55"
"""Grey of everything that is a control."""


def plot_alternatives(table: pd.DataFrame, scores: Mapping[str, str], title: str) -> Figure:
    """What comes again, a row per way to a dictionary and a panel per score.

    table : of `Interval`s, indexed by what is compared and dictionary (`stability_table`); the last
    comparison is drawn solid, the others hollow. scores : {column: label of its axis}.
    """
    compared = list(table.index.unique(0))
    kinds = list(table.loc[compared[-1]].index)
    figure, axes = plt.subplots(
        1, len(scores), figsize=(4.4 * len(scores) + 1.6, 0.46 * len(kinds) + 1.7), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    colours = [RANDOM if "random" in kind else "C0" for kind in kinds]
    for ax, (score, label) in zip(axes[0], scores.items(), strict=True):
        for i, with_ in enumerate(compared):
            place = np.arange(len(kinds)) + 0.14 * (2 * (len(compared) - 1 - i) - 1)
            value, low, high = np.array([table.loc[(with_, k), score] for k in kinds]).T
            face = colours if with_ == compared[-1] else "white"
            ax.hlines(place, low, high, color=colours, lw=2)
            ax.scatter(value, place, facecolors=face, edgecolors=colours, zorder=3, s=34)
        ax.set(xlabel=label, xlim=(0, None))
    axes[0, 0].set_yticks(np.arange(len(kinds)), kinds)
    axes[0, 0].invert_yaxis()
    marks = [
        plt.Line2D([], [], ls="", marker="o", color="C0", mfc="C0" if w == compared[-1] else "w")
        for w in compared
    ]
    figure.legend(marks, compared, loc="outside lower center", ncols=len(marks), frameon=False)
    figure.suptitle(title)
    sns.despine(figure)
    return figure


def plot_recurrence(
    points: Mapping[str, tuple[np.ndarray, np.ndarray]], correlations: pd.DataFrame
) -> Figure:
    """Recurrence against D of every region of one run, and rank correlations of three scores.

    Parameters
    ----------
    points : {name: (D (K,), recurrence (K,))}; names with "random" are drawn grey.
    correlations : columns dictionaries, score, value, low, high.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, 4), layout="constrained", width_ratios=(3, 2)
    )
    for name, (score, recurred) in points.items():
        left.scatter(score, recurred, s=9, alpha=0.5, color=_colour(name), label=name, lw=0)
    left.set(xlabel="D = log₁₀(N c²)", ylabel="cosine with its match", ylim=(None, 1.02))
    left.set_title("Regions of one run, means, other documents")
    left.legend(frameon=False, markerscale=2)
    scores = list(dict.fromkeys(correlations.score))
    for i, (name, rows) in enumerate(correlations.groupby("dictionaries", sort=False)):
        place = np.array([scores.index(s) for s in rows.score]) + 0.12 * (2 * i - 1)
        _bars(right, rows, place, _colour(str(name)), str(name))
    right.axhline(0, color="0.8", zorder=0)
    right.set_xticks(range(len(scores)), scores)
    right.set(ylabel="Spearman's ρ with recurrence", xlim=(-0.5, len(scores) - 0.5))
    right.set_title("What predicts recurrence (95 % over pairs)")
    sns.despine(figure)
    return figure


def plot_cut(table: pd.DataFrame, whole: float) -> Figure:
    """Probing AUROC of the regions that a cut keeps, and its difference from regions at random.

    table : columns chosen by, share, value, and against random: an `Interval`, or None in the rows
    of the random choice. whole : AUROC of all regions.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
    for i, (name, rows) in enumerate(table.groupby("chosen by", sort=False)):
        colour = RANDOM if "random" in str(name) else f"C{i}"
        left.plot(rows.share, rows.value, "o-", color=colour, label=name, ms=5)
        gains = pd.DataFrame([gain for gain in rows["against random"] if gain is not None])
        if len(gains):
            _bars(right, gains, rows.share.to_numpy() * 1.06 ** (i - 1), colour)
    left.axhline(whole, color="black", lw=1, ls=":", label="all regions")
    right.axhline(0, color=RANDOM, lw=1)
    left.set(title="Detection by a share of the regions", ylabel="mean AUROC on test texts")
    right.set(title="Against as many at random (95 %)", ylabel="difference of mean AUROC")
    shares = sorted(set(table.share))
    for ax in (left, right):
        ax.set(xscale="log", xlabel="share of regions kept")
        ax.set_xticks(shares, [f"{s:.0%}" for s in shares])
        ax.minorticks_off()
    figure.legend(*left.get_legend_handles_labels(), frameon=False, loc="outside right center")
    sns.despine(figure)
    return figure


def plot_gains(table: pd.DataFrame, scores: Mapping[str, str]) -> Figure:
    """What every remedy gains over the plain rule at equal K, one panel per score.

    table : indexed by rule, with an `Interval` per rule in every column of `scores`; the random
    control in grey. scores : {column: label of its axis}.
    """
    figure, axes = plt.subplots(
        1, len(scores), figsize=(2.9 * len(scores) + 2, 0.42 * len(table) + 1.3), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    place = np.arange(len(table))
    colours = [RANDOM if "random" in rule else "C0" for rule in table.index]
    for ax, (score, label) in zip(axes[0], scores.items(), strict=True):
        value, low, high = np.array(table[score].tolist()).T
        ax.axvline(0, color="black", lw=1, ls=":")
        ax.hlines(place, low, high, color=colours, lw=2)
        ax.scatter(value, place, color=colours, zorder=3, s=28)
        ax.set_xlabel(label)
        ax.locator_params(axis="x", nbins=4)
    axes[0, 0].set_yticks(place, table.index)
    axes[0, 0].invert_yaxis()
    figure.suptitle("Gain over the plain rule at equal K (95 %)")
    sns.despine(figure)
    return figure


def plot_persistence(
    persistence: np.ndarray, layers: Sequence[int], survivals: Mapping[str, np.ndarray]
) -> Figure:
    """P(share at j | share at i) for all layers, and how long pairs go on sharing.

    Parameters
    ----------
    persistence : (L, L), row i: of pairs sharing at layer i, the share that shares at each layer.
    survivals : {name: share of pairs that still share, by layers passed}; "shuffled" in grey.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.2), layout="constrained", width_ratios=(5, 6)
    )
    edges = (layers[0] - 0.5, layers[-1] + 0.5)
    image = left.imshow(
        persistence, origin="lower", vmin=0, vmax=1, cmap="viridis", extent=(*edges, *edges)
    )
    left.grid(False)
    left.set(xlabel="layer j", ylabel="layer i", title="P(share a region at j | share one at i)")
    figure.colorbar(image, ax=left, shrink=0.9)
    for i, (name, values) in enumerate(survivals.items()):
        control = "shuffled" in name
        style = {"color": RANDOM, "ls": "--"} if control else {"color": f"C{i}", "marker": "."}
        right.plot(np.arange(len(values)), values, label=name, **style)
    right.axhline(0.5, color="0.8", lw=1, zorder=0)
    right.set(xlabel="layers passed", ylabel="share of pairs still together", ylim=(-0.02, 1.02))
    right.set_title("How long two tokens stay together without a break")
    right.legend(frameon=False)
    sns.despine(ax=right)
    return figure


def plot_merging(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Share of pairs of positions that share a region, by layer, for each kind of pair.

    curves : {kind: columns layer, value, low, high}; kinds with "random" are drawn grey.
    """
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for i, (kind, rows) in enumerate(curves.items()):
        colour = RANDOM if "random" in kind else f"C{i}"
        axes.plot(rows.layer, rows.value, color=colour, marker=".", label=kind)
        axes.fill_between(rows.layer, rows.low, rows.high, color=colour, alpha=0.2, lw=0)
    axes.set(xlabel="layer", ylabel="share of pairs in one region (95 %)", ylim=(-0.02, 1.02))
    axes.set_title("Where positions that end alike share a region (held-out texts)")
    figure.legend(frameon=False, loc="outside right center")
    sns.despine(figure)
    return figure


def plot_paths(regions: np.ndarray, layers: Sequence[int], labels: Sequence[str]) -> Figure:
    """Prompts as lines over layers; where lines run together, they share a region.

    regions : (L, P) integers. labels : P; lines are coloured by order of appearance of the label's
    part before " · ", so that a family has one colour.
    """
    families = list(dict.fromkeys(label.split(" · ")[0] for label in labels))
    height = _heights(regions)
    n = len(labels)
    figure, axes = plt.subplots(figsize=(11, 0.34 * n + 1.4), layout="constrained")
    start = layers[0] - 0.1 * (layers[-1] - layers[0]) - 1
    for i, label in enumerate(labels):
        colour = f"C{families.index(label.split(' · ')[0])}"
        line = {"color": colour, "lw": 1.4, "alpha": 0.85}
        axes.plot((start, layers[0]), (i, height[0, i]), **line)
        axes.plot(layers, height[:, i], marker=".", ms=4, **line)
        axes.annotate(
            label, (start, i), (-6, 0), textcoords="offset points", ha="right", va="center",
            color=colour, fontsize=8, annotation_clip=False,
        )  # fmt: skip
    axes.set(xlabel="layer", yticks=[], xlim=(start, layers[-1] + 0.3), ylim=(n - 0.5, -0.7))
    axes.set_title("Final tokens of prompts: lines that run together share a region")
    axes.grid(False)
    sns.despine(figure, left=True)
    return figure


def _heights(regions: np.ndarray) -> np.ndarray:
    """Where each line runs at each layer: (L, P); the order within the layer before is kept."""
    levels, n = regions.shape
    height = np.zeros((levels, n))
    before = np.arange(n, dtype=float)
    for level, row in enumerate(regions):
        names = np.unique(row)
        names = names[np.argsort([before[row == name].mean() for name in names], kind="stable")]
        slot = 0.0
        for name in names:
            members = np.flatnonzero(row == name)
            members = members[np.argsort(before[members], kind="stable")]
            # Members keep a hair's breadth, so that lines stay countable.
            height[level, members] = slot + 0.14 * np.arange(len(members))
            slot += 1 + 0.14 * (len(members) - 1)
        height[level] *= (n - 1) / max(slot - 1, 1)
        before = height[level]
    return height


def _bars(ax: Axes, rows: pd.DataFrame, place: np.ndarray, colour: str, label: str = "") -> None:
    reach = np.array([rows.value - rows.low, rows.high - rows.value])
    ax.errorbar(place, rows.value, yerr=reach, fmt="o", color=colour, label=label, ms=5)


def _colour(name: str) -> str:
    return RANDOM if "random" in name else "C0"
