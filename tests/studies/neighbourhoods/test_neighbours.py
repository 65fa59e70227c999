"""Neighbourhoods on geometry whose answer is known: arcs, orthogonal axes, seeded mixtures."""

import itertools

import numpy as np
import pytest
import torch
from conftest import mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csgraph

from epkit import Dictionary, LeaderClustering, calibrate
from epkit.dictionary import RegionSums
from epkit.geometry import directions, pair_distance
from epkit.matching import between
from epkit.studies.neighbourhoods.neighbours import (
    between_shares,
    directions_like,
    nearest_regions,
    neighbour_counts,
    neighbour_graph,
    pairs_at_distance,
    regions_within,
    shortest_path,
)


def arc(*degrees, extra=1):
    """(K, 2 + extra) unit rows at these angles of one plane."""
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    plane = torch.stack([angle.cos(), angle.sin()], dim=1)
    return torch.cat([plane, torch.zeros(len(degrees), extra)], dim=1).float()


def regions_at(exemplars, threshold=0.5):
    k, dim = exemplars.shape
    sums = RegionSums.empty(k, dim, torch.device("cpu"))
    return Dictionary.from_sums(torch.zeros(dim), threshold, exemplars, torch.arange(k), sums, {})


def random_directions(k, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(k, dim, generator=generator), dim=1)


@pytest.fixture(scope="module")
def built():
    x = mixture(1500, 24)
    cal = calibrate(x, [4])
    return x, LeaderClustering(cal.centre, cal.thresholds[4]).partial_fit(x).dictionary()


# ---- between ------------------------------------------------------------------------------------


def test_between_on_an_arc_is_the_stretch_inside_the_ends():
    d = regions_at(arc(0, 10, 35, 60, 95, -5, 65))
    assert sorted(between(d, 0, 3).tolist()) == [1, 2]
    assert between(d, 0, 1).tolist() == []
    assert sorted(between(d, 5, 4).tolist()) == [0, 1, 2, 3, 6]


def test_a_point_off_the_arc_lies_between_only_while_it_is_near_both():
    apex = torch.tensor([[0.0, 0.0, 1.0]])
    assert between(regions_at(torch.cat([arc(0, 60), apex])), 0, 1).tolist() == []
    assert between(regions_at(torch.cat([arc(0, 120), apex])), 0, 1).tolist() == [2]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.data())
def test_between_is_symmetric_and_leaves_out_its_ends(seed, k, data):
    d = regions_at(random_directions(k, seed=seed))
    a, b = data.draw(st.permutations(range(k)))[:2]
    found = between(d, a, b)
    assert sorted(found.tolist()) == sorted(between(d, b, a).tolist())
    assert not set(found.tolist()) & {a, b}
    e = d.exemplars
    apart = float(pair_distance(e[a : a + 1], e[b : b + 1]))
    for c in range(k):
        to_a, to_b = (float(pair_distance(e[i : i + 1], e[c : c + 1])) for i in (a, b))
        assert (c in found.tolist()) == (to_a < apart and to_b < apart)


def test_an_exact_copy_of_an_end_does_not_lie_between():
    e = arc(0, 60, 0, 60, 30)
    assert between(regions_at(e), 0, 1).tolist() == [4]


def test_shares_agree_with_between():
    e = random_directions(60)
    d = regions_at(e)
    a, b = torch.arange(20), torch.arange(20, 40)
    found = between_shares(e[a], e[b], e)
    wanted = [len(between(d, i, j)) / 58 for i, j in zip(a.tolist(), b.tolist(), strict=True)]
    assert found.share == pytest.approx(wanted)
    assert found.apart == pytest.approx(pair_distance(e[a], e[b]).numpy())


def test_chance_is_the_product_of_both_shares():
    # Of the four others, 10 and 35 are nearer to 0 than 60 is, and -50 too; to 60 also 95 and 35.
    e = arc(0, 60, 10, 35, 95, -50)
    found = between_shares(e[:1], e[1:2], e)
    assert found.share.tolist() == [2 / 4]
    assert found.chance.tolist() == [3 / 4 * 3 / 4]


def test_chance_is_right_where_nearness_is_independent():
    # In many dimensions the distances of random points to two orthogonal anchors are independent.
    points = random_directions(4000, dim=400, seed=1)
    a, b = torch.eye(400)[:1], torch.eye(400)[1:2]
    found = between_shares(a, b, points)
    assert found.apart.tolist() == [1.0]
    assert found.share[0] == pytest.approx(0.25, abs=0.03)
    assert found.chance[0] == pytest.approx(0.25, abs=0.03)


def test_shares_refuse_what_cannot_be():
    d = regions_at(arc(0, 30, 60))
    with pytest.raises(ValueError, match="come in pairs, got 2 and 1"):
        between_shares(d.exemplars[:2], d.exemplars[:1], d.exemplars)
    with pytest.raises(ValueError, match="every point is an anchor"):
        between_shares(d.exemplars[:1], d.exemplars[1:2], d.exemplars[:2])


def test_pairs_at_a_distance_are_the_best_there_are():
    e = random_directions(80)
    apart = 1 - e @ e.T
    wanted = np.linspace(0.3, 1.6, 40)
    pairs = pairs_at_distance(e, wanted, seed=2)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    for (a, b), distance in zip(pairs, wanted, strict=True):
        off = (apart[a] - distance).abs()
        off[a] = 9
        assert float(off[b]) == pytest.approx(float(off.min()), abs=1e-6)
    assert np.array_equal(pairs, pairs_at_distance(e, wanted, seed=2))
    assert not np.array_equal(pairs, pairs_at_distance(e, wanted, seed=3))
    with pytest.raises(ValueError, match="a pair needs two points, got 1"):
        pairs_at_distance(e[:1], wanted)


# ---- nearest regions and paths ------------------------------------------------------------------


def test_nearest_regions_on_an_arc():
    index, distance = nearest_regions(arc(0, 10, 30, 65), 2)
    assert index.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert distance[0].tolist() == pytest.approx(
        [1 - np.cos(np.pi / 18), 1 - np.cos(np.pi / 6)], abs=1e-6
    )


def test_nearest_regions_do_not_depend_on_blocks(monkeypatch):
    e = random_directions(50)
    whole = nearest_regions(e, 4)
    monkeypatch.setattr("epkit.studies.neighbourhoods.neighbours.BLOCK", 7)
    cut = nearest_regions(e, 4)
    assert torch.equal(whole[0], cut[0])
    torch.testing.assert_close(whole[1], cut[1])


def test_the_graph_is_symmetric_and_weighs_cosine_distances():
    e = random_directions(80)
    graph = neighbour_graph(e, 3)
    assert abs(graph - graph.T).max() == 0
    index, _ = nearest_regions(e, 3)
    degree = np.diff(graph.indptr)
    assert degree.min() >= 3
    assert graph.nnz <= 2 * 3 * len(e)
    for a in (0, 17, 79):
        for b in index[a].tolist():
            wanted = float(pair_distance(e[a : a + 1], e[b : b + 1]))
            assert graph[a, b] == pytest.approx(wanted, abs=1e-6)


def test_a_path_along_an_arc_visits_its_points_in_order():
    shuffled = np.random.default_rng(0).permutation(12)
    graph = neighbour_graph(arc(*(15.0 * shuffled)), 2)
    a, b = int(np.flatnonzero(shuffled == 0)[0]), int(np.flatnonzero(shuffled == 11)[0])
    path = shortest_path(graph, a, b)
    # Two neighbours on either side: small steps are cheaper than skipping, by the squared chord.
    assert shuffled[path].tolist() == list(range(12))
    assert shortest_path(graph, b, a) == path[::-1]
    assert shortest_path(graph, a, a) == [a]


def test_paths_are_the_cheapest():
    graph = neighbour_graph(random_directions(60), 3)
    matrix = csgraph.floyd_warshall(graph, directed=False)
    for a, b in ((0, 1), (5, 40), (59, 3)):
        path = shortest_path(graph, a, b)
        cost = sum(graph[i, j] for i, j in itertools.pairwise(path))
        assert cost == pytest.approx(matrix[a, b])
        assert (path[0], path[-1]) == (a, b)
        assert len(set(path)) == len(path)


def test_equal_points_are_joined():
    graph = neighbour_graph(torch.cat([arc(0, 0, 0, 0), arc(90, 90)]), 1)
    assert graph.nnz >= 6
    assert shortest_path(graph, 4, 5) == [4, 5]


def test_parts_that_are_not_connected_are_named():
    graph = neighbour_graph(torch.cat([arc(0, 1, 2), arc(90, 91, 92)]), 2)
    assert csgraph.connected_components(graph)[0] == 2
    with pytest.raises(ValueError, match="regions 0 and 4 lie in parts of the graph"):
        shortest_path(graph, 0, 4)
    with pytest.raises(ValueError, match="region 6 is outside"):
        shortest_path(graph, 0, 6)


@pytest.mark.parametrize("k", [0, 3, 9])
def test_as_many_neighbours_as_there_are_others(k):
    with pytest.raises(ValueError, match="of 3 regions each has 2 others"):
        nearest_regions(arc(0, 10, 20), k)


# ---- density and membership ---------------------------------------------------------------------


def test_neighbour_counts_counts_within_the_radius(monkeypatch):
    points, u = arc(0, 90), arc(0, 5, 30, 44, 46, 80, 180)
    radius = 1 - np.cos(np.deg2rad(45))
    assert neighbour_counts(points, u, radius).tolist() == [4, 2]
    monkeypatch.setattr("epkit.studies.neighbourhoods.neighbours.BLOCK", 2)
    assert neighbour_counts(points, u, radius).tolist() == [4, 2]


def test_regions_within_the_threshold():
    d = regions_at(arc(0, 90), threshold=1 - np.cos(np.deg2rad(20)))
    # 30 and 60 are nearest to some exemplar but farther than 20 degrees from it.
    assert regions_within(d, arc(-10, 5, 30, 60, 85, 100, 105)).tolist() == [0, 0, -1, -1, 1, 1, 1]


def test_every_activation_of_the_stream_lies_within(built):
    x, d = built
    assert torch.equal(regions_within(d, d.directions(x)), d.assign(x)[0])


def test_made_up_directions_have_the_covariance_and_none_of_the_clusters(built):
    x, d = built
    u = directions(x, d.centre)
    made = directions_like(u, 4000, seed=1)
    assert made.shape == (4000, 24)
    torch.testing.assert_close(made.norm(dim=1), torch.ones(4000))
    # Normalising moves the moments a little; the main axis stays.
    own, theirs = (torch.linalg.eigh(torch.cov(v.T))[1][:, -1] for v in (u, made))
    assert abs(float(own @ theirs)) > 0.9
    near = neighbour_counts(u[:200], u, 0.15).float().mean()
    assert neighbour_counts(made[:200], u, 0.15).float().mean() < 0.5 * near


def test_made_up_directions_follow_their_seed():
    u = random_directions(200)
    torch.rand(3)
    assert torch.equal(directions_like(u, 5, seed=3), directions_like(u, 5, seed=3))
    assert not torch.equal(directions_like(u, 5, seed=3), directions_like(u, 5, seed=4))
