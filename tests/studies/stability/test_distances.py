"""Other distances: against the plain loop that defines the rule, by hand, and as one another."""

import numpy as np
import pytest
import torch
from conftest import mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from epkit import LeaderClustering, calibrate, random_dictionary
from epkit.geometry import directions
from epkit.readouts import cosine
from epkit.studies.stability import distances
from epkit.studies.stability.distances import (
    DISTANCES,
    SCALED,
    Level,
    cells_of,
    centred_row,
    distance_row,
    euclidean_assign,
    euclidean_leaders,
    level_at_k,
    measure_cells,
    member_means,
)
from epkit.studies.stability.recurrence import disjoint_pairs
from epkit.studies.stability.remedies import RANDOM, Measured
from epkit.studies.stability.splits import comparisons, runs_of

WHOLE = arrays(np.float32, (30, 2), elements=st.integers(-8, 8).map(float))
"""Whole coordinates: squared distances are exact, so that ties are ties."""


def one_at_a_time(x: np.ndarray, threshold: float) -> list[int]:
    founders: list[int] = []
    for i, row in enumerate(x.astype(np.float64)):
        if all(((row - x[f]) ** 2).sum() > threshold**2 for f in founders):
            founders.append(i)
    return founders


@settings(max_examples=60, deadline=None)
@given(x=WHOLE, threshold=st.integers(1, 9), rows=st.integers(1, 40))
def test_it_is_the_one_at_a_time_rule_for_every_block(x, threshold, rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "BLOCK", rows)
        assert euclidean_leaders(x, threshold).tolist() == one_at_a_time(x, threshold)


def test_it_is_the_one_at_a_time_rule_on_activations():
    x = mixture(700, 24)
    threshold = float(torch.pdist(x).quantile(0.05))
    assert euclidean_leaders(x, threshold).tolist() == one_at_a_time(x.numpy(), threshold)


def test_on_unit_rows_it_is_uncentred_cosine():
    # |u − v|² = 2 (1 − u·v), so dividing every activation by its norm changes nothing else
    x = mixture(700, 24)
    unit = x / x.norm(dim=1, keepdim=True)
    cosine = LeaderClustering(torch.zeros(24), 0.08).partial_fit(x).dictionary()
    assert torch.equal(euclidean_leaders(unit, (2 * 0.08) ** 0.5), cosine.exemplar_index)
    region, distance = euclidean_assign(unit, unit[cosine.exemplar_index])
    assert torch.equal(region, cosine.assign(x)[0])
    assert torch.allclose(distance.square() / 2, cosine.assign(x)[1].double(), atol=1e-5)


def test_assignment_by_hand_with_a_tie():
    exemplars = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 5.0]])
    region, distance = euclidean_assign(torch.tensor([[1.0, 0.0], [0.0, 4.0]]), exemplars)
    assert region.tolist() == [0, 2]
    assert distance.tolist() == [1, 1]


def test_member_means_by_hand():
    x = torch.tensor([[0.0, 0.0], [2.0, 4.0], [1.0, 1.0]])
    means = member_means(x, torch.tensor([0, 0, 2]), 3)
    assert means.tolist() == [[1, 2], [0, 0], [1, 1]]


def test_what_cannot_be_is_refused():
    x = torch.ones(3, 2)
    with pytest.raises(ValueError, match="no activations"):
        euclidean_leaders(torch.zeros(0, 2), 1.0)
    with pytest.raises(ValueError, match="must be positive"):
        euclidean_leaders(x, 0.0)


def test_unit_rows_of_the_centred_kind_give_centred_cosine():
    x = mixture(300, 8)
    centre = torch.full((8,), 2.0)
    u = directions(x, centre)
    cosine = LeaderClustering(centre, 0.3).partial_fit(x).dictionary()
    assert torch.equal(euclidean_leaders(u, 0.6**0.5), cosine.exemplar_index)


# ---- partitions under a distance ----------------------------------------------------------------

X = mixture(600, 16)
FRESH = mixture(200, 16, seed=1)


def threshold_of(name: str, percentile: float) -> float:
    return float(np.percentile(DISTANCES[name].pairs(X[:300]), percentile))


@pytest.mark.parametrize("name", DISTANCES)
def test_pairwise_distances_by_hand(name):
    sample = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    by_hand = {"uncentred cosine": 1.0, "Euclidean, raw": 5.0, SCALED: 2**0.5}
    assert DISTANCES[name].pairs(sample).tolist() == pytest.approx([by_hand[name]])


