"""Which regions of a dictionary are new against another model's, and how far up one stands.

`introducedness` scores every region by the counterpart it lacks, from similarities of `matching`
(`cosines` or `jaccard`). `rank_test` says how probable the rank of one region is by chance.

Does not know: dictionaries, models, tokens, files.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


def introducedness(to_base: Sequence[Tensor], to_itself: Sequence[Tensor] = ()) -> Tensor:
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
        raise ValueError("introducedness needs similarities, one column per region in all of them")
    here = _mean_best(to_itself) if to_itself else 1.0
    return here - _mean_best(to_base)


def _mean_best(tables: Sequence[Tensor]) -> Tensor:
    return torch.stack([table.double().max(0).values for table in tables]).mean(0)


class Rank(NamedTuple):
    """Where a region stands: `rank` (1 is the highest score) of `n`, and p = rank / n."""

    rank: int
    n: int
    p: float

    def __str__(self) -> str:
        return f"{self.rank:,} of {self.n:,} (p = {self.p:.3g})"


def rank_test(scores: Tensor, region: int, among: Tensor | None = None) -> Rank:
    """Rank of a region's score, ties counted against it, and the exact probability of it.

    If the region were one drawn at random, its rank would be this high or higher with probability
    p = rank / n: the exact permutation test with one labelled region.

    Parameters
    ----------
    scores : (K,), higher is more.
    among : regions to compare with (those of like size, say); all others by default. `region`
        itself is always counted.

    Raises
    ------
    ValueError : no such region.
    """
    if not 0 <= region < len(scores):
        raise ValueError(f"region {region} is outside 0 … {len(scores) - 1}")
    others = torch.ones(len(scores), dtype=torch.bool)
    if among is not None:
        others[:] = False
        others[among] = True
    others[region] = False
    rank = 1 + int((scores[others] >= scores[region]).sum())
    n = 1 + int(others.sum())
    return Rank(rank, n, rank / n)
