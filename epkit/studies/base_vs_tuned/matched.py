"""The published comparison: regions matched one to one by the cosine of exemplars.

Beside it stands its noise floor, the same match within the base: another order of the same stream.

Does not know: models, tokens, memberships.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from torch import Tensor

from epkit import matching
from epkit.partition import partition
from epkit.stats import Interval

FLOOR, TUNED = "base and base", "base and tuned"


def matched_orders(
    base: Tensor, tuned: Tensor, percentile: float, orders: Sequence[int]
) -> pd.DataFrame:
    """Median cosine and share persisted of every two stream orders: a row a comparison.

    base, tuned : (N, D), the same tokens; each checkpoint is seen from its own centre. orders : two
    seeds or more. A value is an Interval of the mean, lowest and highest over pairs of orders.
    """
    made = [
        [partition(x, [percentile], order=order)[percentile] for order in orders]
        for x in (base, tuned)
    ]
    pairs = [*combinations(range(len(orders)), 2)]
    rows = {}
    for name, others in zip((FLOOR, TUNED), (made[0], made[1]), strict=True):
        found = [matching.match(made[0][i], others[j], across_centres=True) for i, j in pairs]
        rows[name] = {
            "median cosine": _spread([m.cosines.median().item() for m in found]),
            "persisted ≥ .7": _spread([
                len(m.persisted(matching.PUBLISHED_CUTOFF)) / len(made[0][i])
                for m, (i, _) in zip(found, pairs, strict=True)
            ]),
        }  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("exemplars matched, two stream orders")


def _spread(values: Sequence[float]) -> Interval:
    return Interval(float(np.mean(values)), min(values), max(values))
