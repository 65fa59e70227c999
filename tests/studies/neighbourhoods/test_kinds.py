"""Tests of the kinds of dictionaries that notebook 09 compares."""

import numpy as np
import pytest
import torch
from conftest import mixture

import epkit
from epkit.studies.neighbourhoods.excess import share_between
from epkit.studies.neighbourhoods.kinds import (
    EP,
    MADE_UP,
    RANDOM,
    between_by_kind,
    compared_kinds,
    graphs_by_kind,
    regions_by_kind,
    runs_by_kind,
)

LEVELS = [8, 4]
X = mixture(600, 16)


@pytest.fixture(scope="module")
def built():
    ep = epkit.partition(X, LEVELS, device="cpu")
    u = ep[8].directions(X)
    return ep, u, compared_kinds(ep, X, u)


def test_every_kind_has_as_many_exemplars_seen_from_the_same_centre(built):
    ep, _, kinds = built
    assert list(kinds) == [EP, RANDOM, MADE_UP]
    for kind in kinds.values():
        assert list(kind) == LEVELS
        for p, d in kind.items():
            assert d.exemplars.shape == ep[p].exemplars.shape
            assert torch.equal(d.centre, ep[p].centre)


def test_random_exemplars_are_observed_and_counted(built):
    _, u, kinds = built
    for d in kinds[RANDOM].values():
        assert (u @ d.exemplars.T).amax(dim=0).min() > 1 - 1e-5
        assert int(d.counts.sum()) == len(X)
    assert torch.equal(
        kinds[RANDOM][4].counts, epkit.random_dictionary(built[0][4], X, seed=0).counts
    )


def test_runs_are_orders_of_ep_and_draws_of_random_exemplars(built):
    ep, *_ = built
    runs = runs_by_kind(ep, X, 2, 3, seed=5)
    assert list(runs) == LEVELS
    for p, kinds in runs.items():
        assert {name: len(some) for name, some in kinds.items()} == {EP: 2, RANDOM: 3}
        first, again = kinds[EP]
        assert torch.equal(first.exemplars, ep[p].exemplars)
        assert again.threshold == first.threshold
        given = epkit.Calibration(first.centre, {p: first.threshold}, len(X))
        alone = epkit.partition(X, [p], order=6, calibration=given, device="cpu")[p]
        assert torch.equal(again.means, alone.means)
        drawn = epkit.random_dictionary(first, X, seed=7)
        assert torch.equal(kinds[RANDOM][2].means, drawn.means)


def test_what_lies_between_is_of_the_basis_asked_for(built):
    ep, _, _ = built
    runs = runs_by_kind(ep, X, 1, 2)
    for basis in ("means", "exemplars"):
        found = between_by_kind(runs, basis)[8]
        assert {name: len(some) for name, some in found.items()} == {EP: 1, RANDOM: 2, MADE_UP: 2}
        alone = share_between(getattr(ep[8], basis))
        assert np.array_equal(found[EP][0].share, alone.share, equal_nan=True)
        assert len(found[MADE_UP][1].apart) == len(ep[8])
        assert not np.array_equal(found[MADE_UP][0].apart, found[MADE_UP][1].apart)


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
