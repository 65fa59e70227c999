"""Dictionaries at equal K: each is the kit's own, in the orders and from the seeds it says."""

import pytest
import torch
from conftest import mixture

import epkit
from epkit.controls import itda_dictionary, kmeans_dictionary, random_dictionary
from epkit.partition import stream_order
from epkit.studies.axbench.rivals import DRAWN, EP, ITDA, KINDS, KMEANS, REFINED, make_runs


@pytest.fixture(scope="module")
def x():
    return mixture(700, 10)


@pytest.fixture(scope="module")
def d(x):
    return epkit.partition(x, [20], recount=False)[20]


def test_every_kind_is_the_kits_own(d, x):
    runs, seconds = make_runs(d, x, n_orders=2, n_draws=3, rounds=2, seed=5)
    assert list(runs) == list(KINDS)
    assert {kind: len(many) for kind, many in runs.items()} == dict.fromkeys(KINDS, 2) | {DRAWN: 3}
    assert set(seconds) == set(KINDS) - {EP}
    order = stream_order(len(x), 6)
    again = epkit.LeaderClustering(d.centre, d.threshold).partial_fit(x[order]).dictionary()
    assert runs[EP][0] is d
    for kind, run, wanted in (
        (EP, 1, again),
        (REFINED, 0, d.refine(x, 2)),
        (REFINED, 1, again.refine(x, 2)),
        (KMEANS, 1, kmeans_dictionary(d, x, seed=6, rounds=2)),
        (ITDA, 0, itda_dictionary(d, x)),
        (ITDA, 1, itda_dictionary(d, x[order])),
        (DRAWN, 2, random_dictionary(d, x, seed=7)),
    ):
        found = runs[kind][run]
        torch.testing.assert_close(found.exemplars, wanted.exemplars, msg=f"{kind}, run {run}")
        assert len(found) == len(d) or EP in kind


def test_kinds_that_are_not_wanted_are_not_made(d, x):
    runs, seconds = make_runs(d, x, [DRAWN], n_orders=1, n_draws=1)
    assert list(runs) == [EP, DRAWN]
    assert list(seconds) == [DRAWN]
    assert runs[EP] == [d]


@pytest.mark.slow
def test_far_activations_give_the_same_dictionaries(far, d, x):
    there, _ = make_runs(d.to(far), x.to(far), n_orders=2, n_draws=1, rounds=1)
    near, _ = make_runs(d, x, n_orders=2, n_draws=1, rounds=1)
    for kind in KINDS:
        for a, b in zip(there[kind], near[kind], strict=True):
            assert a.exemplars.device.type == "cuda"
            torch.testing.assert_close(a.exemplars.cpu(), b.exemplars, atol=1e-4, rtol=1e-4)
