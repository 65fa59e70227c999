"""Kinds of dictionaries against the latents of one SAE, on the same held-out tokens.

Groups of features have a key: (kind, p) for dictionaries, with one `Overlap` a run; (name, None)
for what stands beside them for scale: another SAE's latents, token identity, the same regions with
their tokens shuffled.

Does not know: models, token texts, how dictionaries and SAE were made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.stats import (
    Interval,
    bootstrap_difference,
    bootstrap_mean,
    minimum_detectable,
)
from epkit.studies.sae_and_probes import RANDOM
from epkit.studies.sae_and_probes.equal_support import (
    MATCHED,
    MIN_MEMBERS,
    Overlap,
    RankedLatents,
    match_members,
)

NORMAL = 1.96
"""Standard errors on either side in a 95 % interval."""

SHUFFLED, RESEEDED, IDENTITY = "EP, tokens shuffled", "SAE, another seed", "token identity"


@dataclass(frozen=True, eq=False)
class LatentMatches:
    """Groups of features against the latents of one SAE.

    groups : {key: one `Overlap` a run}. document : (N,) of every token, from 0 without gaps.
    """

    groups: Mapping[tuple[str, float | None], Sequence[Overlap]]
    document: np.ndarray

    def tokens(self, key: tuple[str, float | None]) -> np.ndarray:
        """Of every document, the share of tokens in a matched feature; mean over runs."""
        n = np.bincount(self.document)
        shares = [np.bincount(self.document, one.token_matched) / n for one in self.groups[key]]
        return np.mean(shares, axis=0)

    def against_random(self, key: tuple[str, float | None], p: float) -> Interval:
        """The difference of `tokens` from random exemplars at p, paired over documents."""
        return bootstrap_difference(self.tokens(key), self.tokens((RANDOM, p)))

    def regions(self, key: tuple[str, float | None]) -> Interval:
        """Share of features of five members or more that are matched, over all runs."""
        f1 = np.concatenate([one.f1 for one in self.groups[key]])
        return bootstrap_mean(f1[~np.isnan(f1)] > MATCHED)

    def at_equal_size(self, key: tuple[str, float | None], p: float) -> Interval:
        """Share of features matched less that of random exemplars at p, at the sizes of the latter.

        Features are compared within doublings of their members, and doublings weighted by the
        tokens that random exemplars have in them (those that one side has none in are left out).
        Normal interval over features, all runs together.
        """
        own, other = (_by_size(self.groups[k]) for k in (key, (RANDOM, p)))
        shared = sorted(own.keys() & other.keys())
        weight = np.array([sum(m for m, _ in other[size]) for size in shared], dtype=float)
        weight /= weight.sum()
        value, variance = 0.0, 0.0
        for w, size in zip(weight, shared, strict=True):
            a, b = (np.array([hit for _, hit in side[size]]) for side in (own, other))
            value += w * (a.mean() - b.mean())
            variance += w**2 * (a.var() / len(a) + b.var() / len(b))
        half = NORMAL * variance**0.5
        return Interval(value, value - half, value + half)

    def distinct(self, key: tuple[str, float | None]) -> float:
        """Different latents that are the match of a matched feature, mean over runs."""
        return float(np.mean([len(np.unique(one.latent[one.matched])) for one in self.groups[key]]))

    def table(self, p: float) -> pd.DataFrame:
        """A row a kind at p and what stands for scale, indexed by features."""
        rows = []
        for key, runs in self.groups.items():
            if key[1] not in (p, None):
                continue
            gap = None if key[0] == RANDOM else self.against_random(key, p)
            rows.append({
                "features": key[0],
                "of five members": round(np.mean([(~np.isnan(one.f1)).sum() for one in runs])),
                "matched": self.regions(key),
                "tokens in a matched one": bootstrap_mean(self.tokens(key)),
                "distinct latents": self.distinct(key),
                "at equal size, against random": gap and self.at_equal_size(key, p),
                "tokens, against random exemplars": gap,
                "detectable": np.nan if gap is None else minimum_detectable(gap),
            })  # fmt: skip
        return pd.DataFrame(rows).set_index("features")


def _by_size(runs: Sequence[Overlap]) -> dict[int, list[tuple[int, bool]]]:
    """{doublings above `MIN_MEMBERS`: (members, whether matched) of every feature}."""
    found: dict[int, list[tuple[int, bool]]] = {}
    for one in runs:
        for m, hit in zip(one.members.tolist(), one.matched.tolist(), strict=True):
            if m >= MIN_MEMBERS:
                found.setdefault((m // MIN_MEMBERS).bit_length(), []).append((m, hit))
    return found


def match_kinds(
    found: Mapping[float, Mapping[str, Sequence[Dictionary]]],
    latents: RankedLatents,
    x: Tensor,
    document: Tensor,
    *,
    token: Tensor,
    others: Sequence[RankedLatents] = (),
    seed: int = 0,
) -> LatentMatches:
    """Match every dictionary's regions with latents on activations (N, D) of held-out tokens.

    found : {p: {kind: runs}}. document, token : (N,) of every activation; documents in any numbers.
    others : latents of SAEs from other seeds, on the same tokens. seed : of the shuffled tokens.
    """
    groups: dict[tuple[str, float | None], list[Overlap]] = {}
    for p, kinds in found.items():
        for kind, runs in kinds.items():
            regions = [d.assign(x)[0].cpu().numpy() for d in runs]
            groups[kind, p] = [
                match_members(region, len(d), latents)
                for region, d in zip(regions, runs, strict=True)
            ]
    if others:
        groups[RESEEDED, None] = [match_members(one.top, len(one), latents) for one in others]
    ids, identity = np.unique(token.cpu().numpy(), return_inverse=True)
    groups[IDENTITY, None] = [match_members(identity, len(ids), latents)]
    first = next(iter(groups.values()))[0]
    shuffled = np.random.default_rng(seed).permutation(first.feature)
    groups[SHUFFLED, None] = [match_members(shuffled, len(first.members), latents)]
    return LatentMatches(groups, np.unique(document.cpu().numpy(), return_inverse=True)[1])


def late_tokens(window: Tensor, first: int) -> Tensor:
    """(N,) bool, activations that are not among the `first` of their window: window (N,) sorted."""
    place = torch.arange(len(window)) - torch.searchsorted(window.contiguous(), window.contiguous())
    return place >= first
