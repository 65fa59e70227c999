"""Sharing: what regions have in common with their neighbours, and what with others.

Does not know: how members' traits were found.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.lm.lens import logit_lens
from epkit.lm.models import LanguageModel
from epkit.stats import Interval, bootstrap_difference, bootstrap_mean
from epkit.studies.neighbourhoods.memberships import (
    equal_size_pairs,
    overlap,
    trait_agreement,
    trait_agreement_apart_from,
)
from epkit.studies.neighbourhoods.neighbours import nearest_regions, pairs_at_distance
from epkit.studies.neighbourhoods.words import StreamWords

PROMOTED = 10
"""Tokens of a mean that are compared."""

FARTHEST = 128
"""Neighbours of a region that are looked at."""

Shares = Mapping[str, np.ndarray]
"""Per measure, (P,) what the regions of every pair share."""


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The regions of a dictionary with enough members, and their neighbours among these.

    region, counts : (n,) region of every activation; (K,) members.
    eligible : (E,) the regions with enough members.
    points : (E, D) their exemplars, where the dictionary is.
    index, distance : (E, M) places in `eligible` of the nearest ones and how far they are, CPU.
    tokens : (K, 10) ids that the means of eligible regions promote, CPU.
    """

    words: StreamWords
    region: np.ndarray
    counts: np.ndarray
    eligible: np.ndarray
    points: Tensor
    index: Tensor
    distance: Tensor
    tokens: Tensor

    @classmethod
    def of(
        cls, model: LanguageModel, words: StreamWords, dictionary: Dictionary, region: np.ndarray,
        *, min_members: int,
    ) -> "Neighbourhood":  # fmt: skip
        """region : (n,) region in the dictionary of every activation that `words` are of."""
        counts = np.bincount(region, minlength=len(dictionary))
        eligible = np.flatnonzero(counts >= min_members)
        there = torch.as_tensor(eligible, device=dictionary.exemplars.device)
        points = dictionary.exemplars[there]
        index, distance = nearest_regions(points, min(FARTHEST, len(points) - 1))
        tokens = torch.zeros(len(dictionary), PROMOTED, dtype=torch.int64)
        tokens[torch.as_tensor(eligible)] = logit_lens(
            model, dictionary.means[there], PROMOTED
        ).promoted
        return cls(words, region, counts, eligible, points, index, distance, tokens)

    def pairs(self, rank: int = 1) -> np.ndarray:
        """(E, 2): every eligible region and its nearest one, or its neighbour of another rank."""
        other = self.index[:, rank - 1].numpy()
        return np.stack([self.eligible, self.eligible[other]], axis=1)

    def pairs_of_equal_size(self, seed: int = 0) -> np.ndarray:
        """(E, 2): every eligible region and a random one of about its neighbour's size."""
        return equal_size_pairs(self.pairs(), self.counts, self.eligible, seed=seed)

    def pairs_as_far_as(self, other: "Neighbourhood", seed: int = 0) -> np.ndarray:
        """(E', 2): random pairs of eligible regions, as far apart as the neighbours of another."""
        wanted = other.distance[:, 0].numpy()
        return self.eligible[pairs_at_distance(self.points, wanted, seed=seed)]

    def share(self, pairs: np.ndarray) -> dict[str, np.ndarray]:
        """What the regions of pairs (P, 2) share: {measure: (P,)}, nan where it has no meaning."""
        words, region = self.words, self.region
        apart = {"same class": words.word_class, "same document": words.document}
        return {
            "same word": trait_agreement(region, words.word, pairs),
            **{
                f"{what}, other word": trait_agreement_apart_from(region, trait, words.word, pairs)
                for what, trait in apart.items()
            },
            "promoted tokens": overlap(self.tokens, pairs),
        }


def sharing_table(
    near: Mapping[str, Shares], far: Mapping[str, Shares], equal: Shares
) -> pd.DataFrame:
    """What neighbours share beside random pairs and random exemplars, a row per measure.

    near, far : of "EP" and "random exemplars", shares of neighbours and of random pairs.
    equal : of random exemplars that are as far apart as the neighbours of EP.
    """
    rows = []
    for measure in equal:
        (ep, ep_far), (random, random_far) = (
            (near[name][measure], far[name][measure]) for name in ("EP", "random exemplars")
        )
        rows.append({
            "share": measure, "neighbours": np.nanmean(ep), "random pairs": np.nanmean(ep_far),
            "more than random pairs": _difference(ep, ep_far),
            "neighbours, random exemplars": np.nanmean(random),
            "their random pairs": np.nanmean(random_far),
            "more than their random pairs": _difference(random, random_far),
            "random exemplars, same distance": np.nanmean(equal[measure]),
            "EP more than those": _difference(ep, equal[measure]),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("share")


def _difference(a: np.ndarray, b: np.ndarray) -> Interval:
    some = np.isfinite(a) & np.isfinite(b)
    return bootstrap_difference(a[some], b[some])


def sharing_curves(
    hoods: Mapping[str, Neighbourhood], ranks: Iterable[int] = (1, 2, 4, 8, 16, 32, 64, 128)
) -> pd.DataFrame:
    """What regions share with their neighbour of every rank that there is, for `plot_agreement`."""
    rows = []
    for name, hood in hoods.items():
        for rank in (r for r in ranks if r <= hood.index.shape[1]):
            apart = float(hood.distance[:, rank - 1].median())
            for measure, values in hood.share(hood.pairs(rank)).items():
                mean = bootstrap_mean(values[np.isfinite(values)], draws=1000)
                about = {"measure": measure, "dictionary": name, "distance": apart}
                rows.append(about | mean._asdict())
    return pd.DataFrame(rows)


def mean_shares(shares: Mapping[str, Shares]) -> pd.DataFrame:
    """The mean of every measure of every dictionary, the baseline of `plot_agreement`."""
    rows = [
        {"measure": measure, "dictionary": name, "value": np.nanmean(values)}
        for name, of_name in shares.items()
        for measure, values in of_name.items()
    ]
    return pd.DataFrame(rows)
