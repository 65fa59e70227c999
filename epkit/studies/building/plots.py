"""The figure of notebook 01: coverage of unseen documents, beside random exemplars.

Takes a table and returns a matplotlib Figure that is not shown yet.

Does not know: how the numbers came about.
"""

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
    axes[0, 0].legend(frameon=False)
    figure.suptitle("Coverage of unseen documents")
    figure.tight_layout()
    return figure
