"""The tables of builds, on made-up builds whose answers are known."""

import numpy as np
import pandas as pd
import pytest

from epkit.stats import t_interval
from epkit.studies.saturation.estimates import extrapolate
from epkit.studies.saturation.tables import (
    depth_table,
    prediction_errors,
    predictions,
    stopping_marks,
    stream_table,
)


@pytest.fixture
def runs():
    """Two percentiles, two layers, a domain and the mixed stream, in two orders."""
    return pd.DataFrame([
        {
            "p": p, "layer": layer, "domain": name, "order": i, "K": 100 * layer + i,
            "half": 80 * layer, "quarter": 60 * layer, "Chao1": np.nan if mixed else 90.0 * layer,
            "Chao2": np.nan if mixed else 100.0 * layer, "verdict": ["growing", "undecided"][i],
            "quiet at": 500.0 + layer if p == 8 and i else np.nan,
            "quiet missed": 0.2 * layer if p == 8 and i else np.nan,
            "doubled at": 30.0 if p == 2 else np.nan, "doubled missed": 0.0 if p == 2 else np.nan,
            "founded": np.arange(0, 100, 10),
        }
        for p in (2, 8) for layer in (1, 2)
        for name, mixed in (("web", False), ("mixed", True)) for i in (0, 1)
    ])  # fmt: skip


def test_sizes_and_rules_are_those_of_the_orders(runs):
    table = stream_table(runs[runs.layer == 2])
    assert table.index.tolist() == [(2, "web"), (2, "mixed"), (8, "web"), (8, "mixed")]
    row = table.loc[8, "web"]
    assert row["K"] == "200–201"
    assert row["the last doubling added"] == pytest.approx(200.5 / 160 - 1)
    assert row["least that could be told"] == pytest.approx(3.689 / 160, abs=1e-4)
    assert row["verdicts"] == "growing 1, undecided 1"
    assert row["published rule"] == "1 of 2 at 502, then +40%"
    assert row["our rule"] == "0 of 2"
    assert table.loc[2, "web"]["our rule"] == "2 of 2 at 30, then +0%"
    assert stream_table(runs[runs.order == 0]).loc[2, "web"]["K"] == "100–200"
    assert stream_table(runs[(runs.order == 0) & (runs.layer == 1)]).loc[2, "web"]["K"] == "100"


def test_marks_are_those_of_a_streams_own_order(runs):
    marks = stopping_marks(runs[runs.layer == 1])
    assert marks.values.tolist() == [[2, "web", "ours", 30.0, 3], [2, "mixed", "ours", 30.0, 3]]
    assert stopping_marks(runs[runs.p == 8]).empty


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


def test_errors_are_means_over_domains_and_layers():
    index = pd.MultiIndex.from_tuples([(2, 1, "a"), (2, 2, "a"), (8, 1, "a")])
    ratios = pd.DataFrame({"law": [0.9, 1.3, 1.0]}, index=index.set_names(["p", "layer", "domain"]))
    errors = prediction_errors(ratios)
    assert list(errors[2].columns) == ["mean error", "typical error", "below K of the whole"]
    assert errors.loc["law", 2].tolist() == pytest.approx([0.1, np.sqrt(0.05), 0.5])
    assert errors.loc["law", 8].tolist() == [0, 0, 0]
