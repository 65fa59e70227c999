"""Trajectories: the same tokens through the regions of every layer.

Each layer has a dictionary of its own, so regions of two layers have no names in common. What can
be followed is co-membership: whether two tokens in one region at a layer are so at the next.

- `co_membership`, `persistence`, `one_step`: over all pairs of tokens, counted exactly;
- `survival`: how many layers in a row a pair that shares goes on sharing;
- `followed`: regions of two layers matched by their members, and how many tokens follow the match;
- `pairs_ending_alike`, `pairs_sharing`, `merged_from`, `merging`: chosen pairs of positions, layer
  by layer.

The control of each is `shuffled`: the same region sizes at every layer, tokens permuted.

Does not know: models, dictionaries, distances.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix

from epkit.stats import bootstrap_mean

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
    both = np.zeros((len(regions), len(regions)))
    for i, a in enumerate(regions):
        for j, b in enumerate(regions[: i + 1]):
            both[i, j] = both[j, i] = _pairs(_joint(a, b))
    own = np.diag(both)
    return np.divide(both, own[:, None], out=np.full_like(both, np.nan), where=own[:, None] > 0)


def one_step(regions: LayerRegions) -> np.ndarray:
    """P(share a region at the next layer | share one at this): (L, T) → (L − 1,), nan as above."""
    return np.array([persistence(np.stack(pair))[0, 1] for pair in pairwise(regions)])


def steps_by_documents(
    regions: LayerRegions, documents: Sequence[int], groups: int = 8
) -> list[float]:
    """`one_step` averaged over layers, for at most `groups` groups of documents, each by itself.

    documents : T, the document of every token.
    """
    names = np.unique(documents)
    parts = np.array_split(names, min(groups, len(names)))
    return [float(np.nanmean(one_step(regions[:, np.isin(documents, part)]))) for part in parts]


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


def step_table(regions: LayerRegions, control: LayerRegions) -> pd.DataFrame:
    """One layer on: `one_step` and `followed`, beside those of the shuffled; a row per layer."""
    columns = {"from": np.arange(len(regions) - 1), "share on": one_step(regions)}
    columns["share on, shuffled"] = one_step(control)
    for name, of in (("follow", regions), ("follow, shuffled", control)):
        columns[name] = [followed(a, b) for a, b in pairwise(of)]
    return pd.DataFrame(columns)


def half_life(survived: np.ndarray) -> int | None:
    """Layers passed until fewer than half of the pairs are still together; None for never."""
    below = np.flatnonzero(survived < 0.5)
    return int(below[0]) if len(below) else None


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


def merging(
    regions: LayerRegions, kinds: Mapping[str, np.ndarray]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Where pairs of positions of each kind share a region, by layer, and where they do for good.

    kinds : {kind: (P, 2)}.

    Returns
    -------
    {kind: columns layer, value, low, high}, and a table indexed by kind (line breaks as blanks).
    """
    curves, rows = {}, []
    for kind, pairs in kinds.items():
        share = pairs_sharing(regions, pairs)
        by_layer = [bootstrap_mean(row, draws=1000) for row in share]
        curves[kind] = pd.DataFrame(by_layer).rename_axis("layer").reset_index()
        for_good = merged_from(share)
        ended = for_good[for_good < len(share)]
        mean = share.mean(axis=1)
        rows.append({
            "kind": kind.replace("\n", " "), "pairs": len(pairs),
            "share at the last layer": by_layer[-1],
            "median layer of merging for good": np.median(ended) if len(ended) else np.nan,
            "highest share": mean.max(), "at layer": int(mean.argmax()),
        })  # fmt: skip
    return curves, pd.DataFrame(rows).set_index("kind")


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
