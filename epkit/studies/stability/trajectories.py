"""Trajectories: the same tokens through the regions of every layer.

Each layer has a dictionary of its own, so regions of two layers have no names in common. What can
be followed is co-membership: whether two tokens in one region at a layer are so at the next.

- `co_membership`, `persistence`: over all pairs of tokens, counted exactly;
- `survival`: how many layers in a row a pair that shares goes on sharing;
- `followed`: regions of two layers matched by their members, and how many tokens follow the match;
- `pairs_ending_alike`, `pairs_sharing`, `merged_from`: chosen pairs of positions, layer by layer.

The control of each is `shuffled`: the same region sizes at every layer, tokens permuted.

Does not know: models, dictionaries, distances.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix

LayerRegions = np.ndarray
"""(L, T) integers: the region of each of T tokens at each of L layers."""


def shuffled(regions: LayerRegions, *, seed: int = 0) -> LayerRegions:
    """The control: tokens permuted at every layer on its own, (L, T) → (L, T)."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(row) for row in _checked(regions)])


def co_membership(regions: LayerRegions) -> np.ndarray:
    """Share of all pairs of tokens that share a region, at every layer: (L, T) → (L,)."""
    regions = _checked(regions)
    return np.array([_pairs(np.unique(row, return_counts=True)[1]) for row in regions]) / _pairs(
        np.array([regions.shape[1]])
    )


def persistence(regions: LayerRegions) -> np.ndarray:
    """P(share a region at layer j | share one at layer i), over all pairs: (L, T) → (L, L).

    The diagonal is 1. nan in the rows of a layer at which no two tokens share.
    """
    regions = _checked(regions)
    both = np.array([[_pairs(_joint(a, b)) for b in regions] for a in regions], dtype=float)
    own = np.diag(both)
    return np.divide(both, own[:, None], out=np.full_like(both, np.nan), where=own[:, None] > 0)


def survival(regions: LayerRegions, start: int) -> np.ndarray:
    """Of the pairs that share at layer `start`, the share that shares at every layer up to each.

    (L, T) → (L − start,), 1 first and never rising; nan where no two tokens share at the start.
    """
    regions = _checked(regions)
    groups, left = regions[start], []
    for row in regions[start:]:
        _, groups = np.unique(np.stack([groups, row]), axis=1, return_inverse=True)
        left.append(_pairs(np.bincount(groups.ravel())))
    return np.array(left) / left[0] if left[0] else np.full(len(left), np.nan)


def followed(a: np.ndarray, b: np.ndarray) -> float:
    """Share of tokens that lie in matched regions of two layers: (T,), (T,) → [0, 1].

    Regions are matched one to one so that as many tokens as possible lie in a region and its match.
    """
    table = contingency_matrix(a, b)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / len(a))


def pairs_ending_alike(
    keys: Sequence[Hashable | None], apart: Sequence[Hashable], *, seed: int = 0
) -> np.ndarray:
    """Pairs of positions with the same key whose `apart` differ; each position at most once.

    Parameters
    ----------
    keys : T, what must be the same (the last tokens, say); None keeps a position out.
    apart : T, what must differ (the document, say).
    seed : of the order in which positions find partners.

    Returns
    -------
    (P, 2) int64.

    Raises
    ------
    ValueError : different lengths.
    """
    if len(keys) != len(apart):
        raise ValueError(f"{len(keys)} keys and {len(apart)} values that must differ")
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    pairs = []
    for i in np.random.default_rng(seed).permutation(len(keys)).tolist():
        if keys[i] is None:
            continue
        partners = waiting[keys[i]]
        at = next((n for n, j in enumerate(partners) if apart[j] != apart[i]), None)
        if at is None:
            partners.append(i)
        else:
            pairs.append((partners.pop(at), i))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def pairs_sharing(regions: LayerRegions, pairs: np.ndarray) -> np.ndarray:
    """Whether each pair of positions shares a region, by layer: (L, T), (P, 2) → (L, P) bool."""
    regions = _checked(regions)
    return regions[:, pairs[:, 0]] == regions[:, pairs[:, 1]]


def merged_from(shares: np.ndarray) -> np.ndarray:
    """First layer from which a pair shares at all layers to the last: (L, P) bool → (P,).

    L for a pair that does not share at the last layer.
    """
    to_the_end = np.logical_and.accumulate(shares[::-1], axis=0)
    return len(shares) - to_the_end.sum(axis=0)


def _checked(regions: LayerRegions) -> LayerRegions:
    regions = np.asarray(regions)
    if regions.ndim != 2 or regions.shape[1] < 2 or not np.issubdtype(regions.dtype, np.integer):
        raise ValueError(
            "regions must be integers of shape (layers, tokens) with at least two tokens, got "
            f"{regions.dtype} of shape {regions.shape}"
        )
    return regions


def _joint(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Tokens in every occurring combination of a region of a and one of b."""
    return contingency_matrix(a, b, sparse=True).data


def _pairs(counts: np.ndarray) -> float:
    """Pairs of tokens within groups of these sizes."""
    counts = counts.astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())
