"""Stability: how much of a dictionary comes again with another order or another sample.

- `recurrence` compares two runs region by region: the cosine of a region with its match in the
  other (`matching`, which also says how far two partitions of the same activations agree).
- `stability_score` is D = log10(N c²), which is said to predict recurrence from one run alone.
- `document_halves` gives samples without a common document; `value_for_regions` the threshold at
  which another rule founds as many regions, since every such number depends on K.

Does not know: models, tokens, how dictionaries were made.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.matching import match


def stability_score(dictionary: Dictionary) -> Tensor:
    """D = log10(N c²), N members and c coherence (Rumbelow 2026): (K,) float64 on the CPU.

    Minus infinity for a region without members.
    """
    c = dictionary.coherence.double()
    return (dictionary.counts * c.square()).log10().cpu()


def document_halves(documents: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two halves of the activations that have no document in common.

    A seeded half of the documents, and the rest; the larger half loses its last activations, so
    that both have the same number.

    Parameters
    ----------
    documents : (n,) int64, the document of every activation.

    Returns
    -------
    two tensors (m,) int64 of positions, each in stream order.

    Raises
    ------
    ValueError : fewer than two documents.
    """
    names = documents.unique()
    if len(names) < 2:
        raise ValueError("disjoint halves need at least two documents")
    generator = torch.Generator().manual_seed(seed)
    chosen = names[torch.randperm(len(names), generator=generator)[: len(names) // 2]]
    inside = torch.isin(documents, chosen)
    halves = [part.nonzero()[:, 0] for part in (inside, ~inside)]
    size = min(map(len, halves))
    return halves[0][:size], halves[1][:size]


def recurrence(a: Dictionary, b: Dictionary, basis: str = "exemplar") -> Tensor:
    """Cosine of every region of a with its one-to-one match in b: (K_a,) float64 on the CPU.

    A region that is left without a match, because b has fewer, has recurred with 0.

    basis : "exemplar" or "mean". Raises ValueError as `matching.match` does.
    """
    matching = match(a, b, basis=basis)
    recurred = torch.zeros(len(a), dtype=torch.float64)
    recurred[matching.pairs[:, 0]] = matching.cosines.double()
    return recurred


def value_for_regions(
    count: Callable[[float], int],
    k: int,
    low: float,
    high: float,
    *,
    tolerance: float = 0.02,
    steps: int = 16,
) -> float:
    """The threshold (or percentile) at which a rule founds k regions, to within `tolerance`.

    Bisection on a logarithmic scale: larger values found fewer regions, if not strictly so. The
    best of the values tried.

    Parameters
    ----------
    count : value → number of regions.
    k : regions wanted.
    low, high : values with count(low) ≥ k ≥ count(high), both positive.
    tolerance : share of k by which the number may be off for the search to stop.
    steps : the most values tried.

    Raises
    ------
    ValueError : bounds that are none, or a number that is off by more than five tolerances.
    """
    if not (0 < low < high and k >= 1):
        raise ValueError(f"needed are 0 < low < high and k ≥ 1, not {low}, {high} and {k}")
    best, off = low, math.inf
    for _ in range(steps):
        middle = math.sqrt(low * high)
        found = count(middle)
        if abs(found - k) < off:
            best, off = middle, abs(found - k)
        if off <= tolerance * k:
            return best
        low, high = (middle, high) if found > k else (low, middle)
    if off > 5 * tolerance * k:
        raise ValueError(f"no value between the bounds founds about {k} regions: widen them")
    return best
