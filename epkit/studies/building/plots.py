"""The figures of notebook 01: coverage of unseen documents, beside random exemplars and others.

Functions take tables and return a matplotlib Figure that is not shown yet.

Does not know: how the numbers came about.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure


def plot_heldout_coverage(control: pd.DataFrame) -> Figure:
    """Share of held-out activations within θ against the percentile, a panel per layer.

    control : of `coverage_table`; index (layer, percentile p).
    """
    layers = control.index.unique("layer")
    figure, axes = plt.subplots(
        1, len(layers), figsize=(4.5 * len(layers), 3.4), sharey=True, squeeze=False
    )
    for axis, layer in zip(axes[0], layers, strict=True):
        part = control.loc[layer]
        axis.plot(part.index, part["within θ"], "o-", label="exemplars (EP)")
        axis.plot(part.index, part["within θ, random"], "s--", label="random, equal K")
        axis.set(title=f"layer {layer}", xlabel="percentile p", xscale="log")
        axis.set_xticks(list(part.index), [f"{p:g}" for p in part.index])
        axis.minorticks_off()
    axes[0, 0].set_ylabel("share of held-out activations within θ")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="lower center", ncols=2, frameon=False)
    figure.suptitle("Coverage of unseen documents")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    return figure


def plot_baselines(tables: Mapping[float, pd.DataFrame], title: str) -> Figure:
    """Every kind of dictionary at equal K, a panel per criterion, against the percentile.

    tables : {p: `baselines.baseline_table`}; bars are 95 % intervals over documents.
    """
    criteria = next(iter(tables.values())).index.unique("criterion")
    figure, axes = plt.subplots(1, len(criteria), figsize=(4.6 * len(criteria), 3.8), squeeze=False)
    for axis, criterion in zip(axes[0], criteria, strict=True):
        names = next(iter(tables.values())).loc[criterion].index
        for i, name in enumerate(names):
            values = [table.loc[(criterion, name), "value"] for table in tables.values()]
            at = [j + (i - (len(names) - 1) / 2) * 0.09 for j in range(len(tables))]
            low, high = ([abs(v.value - v[side]) for v in values] for side in (1, 2))
            axis.errorbar(at, [v.value for v in values], (low, high), fmt="os^Dv"[i % 5] + "-",
                          label=name, lw=1, ms=5, capsize=2)  # fmt: skip
        ticks = [f"p {p:g}\nK {t['K'].iloc[0]:,}" for p, t in tables.items()]
        axis.set_xticks(range(len(tables)), ticks)
        axis.set(ylabel=criterion, xlabel="percentile, regions")
    axes[0, 0].figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="lower center", ncols=5, frameon=False
    )
    figure.suptitle(title)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    return figure