@pytest.mark.parametrize("name", DISTANCES)
def test_every_distance_makes_cells_of_its_nearest_exemplars(name):
    cells = DISTANCES[name].cells(X, threshold_of(name, 3))
    scores = cells.scorer()(FRESH)
    assert 3 < len(cells) < 300
    assert scores.shape == (len(FRESH), len(cells))
    own, fresh = cells.regions(X), cells.regions(FRESH)
    assert sorted(own.unique().tolist()) == list(range(len(cells)))  # an exemplar is its own
    assert fresh.shape == (len(FRESH),)
    # Members of a region are near its mean, so that its score is mostly among the highest.
    assert (scores.argsort(descending=True)[:, :3] == fresh[:, None]).any(1).double().mean() > 0.5


@pytest.mark.parametrize("name", DISTANCES)
def test_random_exemplars_are_as_many_and_seeded(name):
    cells = DISTANCES[name].cells(X, threshold_of(name, 3))
    drawn = cells.drawn(5)
    assert len(drawn) == len(cells)
    assert torch.equal(drawn.regions(FRESH), cells.drawn(5).regions(FRESH))
    assert not torch.equal(drawn.regions(FRESH), cells.drawn(6).regions(FRESH))
    assert drawn.scorer()(FRESH).isfinite().all()


def test_cosine_cells_are_those_of_a_dictionary():
    threshold = threshold_of("uncentred cosine", 3)
    cells = DISTANCES["uncentred cosine"].cells(X, threshold)
    d = LeaderClustering(torch.zeros(16), threshold).partial_fit(X).dictionary().recount(X)
    assert torch.equal(cells.regions(FRESH), d.assign(FRESH)[0])
    assert torch.equal(cells.scorer()(FRESH), cosine(d, FRESH))
    drawn = random_dictionary(d, X, seed=5)
    assert torch.equal(cells.drawn(5).regions(FRESH), drawn.assign(FRESH)[0])
    assert torch.equal(cells.drawn(5).scorer()(FRESH), cosine(drawn, FRESH))


def test_norm_scaled_euclidean_makes_the_partition_of_uncentred_cosine():
    one = DISTANCES["uncentred cosine"].cells(X, 0.08)
    two = DISTANCES[SCALED].cells(X, (2 * 0.08) ** 0.5)
    assert torch.equal(one.regions(FRESH), two.regions(FRESH))


# ---- measured at equal K ------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISTANCES)
def test_the_level_founds_as_many_regions(name):
    level = level_at_k(DISTANCES[name], X[:300], X, 40, 3.0)
    assert isinstance(level, Level)
    assert abs(len(DISTANCES[name].cells(X, level.threshold)) - 40) <= 4
    assert level.threshold == threshold_of(name, level.percentile)
    assert level.k_same_percentile == len(DISTANCES[name].cells(X, threshold_of(name, 3)))


def test_cells_are_measured_pair_by_pair():
    pairs = disjoint_pairs(torch.arange(len(X)) // 20, 2)
    cells = cells_of(DISTANCES["Euclidean, raw"], X, pairs, threshold_of("Euclidean, raw", 3))
    assert [len(pair) for pair in cells] == [2, 2]
    seen = []

    def detect(score):
        seen.append(score(FRESH).shape[1])
        return np.array([0.5, 0.7 + 0.1 * len(seen)])

    stable, detects = measure_cells(cells, FRESH, detect)
    assert seen == [len(a) for a, _ in cells]  # of the parts A alone
    assert stable.shape == (2,)
    assert 0.2 < stable.mean() < 1
    assert detects == pytest.approx(np.array([[0.5, 0.8], [0.5, 0.9]]))
    same, _ = measure_cells([(a, a) for a, _ in cells], FRESH, detect)
    assert same.tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("name", DISTANCES)
def test_rows_of_the_table(name):
    pairs = disjoint_pairs(torch.arange(len(X)) // 20, 2)
    runs, controls = runs_of(X, pairs, calibrate(X, [4]))
    compared = comparisons(runs, controls, FRESH).loc[4, "other documents"]
    auroc = np.full((2, 3), 0.6)
    measured = {"plain": Measured(compared.loc["regions"], auroc)}
    measured[RANDOM] = Measured(compared.loc["random exemplars"], auroc - 0.1)
    cells = cells_of(DISTANCES[name], X, pairs, threshold_of(name, 4))

    def score(cells):
        return measure_cells(cells, FRESH, lambda score: np.full(3, 0.8))

    row = distance_row(name, Level(4.0, 1.0, 33), cells, score, measured["plain"])
    first = centred_row(4, 50, measured)
    assert set(row) - set(first) == {"agreement, against centred", "AUROC, against centred"}
    assert ("agreement, random" in row) == (name != SCALED)
    assert row["K at the same percentile"] == 33
    assert row["AUROC, against centred"].value == pytest.approx(0.2)
    gain = row["agreement"] - first["agreement"]
    assert row["agreement, against centred"].value == pytest.approx(gain)
    assert first["AUROC, random"] == pytest.approx(0.5)
