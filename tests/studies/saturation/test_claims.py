"""Ratios of K, the published direction, and the mixed stream."""

import numpy as np
import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.saturation.claims import (
    Claim,
    Measurement,
    claim_table,
    depth_ratio,
    domain_ratio,
    mixed_table,
    published_claims,
    ratio_text,
)

LAYERS = [2, 7, 12]


def builds(k):
    """A row a build; k : (domain, layer, block) -> K."""
    return pd.DataFrame([
        {
            "domain": name, "layer": layer, "p": p, "block": i, "K": p * k(name, layer, i),
            "types": 10 * i + len(name),
        }
        for p in (2, 8) for layer in LAYERS for name in ("chat", "code", "maths", "mixed")
        for i in range(4)
    ])  # fmt: skip


def test_one_domain_is_paired_over_depth_and_two_domains_are_not():
    noise = [1.0, 1.5, 2.0, 3.0]  # of the set of documents
    measured = Measurement(builds(lambda name, layer, i: 10 * layer * noise[i]), 8, "block")
    assert depth_ratio(measured, "chat", [12], [2]) == pytest.approx((6, 6, 6))
    assert depth_ratio(measured, "chat", [2, 12], [7]).value == pytest.approx(np.sqrt(24) / 7)
    apart = domain_ratio(measured, "code", "chat", 7)
    assert apart.value == pytest.approx(1)
    assert apart.low < 0.5 < 2 < apart.high
    finer = domain_ratio(measured._replace(p=2), "code", "chat", 7)
    assert finer == pytest.approx(apart)


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((0.9, 0.8, 1.2), "agrees"),
        ((0.9, 0.79, 1.2), "open"),
        ((1.1, 0.9, 1.3), "open"),
        ((0.7, 0.6, 0.79), "disagrees"),
        ((1.4, 1.26, 1.5), "disagrees"),
        ((1.0, 0.5, 2.0), "open"),
    ],
)
def test_a_claim_agrees_or_disagrees_with_its_whole_interval(interval, said):
    assert Claim("code is flat", "", 0.8, 1.25, None).verdict(Interval(*interval)) == said


def test_the_published_claims_measure_what_they_say():
    share = {"chat": 100, "code": 50, "maths": 30, "mixed": 200}
    bump = {2: 1.0, 7: 2.0, 12: 1.0}

    def k(name, layer, i):
        if name == "maths":
            return share[name] * bump[layer]
        return share[name] * (layer if name == "chat" else 1)

    measurements = {
        "over orders": Measurement(builds(k), 8, "block"),
        "own θ": Measurement(builds(lambda *_: 5), 8, "block"),
    }
    claims = published_claims(LAYERS, ["web", "maths", "code", "chat"])
    table = claim_table(claims, measurements)
    assert table.columns.tolist() == [
        "published", "measured", "expected", "over orders", "own θ", "verdict"
    ]  # fmt: skip
    found = [interval.value for interval in table["over orders"]]
    assert found == pytest.approx([6, 1, 2, 1 / 4, 1 / 14, 1 / 24])
    assert table.measured[4] == "code / chat, layer 7"
    assert table.expected.tolist() == ["above 1", "0.8 to 1.25", "above 1", *["0.35 to 0.7"] * 3]
    # By the other documents all are 1: chat's interval touches its limit, half is refuted.
    assert table.verdict.tolist() == ["agrees", "agrees", "agrees", *["disagrees"] * 3]


def test_only_what_can_be_measured_is_claimed():
    assert [c.published for c in published_claims(LAYERS, ["web", "code"])] == ["code is flat"]
    assert published_claims([2, 4], ["web", "maths"]) == []
    table = claim_table([], {"own θ": Measurement(builds(lambda *_: 5), 8, "block")})
    assert table.empty
    assert table.columns[-2:].tolist() == ["own θ", "verdict"]


def test_domains_against_the_mixed_stream():
    size = {"chat": 2, "code": 1, "maths": 3, "mixed": 4}
    table = builds(lambda name, layer, i: size[name] * (1 + i))
    found = mixed_table(Measurement(table, 8, "block"), ["chat", "maths"], LAYERS)
    assert found.columns.tolist() == [
        "chat / mixed", "maths / mixed", "ρ, all sets", "order of domains"
    ]  # fmt: skip
    assert found.index.tolist() == LAYERS
    assert found["maths / mixed"][7].value == pytest.approx(0.75)
    assert (found["order of domains"] == "code < chat < maths < mixed").all()
    assert (found["ρ, all sets"] > 0.4).all()
    assert ratio_text(found["chat / mixed"][2]).startswith("0.50 [")
