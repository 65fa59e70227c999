"""The sentences at the end, each wording on a made-up table."""

import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.saturation.claims import Claim
from epkit.studies.saturation.conclusions import (
    change_sentence,
    claim_sentences,
    estimate_sentence,
    growth_sentence,
    lower_counts,
    mixed_sentence,
    stopping_sentence,
)

LOW, HIGH = Interval(0.5, 0.4, 0.6), Interval(1.5, 1.2, 1.8)


def test_growth_counts_the_verdicts_of_the_domains_alone():
    states = ["saturated", "growing", "growing", "undecided", "revisits"]
    runs = pd.DataFrame([
        {"p": p, "domain": name, "verdict": state}
        for p in (2, 8) for name in ("web", "mixed") for state in states[p // 8 :]
    ])  # fmt: skip
    index = pd.MultiIndex.from_product([(2, 8), (7, 12), ("web", "mixed")])
    gains = [0.21, 9.0, 0.53, 9.0, 0.1, 9.0, 0.1, 9.0]
    sizes = pd.DataFrame({"added by the second half": gains}, index=index)
    sizes.index.names = ["p", "layer", "domain"]
    assert growth_sentence(runs, sizes, 2, 10_000) == (
        "p = 2: of 5 streams of 10,000 activations, 1 are saturated, 2 growing, 1 undecided, "
        "1 refused. The second half added 21% to 53% of the regions of the first."
    )
    said = growth_sentence(runs, sizes, 8, 500)
    assert "of 4 streams of 500 activations, 0 are saturated" in said
    assert "added 10% to 10% of" in said


@pytest.mark.parametrize(("most", "said"), [([0.1, 0.48], "48%"), ([0, 0], "0%")])
def test_a_quiet_window(most, said):
    rule = pd.DataFrame({"streams": [150, 150], "quiet once": [27, 100]})
    rule["founded after, most"] = most
    assert stopping_sentence(rule, 1000) == (
        "A quiet window of 1,000 activations came in 127 of 300 streams; they founded up to "
        f"{said} more regions afterwards."
    )


def test_estimates_are_those_of_the_percentile_asked_for():
    errors = pd.DataFrame(
        {(p, name): [v - p / 100 for v in values] for p in (2, 8) for name, values in (
            ("mean error", [-0.08, -0.07, -0.06, 0.02]), ("typical error", [0.5, 0.4, 0.3, 0.12]),
        )},
        index=["K stays", "Chao1", "Chao2", "between"],
    )  # fmt: skip
    said = estimate_sentence(errors, 8)
    assert "At p = 8 Chao1 from the first half is -15% off" in said
    assert "Chao2 -14%, saying that K stays -16%." in said
    assert said.endswith("the typical error is 4%.")


@pytest.fixture
def claims():
    claim = ("code is flat", "code, ends"), ("half", "layer 2"), ("half", "layer 7")
    return [Claim(*names, 0.8, 2, None) for names in claim]


@pytest.fixture
def table(claims):
    return pd.DataFrame([
        {
            "published": claim.published, "measured": claim.measured,
            "other documents": found, "p = 2": other, "verdict": claim.verdict(found),
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
    same = "These verdicts, other documents: the same."
    assert change_sentence(table, claims, "other documents") == same


def test_domains_below_the_mixed_stream():
    mixed = pd.DataFrame(
        {"web / mixed": [LOW, HIGH], "chat / mixed": [LOW, LOW], "ρ, all sets": [0.571, -0.2]},
        index=[2, 27],
    )
    assert lower_counts(mixed) == {"web": 1, "chat": 2}
    said = mixed_sentence(mixed)
    assert "beyond doubt at 1 of 2 layers for web, 2 of 2 layers for chat." in said
    assert said.endswith("ρ = 0.57 at layer 2 and -0.20 at layer 27.")
