"""Which regions of a dictionary have no counterpart in another model's.

`missing_counterpart` scores every region, from similarities of `matching` (`cosines` or `jaccard`).
How far up one region stands, and how probable that is by chance, tells `stats.rank_test`.

Does not know: dictionaries, models, tokens, files.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def missing_counterpart(to_base: Sequence[Tensor], to_itself: Sequence[Tensor] = ()) -> Tensor:
    """How much every region of a dictionary lacks a counterpart in another model: (K,) float64.

    The best match counts, not the assigned one: a region whose counterpart was paired with another
    region is not new.

    Parameters
    ----------
    to_base : similarities (K_base, K), by `cosines` or `jaccard`, to one or more dictionaries of
        the base (stream orders); their best matches are averaged.
    to_itself : the same to other dictionaries of the region's *own* model. Without any the score is
        1 − best match in the base, and a region that no order finds again counts as new. With them
        it is best match in the own model − best match in the base: new is what recurs here and is
        not there.

    Raises
    ------
    ValueError : no dictionary of the base, or similarities that are not over the same K regions.
    """
    if not to_base or len({table.shape[1] for table in (*to_base, *to_itself)}) > 1:
        raise ValueError("similarities to the base are needed, with a column per region in each")
    here = _mean_best(to_itself) if to_itself else 1.0
    return here - _mean_best(to_base)


def _mean_best(tables: Sequence[Tensor]) -> Tensor:
    return torch.stack([table.double().max(0).values for table in tables]).mean(0)
