"""Which features of two dictionaries are most active on the same tokens.

A feature is a column of activations over N tokens: a region's projections, an SAE's latent.

1. A feature's tokens are its `top` most active ones, positive activations only. Features with fewer
   than `min_active` positive ones are left out.
2. A feature's match on the other side is the one that shares most tokens with it (ties: the higher
   F1, then the lowest index). F1 of two sets of tokens is 2·shared / (sum of the sizes), which is
   also their Dice coefficient.
3. One to one: the assignment with the largest sum of F1 (Hungarian method; Kuhn 1955).

Both sides must be read on the same tokens, best on ones that neither was made from.

Does not know: models, token texts, where the features come from.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from torch import Tensor

from epkit.stats import Interval, bootstrap_difference, bootstrap_mean

TOP, MIN_ACTIVE = 100, 20


@dataclass(frozen=True, eq=False)
class TopTokens:
    """The most active tokens of F features.

    index : (F, top) int64, token positions, the most active first (ties: the earliest token); -1
        where there are fewer, and in the whole row of a feature that is left out.
    active : (F,) int64, tokens on which the feature is positive.
    n_tokens : how many tokens were read.
    """

    index: np.ndarray
    active: np.ndarray
    n_tokens: int

    def __len__(self) -> int:
        return len(self.index)

    @property
    def sizes(self) -> np.ndarray:
        """(F,) int64, tokens in every feature's set; 0 where it is left out."""
        return (self.index >= 0).sum(1)

    @property
    def kept(self) -> np.ndarray:
        """(F,) bool, the features that are not left out."""
        return self.index[:, 0] >= 0

    def sets(self) -> csr_array:
        """(F, N) int32, 1 where a token is in the feature's set."""
        feature, place = np.nonzero(self.index >= 0)
        ones = np.ones(len(feature), dtype=np.int32)
        token = self.index[feature, place]
        return csr_array((ones, (feature, token)), shape=(len(self), self.n_tokens))


@dataclass(frozen=True, eq=False)
class FeatureMatch:
    """A features against B features on the same tokens.

    shared : (A, B) int32, tokens in both sets. f1 : (A, B) float32.
    match_of_a, f1_of_a : (A,) int64 and float32, every a-feature's best match and their F1; -1 and
        0 where nothing is shared, -1 and nan where the feature is left out.
    match_of_b, f1_of_b : (B,), the other direction.
    """

    shared: np.ndarray
    f1: np.ndarray
    match_of_a: np.ndarray
    f1_of_a: np.ndarray
    match_of_b: np.ndarray
    f1_of_b: np.ndarray


def top_tokens(
    blocks: Iterable[Tensor], *, top: int = TOP, min_active: int = MIN_ACTIVE
) -> TopTokens:
    """The most active tokens of every feature.

    Parameters
    ----------
    blocks : (n, F) float activations of consecutive tokens, block by block.
    top : tokens per feature.
    min_active : a feature with fewer positive activations is left out.

    Raises
    ------
    ValueError : no tokens, bad top or min_active, blocks that differ in F, activations not finite.
    """
    if top < 1 or min_active < 1:
        raise ValueError(f"top and min_active must be at least 1, not {top} and {min_active}")
    keys, active, start = None, None, 0
    for block in blocks:
        if block.ndim != 2 or (keys is not None and block.shape[1] != keys.shape[1]):
            raise ValueError(
                f"blocks must have shape (n, F) with one F for all, got {tuple(block.shape)}"
            )
        if not torch.isfinite(block).all():
            raise ValueError("activations of features must be finite; read them in float32")
        new = _keys(block, start)
        start += len(block)
        counts = (block > 0).sum(0)
        active = counts if active is None else active + counts
        new = new if keys is None else torch.cat([keys, new])
        keys = new.topk(min(top, len(new)), dim=0).values
    if start == 0:
        raise ValueError("there are no tokens to read features on")
    index = _positions(keys).T.contiguous()
    index[active < min_active] = -1
    return TopTokens(index.cpu().numpy(), active.cpu().numpy(), start)


