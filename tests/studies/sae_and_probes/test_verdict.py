"""The answers in words: every wording by a made-up table."""

import numpy as np
import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.sae_and_probes import EP, RANDOM
from epkit.studies.sae_and_probes.comparison import SHARES
from epkit.studies.sae_and_probes.latents import SaeQuality
from epkit.studies.sae_and_probes.scores import ProbeScores
from epkit.studies.sae_and_probes.verdict import labels_verdict, latents_verdict

GOOD, POOR = SaeQuality(32, 0.01, 0.8, 0.73, 0.45), SaeQuality(32, 0.3, 0.8, 0.4, 0.45)
UP, DOWN, NONE = (Interval(v, v - 0.05, v + 0.05) for v in (0.1, -0.1, 0.01))


def compared():
    rows = [
        {"features": name, "p": p, "basis": basis, SHARES[0]: NONE, SHARES[1]: UP}
        for p in (1, 10) for name in (EP, RANDOM) for basis in ("exemplar", "mean")
    ]  # fmt: skip
    rows.append({"features": "token identity", SHARES[0]: Interval(0.33, 0, 1), SHARES[1]: UP})
    return pd.DataFrame(rows)


def against(regions, latents, tokens):
    row = {
        "regions matched: EP − random": regions,
        "latents matched: EP − random": latents,
        "tokens in a matched region: EP − random": tokens,
    }
    rows = [{"p": p, "basis": b} | row for p in (1, 10) for b in ("exemplar", "mean")]
    return pd.DataFrame(rows).set_index(["p", "basis"])


@pytest.mark.parametrize(
    ("quality", "says"),
    [
        (GOOD, "0.73 of held-out variance explained (as many principal components: 0.45), 1% dead: "
         "good enough to compare."),
        (POOR, "0.40 of held-out variance explained (as many principal components: 0.45), 30% dead:"
         " too poor to compare; read (a) as a finding about it."),
    ],
)  # fmt: skip
def test_the_sae(quality, says):
    first = next(latents_verdict(quality, compared(), against(UP, UP, UP)))
    assert first == f"(a) SAE: {says}"


def test_regions_and_latents_word_for_word():
    _, coarse, fine, scale = latents_verdict(GOOD, compared(), against(DOWN, NONE, UP))
    assert coarse == (
        "  p 10, mean basis: 1% of regions have a latent with F1 > .5 (random exemplars 1%; "
        "difference -0.100 [-0.150, -0.050]: fewer); 10% of latents have a region (random "
        "exemplars 10%; difference 0.010 [-0.040, 0.060]: no difference shown). Counted by tokens: "
        "0.100 [0.050, 0.150], more."
    )
    assert fine == coarse.replace("p 10,", "p 1,")
    assert scale == "  for scale, token identity: 33% → and 10% ←."


def probed(raw, one_hot):
    """Three sets on which every probe has the same accuracies."""
    names = ["a", "b", "c"]
    kinds = {("raw", "", np.nan): raw, ("raw best coordinate", "", np.nan): [0.6, 0.6, 0.6]}
    kinds |= {("majority", "", np.nan): [0.5] * 3}
    kinds |= {("one-hot", EP, p): one_hot for p in (1, 10)}
    rows = [
        dict(zip(("probe", "kind", "p"), key, strict=True)) | {"set": name, "accuracy": a}
        for key, values in kinds.items()
        for name, a in zip(names, values, strict=True)
    ]
    results = pd.DataFrame(rows).set_index(["probe", "kind", "p", "set"])
    return ProbeScores(results, names, ["one-hot"], [1, 10])


def difference(*says):
    rows = [
        {"probe": probe, "p": p, "accuracy: EP − random": NONE, "says": word}
        for (probe, p), word in zip(
            [("one-hot", 1), ("one-hot", 10), ("cosine", 1)], says, strict=True
        )
    ]
    return pd.DataFrame(rows).set_index(["probe", "p"])


def test_labels_word_for_word():
    scores = probed([0.8, 0.8, 0.8], [0.6, 0.6, 0.6])
    said = [*labels_verdict(scores, difference("better", "worse", "worse"), [130, 140, 150])]
    assert said == [
        "(b) 3 sets. Raw probe 0.800, best raw coordinate 0.600, majority 0.500.",
        "  one-hot at p 10: accuracy 0.600, 75% of raw (the majority class keeps 62%), "
        "0.333 [0.333, 0.333] of what raw has above chance; EP − random 0.010 [-0.040, 0.060], "
        "worse.",
        "  one-hot at p 1: accuracy 0.600, 75% of raw (the majority class keeps 62%), "
        "0.333 [0.333, 0.333] of what raw has above chance; EP − random 0.010 [-0.040, 0.060], "
        "better.",
        "  Here a set has 140 training texts on average, the suite's have up to 1,024; fewer put "
        "one-hot probes at a disadvantage that the random exemplars share.",
        "  Over all probes and percentiles EP is better than random exemplars at equal K in 1 of 3 "
        "cases, worse in 2; in the others nothing is shown.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "shown"),
    [([0.45, 0.9, 0.5], "0.300"), ([0.5, 0.5, 0.5], "nan")],
    ids=["some resamples", "itself"],
)
def test_a_raw_probe_too_near_chance_gives_no_interval(raw, shown):
    scores = probed(raw, [0.5, 0.605, 0.5])
    said = [*labels_verdict(scores, difference("", "", ""), [600])]
    assert f"{shown} (no interval: the raw probe is too near chance) of what raw has" in said[1]


def test_enough_training_texts_are_no_disadvantage():
    said = [*labels_verdict(probed([0.8] * 3, [0.6] * 3), difference("", "", ""), [500, 1024])]
    assert said[3] == (
        "  Here a set has 762 training texts on average, the suite's have up to 1,024."
    )
