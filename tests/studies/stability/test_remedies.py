"""Remedies on both parts: what is tried, at which K, and what is measured of it."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture

from epkit import calibrate, match
from epkit.partition import partition_at
from epkit.stats import bootstrap_pairs, t_interval
from epkit.studies.stability.recurrence import disjoint_pairs
from epkit.studies.stability.remedies import (
    COMPARED,
    EQUAL_K,
    RANDOM,
    Measured,
    at_equal_k,
    gain_table,
    measure_rules,
    remedy_table,
    try_remedies,
)
from epkit.studies.stability.splits import compare, comparisons, runs_of
from epkit.studies.stability.variants import (
    average,
    dense_first,
    merge,
    reanchor,
    threshold_of_means,
)

X = mixture(900, 16)
FRESH = mixture(200, 16, seed=1)
PAIRS = disjoint_pairs(torch.arange(len(X)) // 30, 2)
RUNS, CONTROLS = runs_of(X, PAIRS, calibrate(X, [4]))


@pytest.fixture(scope="module")
def tried():
    found = try_remedies(X, PAIRS, RUNS, CONTROLS, 4)
    return found | at_equal_k(X, PAIRS, found)


@pytest.fixture(scope="module")
def measured(tried):
    return measure_rules(tried, FRESH, lambda d: np.array([0.5, len(d) / 1000]), {})


def same(a, b):
    return torch.equal(a.exemplars, b.exemplars) and torch.equal(a.counts, b.counts)


def test_every_remedy_on_a_part(tried):
    d, part = RUNS[4, 1, "B"], X[PAIRS[1][1]]
    assert tried["plain", 1, "B"] is d
    assert tried[RANDOM, 1, "B"] is CONTROLS[4, 1, "B"]
    assert same(tried["re-anchored", 1, "B"], reanchor(d, part))
    assert same(tried["merged", 1, "B"], merge(d, part, threshold_of_means(d, 4)))
    order = dense_first(d.directions(part), d.threshold, n_pilot=len(part), seed=16)
    dense = partition_at(part, d.threshold, d.centre, order=order)
    assert same(tried["dense first", 1, "B"], dense)
    again = partition_at(part, d.threshold, d.centre, order=16)
    averaged = average(d, again, match(d, again).pairs, part)
    assert same(tried["average of two orders", 1, "B"], averaged)


def test_the_plain_rule_is_run_at_the_k_of_a_remedy_that_changes_it(tried):
    for rule, name in EQUAL_K.items():
        k = len(tried[rule, 0, "A"])
        assert abs(len(tried[name, 0, "A"]) - k) <= max(1, 0.1 * k)
        thresholds = {tried[name, s, half].threshold for s in (0, 1) for half in "AB"}
        assert len(thresholds) == 1
    drawn = tried["random exemplars, equal K as merged", 1, "A"]
    assert len(drawn) == len(tried["merged", 1, "A"])


def test_rules_are_measured_in_order_and_known_ones_not_again(tried, measured):
    assert list(measured)[:2] == ["plain", "re-anchored"]
    assert set(measured) == {rule for rule, *_ in tried}
    both = tried["merged", 1, "A"], tried["merged", 1, "B"]
    found = measured["merged"].stability.iloc[1].to_dict()
    assert found == pytest.approx(compare(*both, FRESH))
    assert measured["merged"].auroc.shape == (2, 2)
    asked = []
    known = {"plain": measured["plain"], RANDOM: measured[RANDOM]}
    again = measure_rules(tried, FRESH, lambda d: np.zeros(len(asked.append(d) or "xx")), known)
    assert list(again) == list(measured)
    assert again["plain"] is measured["plain"]
    assert len(asked) == 2 * (len(measured) - 2)


def test_what_the_runs_comparison_knows_is_what_would_be_measured(measured):
    compared = comparisons(RUNS, CONTROLS, FRESH).loc[4, "other documents"]
    known = Measured(compared.loc["regions"], measured["plain"].auroc)
    assert known.means() == pytest.approx(measured["plain"].means())
    gain = measured["plain"].gain_over(known)
    assert all(np.allclose(interval, 0) for interval in gain.values())


def test_gains_are_over_pairs_and_those_of_probing_over_concepts_too():
    stability = pd.DataFrame({"exemplars": [0.2, 0.4], "means": 0.5, "agreement": [0.5, 0.6]})
    one = Measured(stability + 0.1, np.array([[0.6, 0.8], [0.7, 0.9]]))
    two = Measured(stability * [1, 1, 0], np.array([[0.5, 0.5], [0.5, 0.5]]))
    gain = one.gain_over(two)
    assert gain["exemplars"] == pytest.approx((0.1, 0.1, 0.1))
    assert gain["agreement"] == pytest.approx(t_interval([0.6, 0.7]))
    assert gain["AUROC"] == bootstrap_pairs(one.auroc - two.auroc)


def test_the_tables(tried, measured):
    table, gains = remedy_table(tried, measured), gain_table(measured)
    assert list(table.columns) == ["K", "exemplars", "means", "agreement", "AUROC"]
    ks = [len(tried["plain", s, "A"]) for s in (0, 1)]
    assert table.K["plain"] == int(np.median(ks))
    assert table.AUROC["plain"] == pytest.approx((0.5 + np.mean(ks) / 1000) / 2)
    assert list(gains.index) == list(COMPARED)
    assert gains.against["merged"] == EQUAL_K["merged"]
    assert gains.against["re-anchored"] == "plain"
    for rule, row in gains.iterrows():
        gain = table.loc[rule] - table.loc[row.against]
        for score in ("exemplars", "means", "agreement", "AUROC"):
            assert row[score].value == pytest.approx(gain[score])
