"""The answers in words: every wording by made-up numbers."""

import pytest
from saes_examples import matches, probed

from epkit.stats import Interval
from epkit.studies.sae_and_probes.latents import SaeQuality
from epkit.studies.sae_and_probes.verdict import (
    labels_verdict,
    latents_verdict,
    short_answer,
    worded,
)

GOOD, POOR = SaeQuality(32, 0.01, 0.8, 0.73, 0.45), SaeQuality(32, 0.3, 0.8, 0.4, 0.45)


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        (GOOD, "0.73 of held-out variance explained (as many principal components: 0.45), 1% dead: "
         "good enough to compare."),
        (POOR, "0.40 of held-out variance explained (as many principal components: 0.45), 30% dead:"
         " too poor to compare; read (a) as a finding about it."),
    ],
)  # fmt: skip
def test_the_sae(quality, said):
    first = next(latents_verdict(quality, matches(0.5, 0.5), [4, 10]))
    assert first == f"(a) SAE: {said}"


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (Interval(0.1, 0.05, 0.15), "better"),
        (Interval(-0.1, -0.15, -0.05), "worse"),
        (Interval(0.01, -0.049, 0.049), "no difference shown, 0.070 could have been"),
        (Interval(0.0, 0.0, 0.0), "no difference shown"),
    ],
)
def test_differences_have_a_word(interval, said):
    assert worded(interval) == said


@pytest.mark.parametrize(
    ("ep", "random", "identity", "gap", "other", "count"),
    [
        (0.6, 0.3, 0.4, "more", "more", "at 2 of 2 percentiles, worse at 0"),
        (0.3, 0.6, 0.4, "fewer", "fewer", "at 0 of 2 percentiles, worse at 2"),
        (0.5, 0.5, 0.5, "no difference shown, ", "no difference shown, ", "at 0 of 2 percentiles, "
         "worse at 0"),
    ],
)  # fmt: skip
def test_regions_and_latents(ep, random, identity, gap, other, count):
    matched = matches(ep, random, identity)
    _, fine, coarse, scale, end = latents_verdict(GOOD, matched, [4, 10])
    ordered = sorted([(matched.tokens((k, 4)).mean(), k) for k in ("EP", "random exemplars")])
    shares = ", ".join(f"{kind} {share:.0%}" for share, kind in ordered[::-1])
    assert fine.startswith(
        "  p 4: held-out tokens whose region's members are a latent's top tokens (F1 > .5, equal "
        f"support): {shares}. EP − random exemplars "
    )
    assert f"]: {gap}" in fine
    assert "; at equal size of regions " in fine
    assert f"]: {other}" in fine.split("EP − token identity ")[1]
    assert coarse.startswith("  p 10: ")
    assert (
        scale
        == f"  For scale: token identity {matched.tokens(('token identity', None)).mean():.0%}."
    )
    assert end.startswith(
        f"  Counted by tokens, EP's regions match the SAE better than random exemplars {count}; at "
        "equal size of regions better at "
    )


@pytest.mark.parametrize(
    ("ep", "random", "sae", "word", "other", "count"),
    [
        (0.9, 0.8, 0.85, "better", "better", "at 2 of 2 percentiles, worse at 0"),
        (0.8, 0.9, 0.85, "worse", "worse", "at 0 of 2 percentiles, worse at 2"),
        (0.9, 0.9, 0.9, "no difference shown, ", "no difference shown, ", "at 0 of 2 percentiles, "
         "worse at 0"),
    ],
)  # fmt: skip
def test_labels(ep, random, sae, word, other, count):
    scores = probed(ep, random, sae)
    first, own, control, latents, coordinates, between, counted, readouts, kept = labels_verdict(
        scores, 4, [4, 10]
    )
    assert first.startswith(
        "(b) 4 sets (1 ceiling, 2 headroom, 1 hard, by the raw probe's cross-validation in "
        "training). Test AUROC: raw 0.9"
    )
    assert own.startswith("  p 4, EP (cosine, mean): ")
    assert f"]: {word}" in own
    assert control.startswith("  p 4, random exemplars (cosine, mean): ")
    assert "less random" not in control
    assert latents.startswith("  p 4, TopK SAE (latents): ")
    assert coordinates.startswith("  EP − as many raw coordinates ")
    assert between.startswith("  Like with like: EP's least squares − the SAE's latents ")
    assert between.count(f"]: {other}") == 2
    assert counted == f"  EP is better than random exemplars {count}."
    assert readouts.startswith("  Readouts of EP at p 4: ")
    assert " > one-hot 0." in readouts
    assert kept.startswith("  One-hot keeps 6")


def test_the_answer_is_short_and_says_both():
    said = short_answer(matches(0.6, 0.3), probed(0.8, 0.9), 4)
    assert said.startswith("At p 4, 5")
    assert "around random exemplars (more; at equal size of regions " in said
    assert "(worse)." in said
