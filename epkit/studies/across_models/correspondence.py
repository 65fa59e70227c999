"""Which region of one partition is which of another: found on one half, tested on the other.

A region's partner is the one with which it has the largest share of common words (Jaccard) on the
first half of the documents. On the second half are measured

- the *overlap* of the pair: its Jaccard, on words that took no part in the choice;
- the *round trip*: whether the partner's own partner, found on the second half, is the region;
- the adjusted mutual information of the two partitions, which needs no pairs.

Does not know: models, words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from epkit.matching import adjusted_mutual_information, contingency, jaccard

GROUPS = 10
"""Of documents, that the jackknife leaves out one after the other."""


class Pairs(NamedTuple):
    """Regions of a partition with their partners in another: (R,) each.

    region : those with enough words in both halves. partner : chosen on the first half; chosen_by
    its Jaccard there. overlap : on the second. returns : whether the round trip closes.
    """

    region: np.ndarray
    partner: np.ndarray
    chosen_by: np.ndarray
    overlap: np.ndarray
    returns: np.ndarray


def halves(document: np.ndarray, seed: int) -> np.ndarray:
    """Which words are of the second half: (W,) bool; whole documents, drawn by seed."""
    names = np.unique(document)
    drawn = np.random.default_rng(seed).permutation(names)[: len(names) // 2]
    return np.isin(document, drawn)


def pairs_of(a: np.ndarray, b: np.ndarray, second: np.ndarray, least: int) -> Pairs:
    """The pairs of two partitions (W,) of the same words; regions of `least` words a half or more.

    Raises ValueError where no region has as many.
    """
    k_a, k_b = int(a.max()) + 1, int(b.max()) + 1
    first, then = (
        contingency(torch.from_numpy(a[half]), torch.from_numpy(b[half]), k_a, k_b)
        for half in (~second, second)
    )
    region = ((first.sum(1) >= least) & (then.sum(1) >= least)).nonzero()[:, 0]
    if not len(region):
        raise ValueError(f"no region has {least} words in both halves: read more, or ask for fewer")
    chosen, tested = jaccard(first), jaccard(then)
    partner = chosen[region].argmax(1)
    back = tested[:, partner].argmax(0)
    return Pairs(*(x.numpy() for x in (
        region, partner, chosen[region, partner], tested[region, partner], back == region,
    )))  # fmt: skip


def chance_overlaps(
    a: np.ndarray, shuffled: Callable[[int], np.ndarray], second: np.ndarray, least: int, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Overlaps (draws, R) and round trips (draws, R) with the other side permuted, partners anew.

    shuffled : gives the permuted partition of a draw.
    """
    found = [pairs_of(a, shuffled(draw), second, least) for draw in range(draws)]
    return np.stack([f.overlap for f in found]), np.stack([f.returns for f in found])


def beyond_chance(pairs: Pairs, overlaps: np.ndarray) -> np.ndarray:
    """Which regions overlap with their partner more than in all but 5 % of permutations: (R,)."""
    above = (overlaps >= pairs.overlap).sum(axis=0)
    return (1 + above) / (1 + len(overlaps)) <= 0.05


def ami(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    """Adjusted mutual information of two partitions of the words at `where`."""
    return adjusted_mutual_information(torch.from_numpy(a[where]), torch.from_numpy(b[where]))


def ami_left_out(
    a: np.ndarray, b: np.ndarray, where: np.ndarray, document: np.ndarray, seed: int
) -> np.ndarray:
    """`ami` with each of `GROUPS` groups of documents left out: (GROUPS,).

    The same groups for every pair of partitions, so that differences can be taken.
    """
    names = np.unique(document[where])
    order = np.random.default_rng(seed).permutation(len(names)) % min(GROUPS, len(names))
    group = order[np.searchsorted(names, document).clip(max=len(names) - 1)]
    return np.array([ami(a, b, where & (group != g)) for g in range(order.max() + 1)])
