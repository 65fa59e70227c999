"""Sizes: how many members regions have, how dense and how coherent they are.

Density is the other activations within θ of the exemplar, whichever region they belong to: a region
can be small because few are near it, or because other exemplars take those that are.

Does not know: words, models.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.stats import rank_correlation
from epkit.studies.neighbourhoods.neighbours import neighbour_counts

SMALL = 3
"""Members that a small region has at most."""


def region_sizes(dictionary: Dictionary, region: np.ndarray, u: Tensor) -> pd.DataFrame:
    """`members`, `density` and `coherence` of every region.

    region : (n,) region of every activation; u : (n, D) their directions, where the dictionary is.
    """
    density = neighbour_counts(dictionary.exemplars, u, dictionary.threshold).numpy() - 1
    return pd.DataFrame({
        "members": np.bincount(region, minlength=len(dictionary)), "density": density,
        "coherence": dictionary.coherence.cpu().numpy(),
    })  # fmt: skip


def shape_table(sizes: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Sizes and densities in brief, a row per dictionary; sizes : of `region_sizes`."""
    rows = []
    for name, f in sizes.items():
        members, density = f["members"], f["density"]
        rows.append({
            "exemplars": name, "median members": members.median(), "largest": members.max(),
            "of one member": f"{(members == 1).mean():.1%}", "median density": density.median(),
            "density of regions of at most three": density[members <= SMALL].median(),
            "members ~ density (Spearman)": rank_correlation(members, density, draws=300),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("exemplars")


def size_panels(
    sizes: Mapping[str, pd.DataFrame],
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Values and bins of `plot_distributions`; sizes : of `region_sizes`, per dictionary."""
    density, coherence = "activations within θ (density)", "coherence |Σu|/N, N ≥ 5"
    values = {
        "members": {name: f["members"].to_numpy() for name, f in sizes.items()},
        density: {name: f["density"].to_numpy() + 1 for name, f in sizes.items()},
        coherence: {
            name: f["coherence"][f["members"] >= 5].to_numpy() for name, f in sizes.items()
        },
    }
    bins = {
        "members": _log_bins(sizes, "members"), density: _log_bins(sizes, "density"),
        coherence: np.linspace(0, 1, 41),
    }  # fmt: skip
    return values, bins


def _log_bins(sizes: Mapping[str, pd.DataFrame], quantity: str, n: int = 26) -> np.ndarray:
    most = max(f[quantity].max() for f in sizes.values()) + 2
    return np.unique(np.geomspace(1, most, n).round()) - 0.5
