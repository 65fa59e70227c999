"""The figure of notebook 06: how much every region of the base moved, and which were taught.

Does not know: models, tokens, how the numbers came about.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

COLOURS = ("C3", "C0", "C2")


def plot_changes(
    panels: Mapping[str, pd.DataFrame],
    score: str,
    marked: Mapping[str, Sequence[int]],
    needed: Mapping[str, float],
) -> Figure:
    """Score against size of every region, a panel a taught habit: {title: `region_changes`}.

    marked {habit: regions where it acts}, the same in every panel. needed {title: score of the last
    region among the highest twentieth}, a dotted line.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.8 * len(panels), 4), squeeze=False, layout="constrained"
    )
    for ax, (title, table) in zip(axes[0], panels.items(), strict=True):
        rest = table.drop(index=[k for some in marked.values() for k in some], errors="ignore")
        ax.scatter(
            rest.members, rest[score], s=10, color="0.7", linewidths=0, label="other regions"
        )
        for (habit, regions), colour in zip(marked.items(), COLOURS, strict=False):
            own = table.loc[table.index.intersection(regions)]
            ax.scatter(own.members, own[score], s=26, color=colour, label=habit, zorder=3)
        ax.axhline(needed[title], color="0.4", ls=":", lw=1, label="highest twentieth above")
        ax.set(title=title, xscale="log", xlabel="members (base, test half)")
    axes[0, 0].set_ylabel(score)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False
    )
    figure.suptitle("How far the members of every region of the base moved")
    return figure
