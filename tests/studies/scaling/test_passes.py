"""Tests of epkit.studies.scaling.passes: against the rule itself, row by row."""

import pytest
import torch
from conftest import mixture

import epkit
from epkit.blocks.founders import first_independent_set
from epkit.clustering import LeaderClustering
from epkit.geometry import directions, distances
from epkit.studies.scaling.passes import earliest_within, independent_rounds, pass_over


@pytest.fixture(scope="module")
def x():
    return mixture(2300, 12, spread=0.6)


@pytest.fixture(scope="module")
def calibration(x):
    return epkit.calibrate(x, [2, 10])


@pytest.mark.parametrize("p", [2, 10])
def test_a_pass_holds_what_the_rule_decides(x, calibration, p):
    made = pass_over(x, calibration, p, "cpu")
    part = LeaderClustering(calibration.centre, calibration.thresholds[p], "cpu").partial_fit(x)
    index = part.state()["exemplar_index"]
    assert made.founded.tolist() == index.tolist()
    assert (made.first[made.founded] == made.founded).all()
    u = directions(x, calibration.centre)
    near = distances(u, part.exemplars) <= calibration.thresholds[p]
    assert torch.equal(torch.from_numpy(made.first), index[near.float().argmax(1)])
    assert torch.equal(torch.from_numpy(made.region).bincount(), part.dictionary().counts)
    assert len(made) == 2300
    assert made.regions_before(int(index[-1])) == len(index) - 1
    assert made.misses(0, 2300) == 2300
    assert made.misses(700, 1100) == int((~near[700:1100, index < 700].any(1)).sum())


def test_close_calls_are_decided_in_float64():
    v = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert earliest_within(v, v, 1.0).tolist() == [0, 0]
    assert earliest_within(v, v, 1 - 1e-9).tolist() == [0, 1]
    assert earliest_within(-v, v, 0.5).tolist() == [-1, -1]


@pytest.mark.parametrize("threshold", [0.05, 0.4, 1.0])
def test_rounds_are_few_and_find_the_same_founders(x, threshold):
    u = directions(x, x.mean(0))[:400]
    rounds = independent_rounds(u, threshold)
    assert 1 <= rounds < 30
    assert len(first_independent_set(u, threshold)) >= rounds


def test_rounds_of_a_chain():
    angles = torch.arange(6.0) * 0.1
    chain = torch.stack([angles.cos(), angles.sin()], 1)
    assert independent_rounds(chain, float(1 - torch.tensor(0.15).cos())) == 4  # one in two founds
    assert independent_rounds(torch.eye(5), 0.5) == 1
    assert independent_rounds(torch.eye(5)[:0], 0.5) == 0
