"""Stability: scores and kept regions by hand, identical dictionaries, parts without a common
document."""

import math

import pytest
import torch
from conftest import mixture

from epkit import Dictionary, LeaderClustering, calibrate
from epkit.studies.stability.recurrence import (
    disjoint_pairs,
    recurrence,
    refound,
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


def test_no_document_is_in_two_parts():
    documents = torch.arange(60).repeat_interleave(torch.arange(1, 61))
    pairs = disjoint_pairs(documents, 3, seed=1)
    parts = [rows for pair in pairs for rows in pair]
    names = [set(documents[rows].tolist()) for rows in parts]
    assert len(parts) == 6
    assert sum(map(len, names)) == len(set.union(*names)) >= 54
    # 1,830 activations: the parts are filled evenly and cut to the shortest
    assert {len(rows) for rows in parts} == {len(parts[0])}
    assert len(parts[0]) > 0.9 * 1830 / 6
    assert all((rows.diff() > 0).all() for rows in parts)
    again = disjoint_pairs(documents, 3, seed=1)
    assert all(torch.equal(a, b) for one, two in zip(pairs, again, strict=True)
               for a, b in zip(one, two, strict=True))  # fmt: skip
    assert not torch.equal(pairs[0][0], disjoint_pairs(documents, 3, seed=2)[0][0])


def test_documents_of_one_length_are_shared_out_evenly():
    documents = torch.arange(8).repeat_interleave(3)
    parts = [rows for pair in disjoint_pairs(documents, 2) for rows in pair]
    assert [len(documents[rows].unique()) for rows in parts] == [2] * 4
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(24))


def test_pairs_need_a_document_for_every_part():
    with pytest.raises(ValueError, match="2 pairs need 4 documents, one for every part: 3"):
        disjoint_pairs(torch.tensor([0, 1, 2, 2]), 2)


def test_refound_by_hand():
    # region 0: five of six members are all of region 2 there: kept. Regions 1 and 3: all eight
    # members are half of region 0 there: not kept. Region 2 has four members and is not asked.
    a = torch.tensor([0] * 6 + [1] * 8 + [2] * 4 + [3] * 8)
    b = torch.tensor([2] * 5 + [1] + [0] * 8 + [3] * 4 + [0] * 8)
    assert refound(a, b, 4, 4) == pytest.approx(1 / 3)
    assert refound(a, a, 4, 4) == 1
    assert math.isnan(refound(torch.tensor([0, 1]), torch.tensor([0, 1]), 2, 2))


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
