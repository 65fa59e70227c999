"""Regions, random exemplars and SAE latents, all read on the same held-out tokens.

Groups of features have a key: ("EP", p, basis) or ("random exemplars", p, basis), with one
`TopTokens` for each draw of exemplars; or (name,) for what stands beside them for scale. A feature
counts as matched where its best match has F1 > .5.

Does not know: models, token texts, how dictionaries and SAE were made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.readouts import BASES, signed
from epkit.stats import bootstrap_difference, bootstrap_mean
from epkit.studies.sae_and_probes import EP, RANDOM
from epkit.studies.sae_and_probes.feature_match import (
    FeatureMatch,
    TopTokens,
    match_features,
    one_to_one,
    share_above,
    share_difference,
    top_tokens,
)

Found = Mapping[float, Dictionary]
Drawn = Mapping[float, Sequence[Dictionary]]

SHARES = ("features → latents", "latents → features")
"""Columns of `LatentMatches.table`: shares matched, from either side."""

MATCHED = 0.5


def read_features(encode: Callable[[Tensor], Tensor], x: Tensor) -> TopTokens:
    """Top tokens of the F features that `encode` gives, (n, D) → (n, F), on activations (N, D)."""
    return top_tokens(encode(rows) for rows in x.split(1024))


def read_regions(found: Found, drawn: Drawn, x: Tensor) -> dict[tuple, list[TopTokens]]:
    """{(features, p, basis): top tokens of every draw} by signed projections of x (N, D)."""
    return {
        (name, p, basis): [read_features(partial(signed, d, basis=basis), x) for d in many]
        for p, own in found.items()
        for basis in BASES
        for name, many in ((EP, [own]), (RANDOM, drawn[p]))
    }


@dataclass(frozen=True, eq=False)
class LatentMatches:
    """Groups of features against the latents of one SAE.

    latents : top tokens of the F latents. groups : {key: top tokens of every draw}.
    matches : {key: matches of every draw with the latents}.
    """

    latents: TopTokens
    groups: dict[tuple, list[TopTokens]]
    matches: dict[tuple, list[FeatureMatch]]

    @classmethod
    def of(cls, latents: TopTokens, groups: dict[tuple, list[TopTokens]]) -> "LatentMatches":
        """Match every group with the latents."""
        matches = {
            key: [match_features(own, latents) for own in many] for key, many in groups.items()
        }
        return cls(latents, groups, matches)

    def table(self) -> pd.DataFrame:
        """A row a group: columns features, p, basis (nan for scale), shares matched and mean F1."""
        return pd.DataFrame([self._row(key) for key in self.matches])

    def against_random(
        self, found: Found, drawn: Drawn, x: Tensor, document: Tensor
    ) -> pd.DataFrame:
        """EP less random exemplars, indexed by (p, basis), and how many regions both find.

        x, document : activations (N, D) of the tokens compared and the document of each, (N,).
        """
        rows = []
        for p, own in found.items():
            # Membership knows no basis: one assignment serves both.
            regions = [[d.assign(x)[0] for d in many] for many in ([own], drawn[p])]
            for basis in BASES:
                keys = (EP, p, basis), (RANDOM, p, basis)
                tokens = map(self._tokens_matched, keys, regions, (document, document))
                rows.append({"p": p, "basis": basis} | self._differences(*keys, *tokens))
        return pd.DataFrame(rows).set_index(["p", "basis"])

    def _row(self, key: tuple) -> dict:
        matches = self.matches[key]
        f1 = np.concatenate([m.f1_of_a for m in matches])
        n = self.latents.kept.sum()
        pairs = [(m.f1[one_to_one(m.f1)] > MATCHED).sum() / n for m in matches]
        return dict(zip(("features", "p", "basis"), key, strict=False)) | {
            "K": len(self.groups[key][0]),
            "left out": f"{np.isnan(f1).mean():.0%}",
            SHARES[0]: share_above(f1, MATCHED),
            SHARES[1]: bootstrap_mean(self._latents_matched(key)),
            "mean F1 →": np.nanmean(f1),
            "mean F1 ←": self._of_latents(key).mean(),
            "one to one, of the latents": np.mean(pairs),
        }

    def _differences(
        self, own: tuple, random: tuple, own_tokens: np.ndarray, random_tokens: np.ndarray
    ) -> dict:
        (m,), others = self.matches[own], self.matches[random]
        f1 = np.concatenate([other.f1_of_a for other in others])
        twin = match_features(self.groups[own][0], self.groups[random][0])
        return {
            "regions matched: EP − random": share_difference(m.f1_of_a, f1, MATCHED),
            "tokens in a matched region: EP − random": bootstrap_difference(
                own_tokens, random_tokens
            ),
            "latents matched: EP − random": bootstrap_difference(
                self._latents_matched(own), self._latents_matched(random)
            ),
            "mean F1 of latents: EP − random": bootstrap_difference(
                self._of_latents(own).mean(0), self._of_latents(random).mean(0)
            ),
            "regions with a random exemplar's tokens": share_above(twin.f1_of_a, MATCHED),
        }

    def _of_latents(self, key: tuple) -> np.ndarray:
        """(draws, latents kept) F1 of every latent with its best match."""
        return np.stack([m.f1_of_b[self.latents.kept] for m in self.matches[key]])

    def _latents_matched(self, key: tuple) -> np.ndarray:
        """Of every latent kept, in how many draws some feature has its tokens."""
        return (self._of_latents(key) > MATCHED).mean(0)

    def _tokens_matched(
        self, key: tuple, regions: Sequence[Tensor], document: Tensor
    ) -> np.ndarray:
        """Of every document, the share of tokens whose region is matched; mean over draws."""
        own = np.unique(document.cpu().numpy(), return_inverse=True)[1]
        shares = []
        for m, region in zip(self.matches[key], regions, strict=True):
            hit = (m.f1_of_a > MATCHED)[region.cpu().numpy()]
            shares.append(np.bincount(own, hit) / np.bincount(own))
        return np.mean(shares, axis=0)
