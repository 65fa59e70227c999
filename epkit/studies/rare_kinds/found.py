"""Regions of a kind, and what they hold of held-out text.

A region is *of a kind* when at least `MIN_MEMBERS` of the stream's activations are in it and more
than half of them are of the kind. A kind is *found* when it has such a region. *Recall* is the
share of the kind's held-out activations that are in one of them, *false share* that of held-out
web activations. The rule was fixed before anything was read by it.

Does not know: dictionaries; it sees pairs (row, region) of a reader.
"""

from __future__ import annotations

import torch
from torch import Tensor

from epkit.studies.rare_kinds.readers import Pairs

MIN_MEMBERS = 2


def member_counts(pairs: Pairs, kind: Tensor, n_regions: int, n_kinds: int) -> Tensor:
    """Members of every region by kind, the last column web: (K, n_kinds + 1) int64.

    kind : (N,) place of the kind, −1 for web.
    """
    row, region = pairs
    column = kind[row] % (n_kinds + 1)  # −1 becomes the last
    flat = region * (n_kinds + 1) + column
    return flat.bincount(minlength=n_regions * (n_kinds + 1)).view(n_regions, n_kinds + 1)


def regions_of(counts: Tensor) -> Tensor:
    """Which regions are of which kind: (K, n_kinds + 1) counts → (K, n_kinds) bool."""
    total = counts.sum(1, keepdim=True)
    return (total >= MIN_MEMBERS) & (2 * counts[:, :-1] > total)


def held_share(pairs: Pairs, n: int, regions: Tensor) -> float:
    """Share of n rows that are in one of the regions, (K,) bool."""
    row, region = pairs
    inside = torch.zeros(n, dtype=torch.bool)
    inside[row[regions[region]]] = True
    return inside.double().mean().item()
