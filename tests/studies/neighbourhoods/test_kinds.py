"""Tests of the kinds of dictionaries that notebook 09 compares."""

import numpy as np
import pytest
import torch
from conftest import mixture

import epkit
from epkit.studies.neighbourhoods.kinds import (
    EP,
    MADE_UP,
    RANDOM,
    compared_kinds,
    graphs_by_kind,
    regions_by_kind,
)

LEVELS = [8, 4]
X = mixture(600, 16)


@pytest.fixture(scope="module")
def built():
    ep = epkit.partition(X, LEVELS, device="cpu")
    u = ep[8].directions(X)
    return ep, u, compared_kinds(ep, X, u, 4)


def test_every_kind_has_as_many_exemplars_seen_from_the_same_centre(built):
    ep, _, kinds = built
    assert list(kinds) == [EP, RANDOM, MADE_UP]
    for kind in kinds.values():
        assert list(kind) == LEVELS
        for p, d in kind.items():
            assert d.exemplars.shape == ep[p].exemplars.shape
            assert torch.equal(d.centre, ep[p].centre)


def test_random_exemplars_are_observed_and_counted_where_asked(built):
    _, u, kinds = built
    for d in kinds[RANDOM].values():
        assert (u @ d.exemplars.T).amax(dim=0).min() > 1 - 1e-5
    assert int(kinds[RANDOM][4].counts.sum()) == len(X)
    assert torch.equal(
        kinds[RANDOM][4].counts, epkit.random_dictionary(built[0][4], X, seed=0).counts
    )


def test_regions_are_those_that_assign_gives(built):
    ep, u, kinds = built
    regions = regions_by_kind(kinds, u)
    assert list(regions) == [EP, RANDOM]
    for p in LEVELS:
        assert np.array_equal(regions[EP][p], ep[p].assign(X)[0].numpy())
        assert np.array_equal(regions[RANDOM][p], kinds[RANDOM][p].assign(X)[0].numpy())


def test_a_graph_for_every_kind_and_percentile(built):
    _, _, kinds = built
    graphs = graphs_by_kind(kinds)
    assert set(graphs) == {(name, p) for name in kinds for p in LEVELS}
    for (name, p), graph in graphs.items():
        assert graph.shape == (len(kinds[name][p]),) * 2


@pytest.mark.slow
def test_regions_found_far_are_those_found_near(built, far):
    _, u, kinds = built
    there = {name: {p: d.to(far) for p, d in kind.items()} for name, kind in kinds.items()}
    here, found = regions_by_kind(kinds, u), regions_by_kind(there, u.to(far))
    for name, kind in here.items():
        for p, region in kind.items():
            assert np.array_equal(region, found[name][p])
