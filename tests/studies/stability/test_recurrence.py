"""Stability: scores by hand, identical dictionaries, halves without a common document."""

import math

import pytest
import torch
from conftest import mixture

from epkit import Dictionary, LeaderClustering, calibrate
from epkit.studies.stability.recurrence import (
    document_halves,
    recurrence,
    stability_score,
    value_for_regions,
)
from epkit.sums import UNIT, RegionSums


def regions(counts, coherence, exemplars=None):
    """A dictionary with these counts and coherences."""
    exemplars = torch.eye(len(counts)) if exemplars is None else exemplars
    sums = RegionSums.empty(*exemplars.shape, torch.device("cpu"))
    sums.table[:, -1] = torch.tensor(counts)
    scale = torch.tensor(coherence, dtype=torch.float64) * sums.counts
    sums.table[:, :-3] = (exemplars * scale[:, None] / UNIT).long()
    index = torch.arange(len(counts))
    return Dictionary.from_sums(torch.zeros(exemplars.shape[1]), 0.5, exemplars, index, sums, {})


@pytest.fixture(scope="module")
def two_orders():
    x = mixture(1500, 24)
    cal = calibrate(x, [4])
    return [
        LeaderClustering(cal.centre, cal.thresholds[4]).partial_fit(part).dictionary()
        for part in (x, x.flip(0))
    ]


def test_stability_score_by_hand():
    score = stability_score(regions([1, 100, 1000, 0], [1.0, 0.5, 0.1, 0.0]))
    assert score[:3].tolist() == pytest.approx([0, math.log10(25), 1], abs=1e-6)
    assert score[3] == -math.inf


def test_a_dictionary_recurs_in_itself(two_orders):
    d = two_orders[0]
    for basis in ("exemplar", "mean"):
        assert recurrence(d, d, basis).tolist() == pytest.approx([1] * len(d), abs=1e-6)


def test_recurrence_does_not_depend_on_the_order_of_regions(two_orders):
    a, b = two_orders
    values = recurrence(a, b)
    assert 0 < values.mean() < 1
    back = recurrence(b, a)
    assert back.sum().item() == pytest.approx(values.sum().item(), abs=1e-4)


def test_a_region_without_a_match_recurs_with_zero():
    three, two = regions([5, 5, 5], [1.0] * 3), regions([5, 5], [1.0] * 2, torch.eye(3)[[2, 0]])
    assert recurrence(three, two).tolist() == [1, 0, 1]
    assert recurrence(two, three).tolist() == [1, 1]


def test_halves_have_no_document_in_common():
    documents = torch.arange(40).repeat_interleave(torch.arange(1, 41))
    a, b = document_halves(documents, seed=1)
    assert len(a) == len(b) > 300
    assert not set(documents[a].tolist()) & set(documents[b].tolist())
    assert (a.diff() > 0).all()
    assert (b.diff() > 0).all()
    again = document_halves(documents, seed=1)
    assert torch.equal(a, again[0])
    assert not torch.equal(a, document_halves(documents, seed=2)[0])


def test_halves_need_two_documents():
    with pytest.raises(ValueError, match="at least two documents"):
        document_halves(torch.zeros(9, dtype=torch.int64))


def test_value_for_regions_finds_the_threshold():
    tried = []

    def count(value):
        tried.append(value)
        return round(1000 / value)

    value = value_for_regions(count, 200, 1, 100)
    assert abs(count(value) - 200) <= 4
    assert len(tried) <= 10


def test_value_for_regions_on_the_rule_itself():
    x = mixture(1500, 24)
    cal = calibrate(x, [4])

    def count(threshold):
        return LeaderClustering(cal.centre, threshold).partial_fit(x).n_regions

    k = count(cal.thresholds[4])
    value = value_for_regions(count, k, cal.thresholds[4] / 3, min(1.9, cal.thresholds[4] * 3))
    assert abs(count(value) - k) <= max(1, 0.02 * k)


def test_value_for_regions_says_when_there_is_none():
    with pytest.raises(ValueError, match="widen"):
        value_for_regions(lambda value: 10, 200, 1, 2)
    with pytest.raises(ValueError, match="0 < low < high"):
        value_for_regions(lambda value: 10, 200, 2, 1)
