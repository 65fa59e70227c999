"""How much a partition shares with another model's, beside its rivals.

Does not know: models, words.
"""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from epkit.studies.across_models.tables import CEILING, OTHER

PANELS = {
    "AMI": "adjusted mutual information", "overlap": "mean overlap of pairs (Jaccard)",
    "round trip": "share of regions that return",
}  # fmt: skip


def plot_comparisons(table: pd.DataFrame, title: str) -> Figure:
    """A row a comparison, a panel a measure, 95 % intervals; not shown yet.

    table : of `ModelComparison.table`. The value of the other model is dotted through the rest.
    """
    figure, axes = plt.subplots(
        1, 3, figsize=(12, 1.5 + 0.34 * len(table)), sharey=True, layout="constrained"
    )
    for ax, (column, label) in zip(axes, PANELS.items(), strict=True):
        for y, (name, cell) in enumerate(table[column].items()):
            colour = {OTHER: "C0", CEILING: "C2"}.get(name, "0.45")
            ax.plot([cell.low, cell.high], [y, y], color=colour, lw=2)
            ax.plot(cell.value, y, "o", color=colour)
        ax.axvline(table.loc[OTHER, column].value, color="C0", ls=":", lw=1.2, zorder=0)
        ax.set_xlabel(label)
        ax.set_xlim(left=min(0, ax.get_xlim()[0]))
    axes[0].set_yticks(range(len(table)), list(table.index))
    axes[0].invert_yaxis()
    figure.suptitle(title)
    return figure
