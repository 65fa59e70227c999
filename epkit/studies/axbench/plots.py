"""The figures of concept detection: every dictionary beside probes; AUROC against the percentile.

Takes tables and returns a matplotlib Figure that is not shown yet.

Does not know: how the numbers came about.
"""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from epkit.studies.axbench.comparison import DIFFMEAN, POOLED_PROBE, PROBE, named
from epkit.studies.axbench.configurations import CORPUS, FEW, ONE, TRAINING
from epkit.studies.axbench.rivals import KINDS
from epkit.studies.axbench.tables import Aurocs, mean_over

TITLES = {CORPUS: "built on unrelated text", TRAINING: "built on the benchmark's own text"}
LINES = {DIFFMEAN: ":", PROBE: "--", POOLED_PROBE: "-"}


def plot_dictionaries(equal: Aurocs, chosen: Aurocs, p: float, title: str) -> Figure:
    """Mean AUROC of every kind of dictionary at equal K with its interval, a panel a text.

    equal, chosen : {method: (runs, C)}, as in `verdict.Detection`; what is fitted to labels is
    drawn as lines. p : the percentile that gives K.
    """
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.9), sharey=True, sharex=True)
    for ax, (text, panel) in zip(axes, TITLES.items(), strict=True):
        for reading, marker, shift in ((ONE, "o", -0.14), (FEW, "s", 0.14)):
            means = [mean_over(equal[named(kind, reading, text)]) for kind in KINDS]
            values = [m.value for m in means]
            ends = [[m.value - m.low for m in means], [m.high - m.value for m in means]]
            at = [i + shift for i in range(len(KINDS))]
            ax.errorbar(values, at, xerr=ends, fmt=marker, ms=5, lw=1.2, label=reading)
        for method, style in LINES.items():
            ax.axvline(chosen[method].mean(), color="0.35", ls=style, lw=1.1, label=method)
        ax.set(title=panel, xlabel="mean AUROC on test rows")
        ax.set_yticks(range(len(KINDS)), KINDS)
        ax.grid(visible=False, axis="y")
    axes[0].invert_yaxis()
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="lower center", ncols=5, frameon=False, fontsize=8)
    figure.suptitle(f"{title}; dictionaries of equal K (p {p:g})")
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    return figure


def plot_percentiles(grid: pd.DataFrame, aurocs: Aurocs, title: str) -> Figure:
    """Mean AUROC on test rows against p of one region's cosine, a panel per text built on.

    grid : of `try_configurations` with a column AUROC; what reads more regions, or projections, is
        left out.
    aurocs : {method: (runs, C)}; DiffMean and the probes among them are drawn as lines.
    """
    single = grid[(grid.k == 1) & (grid.score == "cosine")]
    single = single.rename(columns={"rule": "selection rule"})
    percentiles = sorted(single.p.unique())
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    for ax, (name, panel) in zip(axes, TITLES.items(), strict=True):
        sns.lineplot(
            single[single["built on"] == name], x="p", y="AUROC", hue="basis",
            style="selection rule", markers=True, errorbar=None, ax=ax,
        )  # fmt: skip
        for method, style in LINES.items():
            if method in aurocs:
                ax.axhline(aurocs[method].mean(), color="0.35", lw=1.1, ls=style, label=method)
        ax.set(
            xscale="log", xlabel="percentile p of the threshold (%)",
            ylabel="mean AUROC on test rows", title=panel,
        )  # fmt: skip
        ax.set_xticks(percentiles, [f"{p:g}" for p in percentiles])
        ax.minorticks_off()
    for ax in axes:
        handles = ax.get_legend_handles_labels()
        ax.get_legend().remove()
    figure.legend(*handles, loc="lower center", ncols=5, frameon=False, fontsize=8)
    figure.suptitle(title)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    return figure