def token_identity(
    tokens: Tensor, *, top: int = TOP, min_active: int = MIN_ACTIVE, seed: int = 0
) -> TopTokens:
    """Features that know no model: one per distinct token id, on at each of its occurrences.

    tokens : (N,) ids. Of more than `top` occurrences a seeded random choice is taken.
    """
    tokens = tokens.cpu().numpy()
    order = np.random.default_rng(seed).permutation(len(tokens))
    order = order[np.argsort(tokens[order], kind="stable")]
    _, first, active = np.unique(tokens[order], return_index=True, return_counts=True)
    index = np.full((len(first), top), -1, dtype=np.int64)
    for row, (at, n) in enumerate(zip(first, active, strict=True)):
        if n >= min_active:
            index[row, : min(n, top)] = order[at : at + min(n, top)]
    return TopTokens(index, active.astype(np.int64), len(tokens))


def match_features(a: TopTokens, b: TopTokens) -> FeatureMatch:
    """Best matches in both directions (steps 1 and 2 of the module).

    Raises ValueError where the two were read on different numbers of tokens.
    """
    if a.n_tokens != b.n_tokens:
        raise ValueError(
            f"features must be read on the same tokens, got {a.n_tokens} and {b.n_tokens}"
        )
    shared = (a.sets() @ b.sets().T).toarray()
    sizes = a.sizes[:, None] + b.sizes[None, :]
    f1 = (2 * shared / np.maximum(sizes, 1)).astype(np.float32)
    of_a = _best(shared, f1, a.kept)
    of_b = _best(shared.T, f1.T, b.kept)
    return FeatureMatch(shared, f1, *of_a, *of_b)


def one_to_one(f1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (P,), (P,) of the assignment with the largest sum of F1 (A, B); only pairs above 0."""
    a, b = linear_sum_assignment(f1, maximize=True)
    some = f1[a, b] > 0
    return a[some], b[some]


def share_above(f1: np.ndarray, cut: float = 0.5) -> Interval:
    """Share of features whose F1 (F,) is above `cut`, with a 95 % bootstrap interval over features.

    Features left out (nan) are not counted. Raises ValueError where all are left out.
    """
    return bootstrap_mean(_above(f1, cut))


def share_difference(f1: np.ndarray, other: np.ndarray, cut: float = 0.5) -> Interval:
    """Share above `cut` of one group of features less that of another, (F,) and (G,), not paired.

    As `share_above`, with features of both groups resampled.
    """
    return bootstrap_difference(_above(f1, cut), _above(other, cut), paired=False)


def _above(f1: np.ndarray, cut: float) -> np.ndarray:
    f1 = f1[~np.isnan(f1)]
    if not len(f1):
        raise ValueError("every feature is left out: lower min_active or read more tokens")
    return f1 > cut


def _keys(block: Tensor, start: int) -> Tensor:
    """One int64 per entry that sorts by activation, then earliest token; 0 where not positive.

    The bits of positive float32 numbers sort like the numbers.
    """
    bits = block.float().clamp(min=0).contiguous().view(torch.int32).long()
    token = torch.arange(start, start + len(block), device=block.device)[:, None]
    return torch.where(block > 0, (bits << 32) | ((1 << 32) - 1 - token), 0)


def _positions(keys: Tensor) -> Tensor:
    token = (1 << 32) - 1 - (keys & ((1 << 32) - 1))
    return torch.where(keys > 0, token, -1)


def _best(shared: np.ndarray, f1: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column with most shared tokens and the F1 with it, row by row."""
    # F1 is at most 1, so half of it decides only between equal numbers of tokens.
    best = (shared + f1 / 2).argmax(1)
    row = np.arange(len(best))
    value = f1[row, best].copy()
    best = np.where(value > 0, best, -1)
    value[~kept] = np.nan
    return best, value
