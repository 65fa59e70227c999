"""The Euclidean rule against the plain loop that defines it, and against cosine on unit rows."""

import numpy as np
import pytest
import torch
from conftest import mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from epkit import LeaderClustering
from epkit.geometry import directions
from epkit.studies.stability import euclidean
from epkit.studies.stability.euclidean import (
    euclidean_assign,
    euclidean_leaders,
    member_means,
)

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
        patch.setattr(euclidean, "ROWS", rows)
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
