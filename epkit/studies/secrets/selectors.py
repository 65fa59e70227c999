"""Selectors: scores that order the base's regions by how an organism differs from its base there.

No label and no word goes into a score. What a region stands for is read from its members: the
candidate nouns that fell into it when the base read them.

Does not know: models, where activations come from, which word is hidden.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from epkit.dictionary import Dictionary

SCORES = ("occupancy", "gain", "displacement", "pull")


class Selector(NamedTuple):
    """What is fixed on one word."""

    layer: int
    percentile: float
    place: str
    score: str


def region_scores(d: Dictionary, base: Tensor, tuned: Tensor) -> dict[str, Tensor]:
    """`SCORES` of every region, (K,) float64 on the CPU, from activations of the same n tokens.

    base, tuned : (n, D). occupancy: the share of tuned activations that lie in the region. gain:
    the same less the base's share. displacement: mean cosine distance between base and tuned of the
    activations that lie there in the base (0 where none does). pull: by how much tuned activations
    are on average nearer to its mean, in cosine.
    """
    k = len(d)
    u, v = d.directions(base), d.directions(tuned)
    before, after = (d.assign(x)[0].cpu() for x in (base, tuned))
    share = [r.bincount(minlength=k).double() / len(r) for r in (after, before)]
    moved = torch.zeros(k, dtype=torch.float64)
    moved.index_add_(0, before, (1 - (u * v).sum(1)).double().cpu().clamp(min=0))
    return {
        "occupancy": share[0],
        "gain": share[0] - share[1],
        "displacement": moved / before.bincount(minlength=k).clamp(min=1),
        "pull": ((v - u).mean(0) @ d.means.T).double().cpu(),
    }


def noun_scores(d: Dictionary, score: Tensor, nouns: Tensor) -> Tensor:
    """The mean score of the regions in which a noun lies: (K,), nouns (J, S, D) as the base read
    each in S sentences → (J,) on the CPU."""
    region = d.assign(nouns.flatten(0, 1))[0].cpu().view(nouns.shape[:2])
    return score[region].mean(dim=1)
