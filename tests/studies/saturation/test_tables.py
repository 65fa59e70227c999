"""The tables of builds, on made-up builds whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from epkit.stats import Interval, t_interval
from epkit.studies.saturation.estimates import extrapolate
from epkit.studies.saturation.tables import (
    by_method,
    count_text,
    depth_table,
    longer_stretch,
    prediction_errors,
    predictions,
    stopping_rule,
    stream_table,
)

WHOLE = Interval(150.0, 120.0, 200.0)


@pytest.fixture
def runs():
    """Two percentiles, two layers, a domain and the mixed stream, in two orders."""
    return pd.DataFrame([
        {
            "p": p, "layer": layer, "domain": name, "order": i, "K": 100 * layer + i,
            "half": 80 * layer, "quarter": 60 * layer, "Chao1": np.nan if mixed else 90.0 * layer,
            "Chao2": np.nan if mixed else 100.0 * layer, "verdict": ["growing", "undecided"][i],
            "quiet at": 500.0 if p == 8 and i else np.nan,
            "founded later": 20.0 * layer if p == 8 and i else np.nan,
            "Chao1 whole": np.nan if i else WHOLE, "Chao2 whole": np.nan if i else WHOLE,
        }
        for p in (2, 8) for layer in (1, 2)
        for name, mixed in (("web", False), ("mixed", True)) for i in (0, 1)
    ])  # fmt: skip


def test_sizes_are_those_of_the_orders(runs):
    calibrations = {k: SimpleNamespace(thresholds={2: 0.2 + k, 8: 0.8 + k}) for k in (1, 2)}
    table = stream_table(runs, calibrations)
    assert table.index.tolist() == list(zip(*[iter([
        2, 1, "web", 2, 1, "mixed", 2, 2, "web", 2, 2, "mixed",
        8, 1, "web", 8, 1, "mixed", 8, 2, "web", 8, 2, "mixed",
    ])] * 3, strict=True))  # fmt: skip
    row = table.loc[8, 2, "web"]
    assert row["θ"] == 2.8
    assert row["K"] == t_interval([200, 201])
    assert row["added by the second half"] == pytest.approx(200.5 / 160 - 1)
    assert row["verdicts"] == "growing 1, undecided 1"
    assert row["Chao1"] == row["Chao2"] == WHOLE
    assert row["K at twice the length"] == extrapolate(160, 200.5)
    assert count_text(Interval(1234.5, 999.6, 1500.2)) == "1,234 [1,000, 1,500]"


def test_the_rule_counts_quiet_streams_and_what_they_missed(runs):
    rule = stopping_rule(runs)
    assert rule.loc[2].tolist() == [8, 0, 0, 0]
    later = [20 / 81, 40 / 161]
    assert rule.loc[8].tolist() == pytest.approx([8, 4, np.mean(later), max(later)])


def test_k_against_depth_is_of_one_percentile(runs):
    runs.loc[runs.p == 2, "K"] = 7
    table = depth_table(runs, 8)
    assert table.columns.tolist() == ["layer", "domain", "K", "low", "high"]
    assert table.values.tolist()[0] == [1, "web", *t_interval([100, 101])]
    assert len(table) == 4


def test_predictions_are_held_against_the_whole(runs):
    found = predictions(runs)
    assert found.index.tolist() == [(p, k, "web") for p in (2, 8) for k in (1, 2)]
    of = found.loc[2, 1, "web"] * 100.5
    assert of["K stays"] == pytest.approx(80)
    assert (of["Chao1"], of["Chao2"]) == pytest.approx((90, 100))
    laws = extrapolate(60, 80)
    assert tuple(of[["between", "log law", "power law"]]) == pytest.approx(laws)
    long = by_method(found)
    assert len(long) == found.size
    assert long.method.tolist()[:6] == found.columns.tolist()


def test_errors_are_means_over_domains_and_layers():
    index = pd.MultiIndex.from_tuples([(2, 1, "a"), (2, 2, "a"), (8, 1, "a")])
    ratios = pd.DataFrame({"law": [0.9, 1.3, 1.0]}, index=index.set_names(["p", "layer", "domain"]))
    errors = prediction_errors(ratios)
    assert list(errors[2].columns) == ["mean error", "typical error", "below K of the whole"]
    assert errors.loc["law", 2].tolist() == pytest.approx([0.1, np.sqrt(0.05), 0.5])
    assert errors.loc["law", 8].tolist() == [0, 0, 0]


def test_a_longer_stretch_is_predicted_from_its_half_and_quarter():
    parts = {"1/8": 50.0, "1/4": 70.0, "1/2": 90.0, "1/1": 110.0}
    index = pd.MultiIndex.from_tuples([(2, 7), (2, 9)], names=["p", "layer"])
    table = longer_stretch(pd.DataFrame([parts, parts | {"1/1": 300.0}], index=index))
    assert table.index.tolist() == [(2, 2), (2, 4)]
    assert table.loc[2, 2]["log law"] == pytest.approx((0 + 110 / 300 - 1) / 2)
    high = 70 * (70 / 50) ** 2
    assert table.loc[2, 4]["power law"] == pytest.approx((high / 110 + high / 300) / 2 - 1)
    assert table.held.tolist() == [0.5, 0.5]
