"""Whether a feature's members are a latent's top tokens, compared at equal support.

1. A partition gives every token one feature: the region of its nearest exemplar, the latent that is
   most active on it, its own token id. A feature's members are the tokens it is given.
2. Beside a feature of m members, a latent stands with its m most active tokens (ties: the earliest;
   fewer where it is on at fewer). So both have the same support, and no feature is credited with
   tokens that belong to another.
3. F1 of the two sets is 2·shared / (sum of the sizes). A feature's match is the latent with the
   highest F1 (ties: the lowest index). Features with fewer than `MIN_MEMBERS` have none.

All must be read on the same tokens, best on ones that neither side was made from.

Does not know: models, token texts, where the features come from.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MIN_MEMBERS = 5
MATCHED = 0.5
"""A feature is matched where F1 is above this."""


@dataclass(frozen=True, eq=False)
class RankedLatents:
    """The active tokens of L latents, Z in all, by latent and from the most active on.

    latent, token, rank : (Z,) int64; rank counts from 0 within a latent.
    active : (L,) int64, tokens a latent is on at. n_tokens : how many were read.
    top : (N,) int64, of every token the latent most active on it; -1 where none is.
    """

    latent: np.ndarray
    token: np.ndarray
    rank: np.ndarray
    active: np.ndarray
    n_tokens: int
    top: np.ndarray

    def __len__(self) -> int:
        return len(self.active)

    def tokens_of(self, latent: int, n: int) -> np.ndarray:
        """The n tokens on which a latent is most active, or as many as there are."""
        return self.token[(self.latent == latent) & (self.rank < n)]


@dataclass(frozen=True, eq=False)
class Overlap:
    """K features of a partition and their matches among the latents.

    feature : (N,) int64 of every token, -1 for none. members : (K,) int64.
    latent, f1 : (K,) the match and its F1; -1 and 0 where nothing is shared, -1 and nan for
        features of fewer than `MIN_MEMBERS`.
    """

    feature: np.ndarray
    members: np.ndarray
    latent: np.ndarray
    f1: np.ndarray

    @property
    def matched(self) -> np.ndarray:
        """(K,) bool, features whose match has F1 above `MATCHED`."""
        return np.nan_to_num(self.f1) > MATCHED

    @property
    def token_matched(self) -> np.ndarray:
        """(N,) bool, tokens of a matched feature."""
        return np.append(self.matched, False)[self.feature]

    @property
    def token_f1(self) -> np.ndarray:
        """(N,) F1 of every token's feature; 0 where it has no match."""
        return np.append(np.nan_to_num(self.f1), 0.0)[self.feature]


def ranked_latents(encode: Callable[[Tensor], Tensor], x: Tensor, block: int = 1024):
    """`RankedLatents` of activations (N, D); encode : (n, D) → (n, L), never negative.

    Raises ValueError for no tokens or latents that are not finite.
    """
    if not len(x):
        raise ValueError("there are no tokens to read latents on")
    parts, top = [], []
    for start, rows in zip(range(0, len(x), block), x.split(block), strict=True):
        f = encode(rows)
        if not torch.isfinite(f).all():
            raise ValueError("latents must be finite; read them in float32")
        token, latent = f.nonzero(as_tuple=True)
        parts.append([v.cpu().numpy() for v in (latent, token + start, f[token, latent])])
        value, first = f.max(1)
        top.append(torch.where(value > 0, first, -1).cpu().numpy())
    latent, token, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((token, -value, latent))
    latent, token = latent[order], token[order]
    active = np.bincount(latent, minlength=f.shape[1])
    rank = np.arange(len(latent)) - np.repeat(active.cumsum() - active, active)
    return RankedLatents(latent, token, rank, active, len(x), np.concatenate(top))


def match_members(feature: np.ndarray, n_features: int, latents: RankedLatents) -> Overlap:
    """Match the features of a partition with latents read on the same tokens.

    feature : (N,) in 0 … n_features − 1, or -1 for a token of none.
    Raises ValueError for another number of tokens, or where every feature is too small.
    """
    if len(feature) != latents.n_tokens:
        raise ValueError(
            f"features must be read on the same tokens, got {len(feature)} and {latents.n_tokens}"
        )
    members = np.bincount(feature[feature >= 0], minlength=n_features)
    if members.max(initial=0) < MIN_MEMBERS:
        raise ValueError(f"no feature has {MIN_MEMBERS} members: read more tokens")
    own = feature[latents.token]
    hit = (own >= 0) & (latents.rank < np.append(members, 0)[own])
    pairs, shared = np.unique(own[hit] * len(latents) + latents.latent[hit], return_counts=True)
    row, latent = np.divmod(pairs, len(latents))
    f1 = 2 * shared / (members[row] + np.minimum(members[row], latents.active[latent]))
    order = np.lexsort((latent, -f1, row))
    row, first = np.unique(row[order], return_index=True)
    match = np.full(n_features, -1)
    best = np.where(members < MIN_MEMBERS, np.nan, 0.0)
    match[row], best[row] = latent[order][first], f1[order][first]
    small = members < MIN_MEMBERS
    match[small], best[small] = -1, np.nan
    return Overlap(feature, members, match, best)
