"""Figures of notebook 14: misses along the stream, and speed-up over workers.

Take tables, return matplotlib Figures that are not shown yet.

Does not know: how the numbers came about.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from epkit.studies.scaling.passes import StreamPass
from epkit.studies.scaling.seconds import TERMS
from epkit.studies.scaling.traffic import epoch_table

NAMES = {"growing": "K grows on as fitted", "stopped": "no region founded after the stream"}


def plot_misses(passes: Mapping[float, StreamPass], workers: int) -> Figure:
    """Share of rows that miss, epoch by epoch; beside it K."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    for p, made in passes.items():
        table = epoch_table(made, workers)
        middle = table.start + table.rows / 2
        left.plot(middle, table.misses / table.rows, "o-", ms=3, label=f"p {p:g}")
        n = np.linspace(1, len(made), 200).astype(int)
        right.plot(n, [made.regions_before(x) for x in n], label=f"p {p:g}")
    left.set(xlabel="position in the stream", ylabel="share of the epoch's rows", ylim=(0, 1))
    left.set_title("rows that miss, and travel")
    right.set(xlabel="activations", ylabel="regions K", yscale="log")
    right.set_title("growth")
    right.legend(frameon=False)
    figure.tight_layout()
    return figure


def plot_speedup(table: pd.DataFrame, total: float) -> Figure:
    """Speed-up over one worker for both designs; a panel a case of growth (`projections`)."""
    cases = list(NAMES)
    figure, axes = plt.subplots(1, len(cases), figsize=(9, 3.6), sharey=True)
    part = table[table.activations == total]
    for axis, case in zip(axes, cases, strict=True):
        for design, style in (("one driver", "o-"), ("two levels", "s--")):
            one = part[(part.case == case) & (part.design == design)].sort_values("workers")
            axis.plot(one.workers, one.efficiency * one.workers, style, ms=4, label=design)
        ideal = np.array(sorted(part.workers.unique()))
        axis.plot(ideal, ideal, color="grey", lw=1, ls=":", label="ideal")
        axis.set(xscale="log", yscale="log", xlabel="GPUs", title=NAMES[case])
        axis.set_xticks(ideal[::2], [str(w) for w in ideal[::2]])
        axis.minorticks_off()
    axes[0].set_ylabel("times as fast as one GPU")
    axes[0].legend(frameon=False)
    figure.suptitle(f"Projected speed-up, {total:,.0f} activations")
    figure.tight_layout()
    return figure


def plot_terms(found: Mapping[int, Mapping[str, float]], title: str) -> Figure:
    """Where the time goes: {workers: `project`}, as shares."""
    figure, axis = plt.subplots(figsize=(6.5, 3.2))
    bottom = np.zeros(len(found))
    for term in TERMS:
        share = np.array([one[term] / sum(one[t] for t in TERMS) for one in found.values()])
        axis.bar([f"{w:,}" for w in found], share, bottom=bottom, label=term)
        bottom += share
    axis.set(xlabel="GPUs", ylabel="share of the time", title=title)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure
