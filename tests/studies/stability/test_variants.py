"""Remedies on circles, by hand."""

import math

import numpy as np
import pytest
import torch
from conftest import mixture

from epkit import LeaderClustering, calibrate
from epkit.geometry import directions
from epkit.studies.stability.variants import (
    average,
    dense_first,
    merge,
    reanchor,
    threshold_of_means,
)


def on_circle(*degrees: float) -> torch.Tensor:
    """Unit vectors of the plane at these angles: (N, 2)."""
    angle = torch.tensor([math.radians(d) for d in degrees])
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def within(degrees: float) -> float:
    """The cosine distance of two directions that are so far apart."""
    return 1 - math.cos(math.radians(degrees))


def built(x: torch.Tensor, threshold: float):
    return LeaderClustering(torch.zeros(x.shape[1]), threshold).partial_fit(x).dictionary()


def angles(u: torch.Tensor) -> list[float]:
    return [round(math.degrees(math.atan2(y, x)) % 360, 3) for x, y in u.tolist()]


def test_reanchor_moves_the_exemplar_to_the_most_central_member():
    # region 0: 0, 10, 20 (mean 10, exemplar 0); region 1: two mirrored rows, the first stays
    x = on_circle(0, 90, 20, 10, 90)
    x[1], x[4] = torch.tensor([[0.28, 0.96], [-0.28, 0.96]])
    angle = math.degrees(math.acos(0.28))
    d = built(x, within(40))
    assert d.exemplar_index.tolist() == [0, 1]
    moved = reanchor(d, x)
    assert moved.exemplar_index.tolist() == [1, 3]  # in order of position
    assert angles(moved.exemplars) == pytest.approx([angle, 10], abs=1e-2)
    assert moved.counts.tolist() == [2, 3]
    assert angles(moved.means) == pytest.approx([90, 10], abs=1e-3)
    assert moved.metadata["remedy"] == "re-anchored"
    assert d.exemplar_index.tolist() == [0, 1]  # the given one is as it was


def test_reanchored_exemplars_are_members_nearest_to_their_mean():
    x = mixture(800, 16)
    cal = calibrate(x, [3])
    d = LeaderClustering(cal.centre, cal.thresholds[3]).partial_fit(x).dictionary()
    u, (region, _) = d.directions(x), d.assign(x)
    moved = reanchor(d, x)
    assert len(moved) == len(d)
    counted = d.recount(x)
    for k in range(len(d)):
        members = (region == k).nonzero()[:, 0]
        cosine = u[members].double() @ counted.means[k].double()
        assert int(members[cosine.argmax()]) in moved.exemplar_index.tolist()
    assert torch.equal(moved.exemplars, u[moved.exemplar_index])
    assert (moved.exemplar_index.diff() > 0).all()


def test_reanchor_needs_the_stream_of_the_dictionary():
    d = built(on_circle(0, 90), within(25))
    with pytest.raises(ValueError, match="1 regions have no member in x, region 1 among them"):
        reanchor(d, on_circle(0, 3))


def test_merge_joins_regions_whose_means_are_near():
    # region 0: 0, 25, 25 (25 is nearer to 0 than to 52); then 52 and 180
    x = on_circle(0, 52, 180, 25, 25)
    d = built(x, within(30))
    assert len(d) == 3
    merged = merge(d, x, within(40))
    assert angles(merged.exemplars) == [0, 180]  # that of the largest stays
    assert merged.counts.tolist() == [4, 1]
    assert merged.exemplar_index.tolist() == [0, 2]
    total = on_circle(0, 52, 25, 25).double().sum(0)
    assert merged.means[0].tolist() == pytest.approx((total / total.norm()).tolist(), abs=1e-6)
    assert merged.coherence[0].item() == pytest.approx(total.norm().item() / 4, abs=1e-6)
    assert merged.distance_mean[0].item() == pytest.approx(
        (0 + within(52) + 2 * within(25)) / 4, abs=1e-6
    )


def test_merge_when_nothing_is_near():
    x = on_circle(0, 60, 120)
    same = merge(built(x, within(50)), x, within(50))
    assert angles(same.exemplars) == [0, 60, 120]
    assert same.metadata["merge_threshold"] == pytest.approx(within(50))


def test_the_threshold_of_means_is_a_percentile_of_their_pairs():
    d = built(on_circle(0, 30, 90, 180), within(20))
    apart = [within(angle) for angle in (30, 60, 90, 90, 150, 180)]
    assert threshold_of_means(d, 50) == pytest.approx(within(90), abs=1e-6)
    assert threshold_of_means(d, 20) == pytest.approx(np.percentile(apart, 20), abs=1e-6)


def test_the_threshold_of_means_needs_pairs_apart():
    with pytest.raises(ValueError, match="1 regions with members have no pairwise distances"):
        threshold_of_means(built(on_circle(0, 5), within(20)), 50)


def test_merge_makes_no_chains():
    # means at 0, 40, 80: 40 is near to both, and they are not near to each other; 40 is largest
    middle = on_circle(0, 40, 80, 40, 0, 40)
    d = built(middle, within(30))
    assert len(merge(d, middle, within(45))) == 1
    # now the ends are larger: 0 stays, 40 joins it, 80 is not near 0 and stays
    ends = on_circle(0, 40, 80, 80, 0)
    merged = merge(built(ends, within(30)), ends, within(45))
    assert angles(merged.exemplars) == [0, 80]
    assert merged.counts.tolist() == [3, 2]


def test_merge_keeps_every_member():
    x = mixture(800, 16)
    cal = calibrate(x, [3])
    d = LeaderClustering(cal.centre, cal.thresholds[3]).partial_fit(x).dictionary()
    merged = merge(d, x, cal.thresholds[3] * 1.5)
    assert len(merged) < len(d)
    assert merged.n == 800


def test_merge_refuses_a_threshold_that_is_none():
    d = built(on_circle(0, 90), within(25))
    with pytest.raises(ValueError, match="threshold"):
        merge(d, on_circle(0, 90), 0.0)


def test_dense_first_orders_by_pilot_neighbours():
    u = on_circle(200, 0, 90, 5, 95, 10)  # 0, 5, 10: three near each; 90, 95: two; 200: one
    order = dense_first(u, within(15), n_pilot=6)
    assert order.tolist() == [1, 3, 5, 2, 4, 0]
    dense = built(u[order], within(7))
    assert angles(dense.exemplars) == [0, 10, 90, 200]


def test_dense_first_is_a_seeded_permutation():
    u = directions(mixture(500, 16), torch.zeros(16))
    order = dense_first(u, 0.4, n_pilot=50, seed=3)
    assert sorted(order.tolist()) == list(range(500))
    assert torch.equal(order, dense_first(u, 0.4, n_pilot=50, seed=3))
    assert not torch.equal(order, dense_first(u, 0.4, n_pilot=50, seed=4))


@pytest.mark.parametrize("n_pilot", [0, 4])
def test_dense_first_refuses_a_pilot_that_cannot_be_drawn(n_pilot):
    with pytest.raises(ValueError, match="n_pilot must lie in 1 … 3"):
        dense_first(on_circle(0, 10, 20), 0.1, n_pilot=n_pilot)


def test_average_of_two_seeds():
    x = on_circle(0, 10, 90, 96, 200)
    a, b = built(x, within(30)), built(x.flip(0), within(30))
    assert angles(a.exemplars) == [0, 90, 200]
    assert angles(b.exemplars) == [200, 96, 10]
    pairs = torch.tensor([[1, 1], [0, 2]])  # 200 is left out
    averaged = average(a, b, pairs, x)
    assert angles(averaged.exemplars) == pytest.approx([5, 93], abs=1e-3)
    assert averaged.exemplar_index.tolist() == [0, 2]
    assert averaged.counts.tolist() == [2, 3]
    assert averaged.exemplars.norm(dim=1).tolist() == pytest.approx([1, 1])


def test_average_of_a_dictionary_with_itself_is_itself():
    x = mixture(400, 16)
    cal = calibrate(x, [3])
    d = LeaderClustering(cal.centre, cal.thresholds[3]).partial_fit(x).dictionary()
    every = torch.arange(len(d))
    same = average(d, d, torch.stack([every, every], dim=1), x)
    assert torch.allclose(same.exemplars, d.exemplars, atol=1e-6)
    assert torch.equal(same.counts, d.recount(x).counts)


def test_average_refuses_what_cannot_be():
    x = on_circle(0, 90, 180)
    d = built(x, within(30))
    one = torch.tensor([[0, 0]])
    with pytest.raises(ValueError, match="different centres"):
        average(d, LeaderClustering(torch.ones(2), 0.1).partial_fit(x).dictionary(), one, x)
    with pytest.raises(ValueError, match="matched twice"):
        average(d, d, torch.tensor([[0, 0], [0, 1]]), x)
    with pytest.raises(ValueError, match="opposite"):
        average(d, d, torch.tensor([[0, 2]]), x)
