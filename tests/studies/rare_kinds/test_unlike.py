import math

import pytest
import torch
from conftest import mixture as cloud

import epkit
from epkit.studies.rare_kinds import unlike


@pytest.fixture
def dictionary():
    return next(iter(epkit.partition(cloud(400, 12), [20]).values()))


def test_rules_are_what_they_say(dictionary):
    d, x = dictionary, cloud(400, 12)
    u, n = d.directions(x), len(dictionary)
    between = 1 - d.means @ d.means.T
    expected = {
        "far from all activations": (1 - d.means @ u.T).mean(1),
        "far from the nearest region": between.sort(1).values[:, 1],
        "far from the 10th nearest region": between.sort(1).values[:, min(10, n - 1)],
        "few members": -d.counts,
        "few members, then far from the nearest": between.sort(1).values[:, 1] / 2 - d.counts,
        "alike within": d.coherence,
        "far members": d.distance_mean,
    }
    assert expected.keys() == unlike.RULES.keys()
    for rule, values in expected.items():
        torch.testing.assert_close(
            unlike.RULES[rule](d).double(), values.double(), atol=2e-5, rtol=1e-4
        )


def test_regions_of_one_member_are_not_read_and_ties_are_in_random_order():
    score, counts = torch.tensor([0.0, 2, 1, 1, 1, 5]), torch.tensor([3, 2, 2, 2, 2, 1])
    orders = [unlike.reading_order(score, counts, seed).tolist() for seed in range(20)]
    assert all(order[0] == 1 and order[-1] == 0 for order in orders)
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert len({tuple(order) for order in orders}) > 3


def test_a_kind_is_seen_at_its_first_region_and_one_without_after_all():
    order = torch.tensor([4, 2, 0])
    regions = torch.tensor([[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0]]).bool()
    assert unlike.read_until_seen(order, regions) == [2, 1, 4]


def test_random_order_is_its_expectation():
    generator = torch.Generator().manual_seed(0)
    regions = torch.zeros(9, 1, dtype=torch.bool)
    regions[:2] = True
    found = [
        unlike.read_until_seen(torch.randperm(9, generator=generator), regions)[0]
        for _ in range(4000)
    ]
    assert unlike.read_at_random(9, 2) == pytest.approx(sum(found) / 4000, rel=0.03)
    assert unlike.read_at_random(9, 0) == 10


def test_a_dictionary_of_one_region_has_scores():
    (d,) = epkit.partition(torch.ones(5, 4) + torch.eye(5, 4) / 50, [99]).values()
    one = d.recount(torch.ones(5, 4))
    assert all(math.isfinite(float(rule(one)[0])) for rule in unlike.RULES.values())
