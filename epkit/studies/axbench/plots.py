"""The figure of concept detection: AUROC against the percentile, beside the baselines.

Takes tables and returns a matplotlib Figure that is not shown yet.

Does not know: how the numbers came about.
"""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epkit.studies.axbench.configurations import CORPUS, TRAINING

TITLES = {CORPUS: "the unrelated corpus", TRAINING: "the training text, no labels"}


def plot_percentiles(grid: pd.DataFrame, baselines: pd.Series, title: str) -> Figure:
    """Mean AUROC on test rows against p of one region's cosine, a panel per text built on.

    grid : of `try_configurations` with a column AUROC; what reads more regions, or projections, is
        left out.
    baselines : mean AUROC by method; DiffMean, linear probe and bag of words are drawn.
    """
    single = grid[(grid.k == 1) & (grid.score == "cosine")]
    single = single.rename(columns={"rule": "selection rule"})
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.8), sharey=True)
    for ax, (name, text) in zip(axes, TITLES.items(), strict=True):
        sns.lineplot(
            single[single["built on"] == name], x="p", y="AUROC", hue="basis",
            style="selection rule", markers=True, errorbar=None, ax=ax, legend=name == CORPUS,
        )  # fmt: skip
        _baselines(ax, baselines, single.p.min(), single.p.max())
        ax.set(
            xscale="log", xlabel="percentile p of the threshold (%)",
            ylabel="mean AUROC on test rows", title=f"built on {text}",
        )  # fmt: skip
        percentiles = sorted(single.p.unique())
        ax.set_xticks(percentiles, [f"{p:g}" for p in percentiles])
        ax.minorticks_off()
    axes[0].legend(loc="lower left", fontsize=8)
    figure.suptitle(title)
    figure.tight_layout()
    return figure


def _baselines(ax: Axes, baselines: pd.Series, left: float, right: float) -> None:
    """Dotted lines, named at one end where they do not lie on one another."""
    ends = {
        "DiffMean": (right, "right", "bottom"),
        "linear probe": (right, "right", "bottom"),
        "bag of words": (left, "left", "top"),
    }
    for method, (x, ha, va) in ends.items():
        at = baselines[method]
        ax.axhline(at, color="0.35", lw=1, ls=":")
        ax.annotate(method, (x, at), ha=ha, va=va, fontsize=8, color="0.35")
