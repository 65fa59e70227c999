"""Stability: how much of a dictionary comes again with another order or another sample.

- `recurrence` compares two runs region by region: the cosine of a region with its match in the
  other (`matching`, which also says how far two partitions of the same activations agree).
- `refound` compares them by members: the share of regions whose held-out members the other run
  keeps together and apart from others. It compares no vectors, so it favours no basis.
- `stability_score` is D = log10(N c²), which is said to predict recurrence from one run alone.
- `disjoint_pairs` gives pairs of samples none of which has a document in common with another;
  `value_for_regions` the threshold at which another rule founds as many regions, since every such
  number depends on K.

Does not know: models, tokens, how dictionaries were made.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.matching import contingency, fates, match

FEWEST = 5
"""Held-out members without which a region is not asked whether it has come again."""


def stability_score(dictionary: Dictionary) -> Tensor:
    """D = log10(N c²), N members and c coherence (Rumbelow 2026): (K,) float64 on the CPU.

    Minus infinity for a region without members.
    """
    c = dictionary.coherence.double()
    return (dictionary.counts * c.square()).log10().cpu()


def disjoint_pairs(documents: Tensor, n: int, *, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """n pairs of parts of the activations; no document is in two of the 2n parts.

    Documents, in a seeded order, go each to the part that has the fewest activations so far (ties:
    the first). Parts lose their last activations, so that all are as long as the shortest. What is
    measured on one pair is then independent of every other pair but for what all of them share.

    Parameters
    ----------
    documents : (N,) int64, the document of every activation.

    Returns
    -------
    n pairs of tensors (m,) int64 of positions, each in stream order.

    Raises
    ------
    ValueError : fewer than 2n documents.
    """
    names, own, sizes = documents.unique(return_inverse=True, return_counts=True)
    if len(names) < 2 * n:
        raise ValueError(f"{n} pairs need {2 * n} documents, one for every part: {len(names)}")
    part, filled = torch.zeros(len(names), dtype=torch.int64), [0] * (2 * n)
    for name in torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist():
        part[name] = least = filled.index(min(filled))
        filled[least] += int(sizes[name])
    of_row = part[own.cpu()]
    rows = [(of_row == i).nonzero()[: min(filled), 0] for i in range(2 * n)]
    return list(zip(rows[::2], rows[1::2], strict=True))


def recurrence(a: Dictionary, b: Dictionary, basis: str = "exemplar") -> Tensor:
    """Cosine of every region of a with its one-to-one match in b: (K_a,) float64 on the CPU.

    A region that is left without a match, because b has fewer, has recurred with 0.

    basis : "exemplar" or "mean". Raises ValueError as `matching.match` does.
    """
    matching = match(a, b, basis=basis)
    recurred = torch.zeros(len(a), dtype=torch.float64)
    recurred[matching.pairs[:, 0]] = matching.cosines.double()
    return recurred


def refound(region_a: Tensor, region_b: Tensor, k_a: int, k_b: int) -> float:
    """Share of the regions of a that come again in b, by where the same activations lie.

    A region has come again when it is *kept* (`matching.fates`): more than half of its members lie
    in one region of b, and more than half of that region's members are they. Only regions with at
    least `FEWEST` members among the activations count; nan where there is none.

    region_a, region_b : (N,) regions of activations that neither run was built on.
    """
    found = fates(contingency(region_a, region_b, k_a, k_b))
    found = found[found.members >= FEWEST]
    return float((found.fate == "kept").mean())


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
