"""The sentences at the end, each wording on a made-up table."""

import numpy as np
import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.saturation.claims import Claim
from epkit.studies.saturation.conclusions import (
    answer,
    change_sentence,
    claim_sentences,
    estimate_sentence,
    growth_sentence,
    lower_counts,
    mixed_sentence,
    stopping_sentence,
)

LOW, HIGH = Interval(0.5, 0.4, 0.6), Interval(1.5, 1.2, 1.8)


@pytest.fixture
def runs():
    states = {"web": ["saturated", "growing"], "code": ["saturated"] * 2, "maths": ["revisits"] * 2}
    return pd.DataFrame([
        {
            "p": p, "domain": name, "verdict": "growing" if p == 8 else state,
            "K": 110, "half": 100,
            "quiet at": 500 if name == "web" else np.nan, "doubled at": np.nan,
            "quiet missed": 0.2 * i if name == "web" else np.nan, "doubled missed": np.nan,
        }
        for p in (8, 16) for name, many in (states | {"mixed": ["undecided"]}).items()
        for i, state in enumerate(many)
    ])  # fmt: skip


def test_the_answer_names_the_domains_that_are_saturated_in_every_order(runs):
    assert answer(runs, [8, 16]) == (
        "Saturated in every order, by the last doubling: p 8: no domain; p 16: code."
    )
    runs.loc[runs.p == 16, "verdict"] = "saturated"
    assert answer(runs, [16]).endswith("p 16: web, code, maths.")


def test_growth_counts_the_verdicts_of_the_domains_alone(runs):
    assert growth_sentence(runs, 16) == (
        "p = 16: of 6 streams, 3 are saturated, 1 growing, 0 undecided, 2 refused. "
        "The last doubling added: web 10%, code 10%, maths 10%."
    )


def test_what_the_rules_would_have_done(runs):
    assert stopping_sentence(runs, 16384) == (
        "The published rule (16,384 activations without a region) stops 4 of 12 streams; up to "
        "20% more regions came later. Ours (a doubling that adds less than a tenth beyond doubt) "
        "stops 0 of 12 streams."
    )


def test_estimates_are_those_of_the_percentile_asked_for():
    errors = pd.DataFrame(
        {(p, name): [v - p / 100 for v in values] for p in (2, 8) for name, values in (
            ("mean error", [-0.08, -0.07, -0.06, 0.02]), ("typical error", [0.5, 0.4, 0.3, 0.12]),
        )},
        index=["K stays", "Chao1", "Chao2", "between"],
    )  # fmt: skip
    assert estimate_sentence(errors, 8) == (
        "From the first half, at p = 8: Chao1 is -15% off the K that the whole already has, Chao2 "
        "-14%, saying that K stays -16%; between a log law and a power law the typical error is 4%."
    )


@pytest.fixture
def claims():
    claim = ("code is flat", "code, ends"), ("half", "layer 2"), ("half", "layer 7")
    return [Claim(*names, 0.8, 2, None) for names in claim]


@pytest.fixture
def table(claims):
    return pd.DataFrame([
        {
            "published": claim.published, "measured": claim.measured,
            "own θ": found, "p = 2": other, "verdict": claim.verdict(found),
        }
        for claim, found, other in zip(claims, (LOW, HIGH, HIGH), (LOW, LOW, HIGH), strict=True)
    ])  # fmt: skip


def test_claims_of_one_statement_stand_in_one_sentence(table):
    assert claim_sentences(table) == [
        "Published (Gemma-2-2B): code is flat. Here code, ends 0.50 [0.40, 0.60]: disagrees.",
        "Published (Gemma-2-2B): half. Here layer 2 1.50 [1.20, 1.80]: agrees; "
        "layer 7 1.50 [1.20, 1.80]: agrees.",
    ]


def test_verdicts_that_another_measurement_changes(table, claims):
    assert change_sentence(table, claims, "p = 2") == (
        "These verdicts, p = 2: 1 of 3 change (layer 2 0.50 [0.40, 0.60])."
    )
    same = "These verdicts, own θ: the same."
    assert change_sentence(table, claims, "own θ") == same


def test_domains_below_the_mixed_stream():
    mixed = pd.DataFrame(
        {"web / mixed": [LOW, HIGH], "chat / mixed": [LOW, LOW], "ρ, all sets": [0.571, -0.2]},
        index=[2, 27],
    )
    assert lower_counts(mixed) == {"web": 1, "chat": 2}
    said = mixed_sentence(mixed)
    assert "beyond doubt at 1 of 2 layers for web, 2 of 2 layers for chat." in said
    assert said.endswith("ρ = 0.57 at layer 2 and -0.20 at layer 27.")
