"""What members share, as bars.

Does not know: how members were drawn.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from epkit.inspect.names import TRAITS


def plot_shared_kinds(kinds: Mapping[str, np.ndarray]) -> Figure:
    """Share of groups by what their members share, bars side by side; not shown yet.

    kinds : {groups: (G,) kinds of trait, "none" for nothing}, up to three of them.
    """
    bars = {
        name: pd.Series(found).value_counts(normalize=True).reindex([*TRAITS, "none"]).fillna(0)
        for name, found in kinds.items()
    }
    colours = ["C0", "C1", "0.7"]
    ax = pd.DataFrame(bars).plot.bar(figsize=(8, 3.6), rot=0, width=0.8, color=colours)
    ax.set(
        xlabel="what the members share", ylabel="share of groups",
        title="What members evidently share",
    )  # fmt: skip
    ax.legend(frameon=False)
    return ax.figure
