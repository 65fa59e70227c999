"""Regions ranked without knowing the kinds: how many one reads until a kind is first seen.

Read are the regions with at least `MIN_MEMBERS` members, those most unlike the rest first. A kind
is seen when a region of it is read (`found.regions_of`); where it has none, all are read and one
more is counted, which is the least it can be.

`RULES` are ways to say unlike. One is chosen for each reader on one kind, and tested on the others.

Does not know: kinds' names, texts.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.inspect.unlike import nearest_region
from epkit.studies.rare_kinds.found import MIN_MEMBERS

NEIGHBOURS = 10


def _from_all(d: Dictionary) -> Tensor:
    """Mean cosine distance of a region's mean to the directions of all activations."""
    weight = d.counts * d.coherence / d.counts.sum()
    return 1 - d.means @ (weight @ d.means)


RULES: dict[str, Callable[[Dictionary], Tensor]] = {
    "far from all activations": _from_all,
    "far from the nearest region": nearest_region,
    "far from the 10th nearest region": lambda d: nearest_region(d, NEIGHBOURS),
    "few members": lambda d: -d.counts.float(),
    "few members, then far from the nearest": lambda d: nearest_region(d) / 2 - d.counts,
    "alike within": lambda d: d.coherence,
    "far members": lambda d: d.distance_mean,
}
"""What makes a region unlike the rest: a score (K,), higher for more unlike."""


def reading_order(score: Tensor, counts: Tensor, seed: int) -> Tensor:
    """Regions to read, the most unlike first: (R,) int64; ties in random order."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(score), generator=generator)
    order = shuffled[score.cpu()[shuffled].sort(descending=True, stable=True).indices]
    return order[counts.cpu()[order] >= MIN_MEMBERS]


def read_until_seen(order: Tensor, regions: Tensor) -> list[int]:
    """Regions read until each kind is first seen: (R,) order, (K, C) bool → C numbers."""
    seen = regions[order]
    first = torch.where(seen.any(0), seen.int().argmax(0), len(order))
    return (first + 1).tolist()


def read_at_random(n_read: int, n_of_kind: int) -> float:
    """Expected number read in random order until the first of m among R: (R + 1) / (m + 1)."""
    return (n_read + 1) / (n_of_kind + 1)
