"""The answers of the notebook in words, from its tables.

Does not know: how the numbers came about.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from epkit.stats import Interval, bootstrap_ratio
from epkit.studies.sae_and_probes import EP, RANDOM
from epkit.studies.sae_and_probes.comparison import SHARES
from epkit.studies.sae_and_probes.latents import SaeQuality
from epkit.studies.sae_and_probes.scores import ProbeScores, above_chance

FEW_TEXTS = 500
"""Training texts on average below which one-hot probes are at a disadvantage."""


def latents_verdict(
    quality: SaeQuality, compared: pd.DataFrame, against: pd.DataFrame
) -> Iterator[str]:
    """Sentences on regions and latents, for the coarsest and the finest dictionary.

    compared, against : `LatentMatches.table` and `LatentMatches.against_random`.
    """
    poor = "too poor to compare; read (a) as a finding about it"
    yield (
        f"(a) SAE: {quality.heldout:.2f} of held-out variance explained (as many principal "
        f"components: {quality.components:.2f}), {quality.dead:.0%} dead: "
        f"{'good enough to compare' if quality.good else poor}."
    )
    there, back = SHARES
    dictionaries = compared[compared.p.notna()].set_index(["features", "p", "basis"])
    for p in (compared.p.max(), compared.p.min()):
        own, random = (dictionaries.loc[(name, p, "mean")] for name in (EP, RANDOM))
        differences = against.loc[(p, "mean")]
        regions, latents, tokens = (
            differences[f"{what}: EP − random"]
            for what in ("regions matched", "latents matched", "tokens in a matched region")
        )
        yield (
            f"  p {p:g}, mean basis: {own[there].value:.0%} of regions have a latent with F1 > .5 "
            f"(random exemplars {random[there].value:.0%}; difference {regions}: {_says(regions)});"
            f" {own[back].value:.0%} of latents have a region (random exemplars "
            f"{random[back].value:.0%}; difference {latents}: {_says(latents)}). "
            f"Counted by tokens: {tokens}, {_says(tokens)}."
        )
    for _, row in compared[compared.p.isna()].iterrows():
        shares = f"{row[there].value:.0%} → and {row[back].value:.0%} ←"
        yield f"  for scale, {row.features}: {shares}."


def labels_verdict(
    scores: ProbeScores, difference: pd.DataFrame, n_train: Sequence[int]
) -> Iterator[str]:
    """Sentences on labels, for the coarsest and the finest dictionary.

    difference : `ProbeScores.against_random`. n_train : training texts of every set.
    """
    raw, majority = scores.values("raw"), scores.values("majority")
    yield (
        f"(b) {len(scores.names)} sets. Raw probe {raw.mean():.3f}, best raw coordinate "
        f"{scores.values('raw best coordinate').mean():.3f}, majority {majority.mean():.3f}."
    )
    for p in (max(scores.percentiles), min(scores.percentiles)):
        own, against = scores.values("one-hot", EP, p), difference.loc[("one-hot", p)]
        kept, constant = (bootstrap_ratio(one, raw).value for one in (own, majority))
        yield (
            f"  one-hot at p {p:g}: accuracy {own.mean():.3f}, {kept:.0%} of raw (the majority "
            f"class keeps {constant:.0%}), {_ratio(above_chance(own, raw))} of what raw has above "
            f"chance; EP − random {against['accuracy: EP − random']}, {against.says}."
        )
    few = "; fewer put one-hot probes at a disadvantage that the random exemplars share"
    yield (
        f"  Here a set has {np.mean(n_train):.0f} training texts on average, the suite's have up "
        f"to 1,024{few if np.mean(n_train) < FEW_TEXTS else ''}."
    )
    better, worse = ((difference.says == word).sum() for word in ("better", "worse"))
    yield (
        "  Over all probes and percentiles EP is better than random exemplars at equal K in "
        f"{better} of {len(difference)} cases, worse in {worse}; in the others nothing is shown."
    )


def _says(interval: Interval) -> str:
    return "more" if interval.low > 0 else "fewer" if interval.high < 0 else "no difference shown"


def _ratio(interval: Interval) -> str:
    if np.isfinite(interval.low):
        return str(interval)
    return f"{interval.value:.3f} (no interval: the raw probe is too near chance)"
