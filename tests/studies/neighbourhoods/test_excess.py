"""What lies between all pairs: by the definition, on a circle, with shared ends."""

import numpy as np
import pytest
import torch

from epkit.matching import between
from epkit.partition import partition
from epkit.stats import minimum_detectable
from epkit.studies.neighbourhoods.excess import (
    DRAWS,
    Between,
    also_table,
    averaged,
    excess_table,
    mean_over_pairs,
    near_and_far,
    share_between,
)
from epkit.studies.neighbourhoods.neighbours import between_shares


def circle(n):
    angle = torch.linspace(0, 2 * np.pi, n + 1)[:-1]
    return torch.stack([angle.cos(), angle.sin(), *torch.zeros(4, n)], dim=1)


def noise(n, seed=0, d=6):
    drawn = torch.randn(n, d, generator=torch.manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


def test_it_is_the_definition_for_every_pair():
    d = partition(torch.randn(300, 8, generator=torch.manual_seed(1)), [8], device="cpu")[8]
    found = share_between(d.exemplars)
    k = len(d)
    for a, b in ((0, 1), (2, 9), (k - 1, 3)):
        assert found.share[a, b] == len(between(d, a, b)) / (k - 2)
        alone = between_shares(d.exemplars[[a]], d.exemplars[[b]], d.exemplars)
        assert found.apart[a, b] == pytest.approx(alone.apart[0], abs=1e-6)
        assert found.chance[a, b] == pytest.approx(alone.chance[0])
    for values in found:
        assert np.isnan(np.diag(values)).all()
        assert np.array_equal(values, values.T, equal_nan=True)


def test_chance_is_the_mean_over_permutations():
    points, a, b = noise(40), 0, 1
    found = share_between(points)
    to_a, to_b = ((1 - points @ points[i])[2:].numpy() < found.apart[0, 1] for i in (a, b))
    rng = np.random.default_rng(0)
    drawn = np.mean([(to_a & rng.permutation(to_b)).mean() for _ in range(4000)])
    assert found.chance[a, b] == pytest.approx(drawn, abs=0.005)


def test_two_points_have_nothing_between():
    with pytest.raises(ValueError, match="three points or more, got 2"):
        share_between(noise(2))


def test_near_is_a_tenth_of_the_pairs_and_far_the_farther_half():
    apart = share_between(noise(60)).apart
    pairs = apart[np.triu_indices(60, 1)]
    near, far = near_and_far(apart)
    assert ((pairs > near[0]) & (pairs <= near[1])).mean() == pytest.approx(0.1, abs=0.002)
    assert ((pairs > far[0]) & (pairs <= far[1])).mean() == pytest.approx(0.5, abs=0.002)


def test_a_mean_over_pairs_and_the_spread_that_shared_ends_give():
    # the value of a pair is the sum of what its ends bring: pairs are anything but independent
    own = np.random.default_rng(0).normal(size=60)
    values = own[:, None] + own
    every = ~np.eye(60, dtype=bool)
    found = mean_over_pairs(values, every, seed=1)
    assert found.value == pytest.approx(2 * own.mean())
    assert found.draws.shape == (DRAWS,)
    # of the mean of 2·own over 60 independent points; pairs as units would give a sixth of it
    assert found.draws.std() == pytest.approx(2 * own.std() / 60**0.5, rel=0.2)
    assert np.isnan(mean_over_pairs(values, ~(every | True), seed=1).value)


def test_runs_are_averaged_and_those_without_pairs_left_out():
    every = ~np.eye(5, dtype=bool)
    one, two = (mean_over_pairs(np.full((5, 5), v), every, seed=0) for v in (0.2, 0.4))
    none = mean_over_pairs(np.ones((5, 5)), ~(every | True), seed=0)
    found = averaged([one, two, none])
    assert found.value == pytest.approx(0.3)
    assert np.nanmean(found.draws) == pytest.approx(0.3)
    assert np.isnan(averaged([none]).value)


def test_on_a_circle_more_lies_between_near_points_than_by_chance_and_in_noise_less_so():
    # An angle of a: a / 2π of all points between, a / π nearer to either end than the other is.
    ring = share_between(circle(90))
    angle = np.arccos(1 - ring.apart)
    off = ~np.eye(90, dtype=bool) & (angle < np.pi / 2)
    assert ring.share[off] == pytest.approx(angle[off] / (2 * np.pi), abs=0.02)
    others = [share_between(noise(90, s)) for s in (0, 1)]
    table = excess_table({8: {"EP": [ring], "noise": others}}, "near")
    own, other = table.loc[(8, "EP")], table.loc[(8, "noise")]
    near = ring.apart <= near_and_far(ring.apart)[0][1]
    assert own["between"] == pytest.approx(ring.share[near].mean())
    assert own["excess"].value == pytest.approx((ring.share - ring.chance)[near].mean())
    assert own["excess"].low > 0
    assert own["EP more"] is None
    assert (own["runs"], other["runs"], own["K"]) == (1, 2, 90)
    if other["EP more"] is not None:
        assert other["detectable"] == minimum_detectable(other["EP more"])


def test_points_like_ep_have_no_other_excess_at_the_same_distances():
    ep, same = ([share_between(noise(80, s)) for s in seeds] for seeds in ((0, 1), (2, 3)))
    more = excess_table({8: {"EP": ep, "same": same}}, "far").loc[(8, "same"), "EP more"]
    assert more.low < 0 < more.high
    shifted = [Between(b.apart, b.share - 0.1, b.chance) for b in same]
    more = excess_table({8: {"EP": ep, "less": shifted}}, "far").loc[(8, "less"), "EP more"]
    assert more.low > 0.05


def test_points_without_pairs_so_near_are_not_compared():
    ep, apart = [share_between(circle(60))], [share_between(torch.eye(6))]
    row = excess_table({8: {"EP": ep, "corners": apart}}, "near").loc[(8, "corners")]
    assert row["EP more"] is None
    assert np.isnan(row["detectable"])


def test_the_other_pairs_of_ep_in_one_table():
    points = {"EP": [share_between(noise(30))], "random": [share_between(noise(30, 5))]}
    tables = {span: excess_table({8: points}, span) for span in ("near", "far")}
    table = also_table(tables, "random")
    assert table.index.tolist() == [("near", 8), ("far", 8)]
    assert table.loc[("far", 8), "EP more"] == tables["far"].loc[(8, "random"), "EP more"]
    assert table.loc[("far", 8), "detectable"] == tables["far"].loc[(8, "random"), "detectable"]
    assert table.loc[("far", 8), "excess"] == tables["far"].loc[(8, "EP"), "excess"]
