"""Do EP's regions share less than those of random exemplars because their tokens are rarer?

Random activations fall on frequent tokens, and members of a frequent token's region easily share
it. So regions are compared at equal frequency: random exemplars' regions are weighted such that
their exemplars' tokens are spread over the octaves of frequency as EP's are. Exemplars at the first
place of a window, where activations are peculiar, are left out of both.

Does not know: what a region is said to share (`inspect.names`).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from epkit.stats import bootstrap_mean, bootstrap_ratio
from epkit.studies.inspecting.members import Grouping, MemberTokens
from epkit.studies.inspecting.tables import EP, RANDOM, SHARE

WEIGHTED = "regions of random exemplars, frequencies as EP's"


def matched_table(
    tokens: MemberTokens,
    groupings: Mapping[str, Grouping],
    exemplars: Mapping[str, np.ndarray],
    kinds: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Shares of large regions that share something evident, at equal frequency of tokens.

    Parameters
    ----------
    tokens : of the activations read.
    groupings, exemplars, kinds : of EP and of random exemplars, by `tables.EP` and `tables.RANDOM`:
        the grouping; (K,) stream positions of exemplars; (L,) what every large region shares.

    A row for EP and for random exemplars as they are, in the octaves of frequency that both have,
    and one for random exemplars weighted. `Interval` cells; resampled are regions.
    """
    times = np.bincount(tokens.ids)
    octave, evident = {}, {}
    for name in (EP, RANDOM):
        at = np.asarray(exemplars[name])[groupings[name].large]
        read = at < len(tokens.ids)  # a dictionary may be built on more than was read
        kept = read & (tokens.before[np.where(read, at, 0)] != "")
        octave[name] = np.log2(times[tokens.ids[at[kept]]]).astype(int)
        evident[name] = (kinds[name] != "none")[kept]
    n = max(found.max(initial=0) for found in octave.values()) + 1
    counts = {name: np.bincount(found, minlength=n) for name, found in octave.items()}
    both = (counts[EP] > 0) & (counts[RANDOM] > 0)
    if not both.any():
        raise ValueError("no octave of frequency holds exemplars of both: read more activations")
    inside = {name: both[found] for name, found in octave.items()}
    own, other = (evident[name][inside[name]].astype(float) for name in (EP, RANDOM))
    spread = counts[EP] / np.maximum(counts[RANDOM], 1)
    weight = spread[octave[RANDOM][inside[RANDOM]]]
    rows = [
        (EP, len(own), bootstrap_mean(own)),
        (RANDOM, len(other), bootstrap_mean(other)),
        (WEIGHTED, len(other), bootstrap_ratio(weight * other, weight)),
    ]
    return pd.DataFrame(rows, columns=["groups", "n", SHARE]).set_index("groups")
