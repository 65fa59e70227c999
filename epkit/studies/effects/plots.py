"""How far directions move the tokens that their lens names, a dot a direction.

Does not know: models, how effects were measured.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from epkit.studies.effects.drawing import EP, ISOTROPIC, MADE_UP, RANDOM
from epkit.studies.effects.tables import GROUP, QUANTILE

COLOURS = {EP: "C0", RANDOM: "C1", MADE_UP: "0.45", ISOTROPIC: "0.7"}
PANELS = (
    ("raised", "steered: rise of the promoted tokens' logits"),
    ("lowered", "ablated: their fall, at members"),
)


def plot_effects(found: pd.DataFrame, title: str) -> Figure:
    """Dots a group of directions, steered left and ablated right; not shown yet.

    found : of `judged`. A bar is the group's median; the dotted line what 95 % of the random
    directions stay under, which a direction must pass.
    """
    groups = list(found.groupby(GROUP, sort=False))
    figure, axes = plt.subplots(
        1, 2, figsize=(11, 1.4 + 0.36 * len(groups)), sharey=True, layout="constrained"
    )
    rng = np.random.default_rng(0)
    for ax, (value, label) in zip(axes, PANELS, strict=True):
        for y, ((kind, _, _), own) in enumerate(groups):
            jitter = y + rng.uniform(-0.28, 0.28, len(own))
            ax.plot(own[value], jitter, ".", color=COLOURS[kind], alpha=0.6, ms=5)
            ax.plot([own[value].median()] * 2, [y - 0.38, y + 0.38], color="k", lw=2)
        null = found.loc[found.kind == MADE_UP, value]
        ax.axvline(np.quantile(null, QUANTILE), color="0.3", ls=":", lw=1.5)
        ax.axvline(0, color="0.8", lw=1, zorder=0)
        ax.set_xlabel(label)
    axes[0].set_yticks(range(len(groups)), [group_label(*group) for group, _ in groups])
    axes[0].invert_yaxis()
    figure.suptitle(title)
    return figure


def group_label(kind: str, percentile: float, basis: str) -> str:
    """A group of directions as a row of a figure is called."""
    return kind if percentile < 0 else f"{kind}, p {percentile:g}, {basis}"
