"""Dictionaries at equal K: what is equal, what is recounted, orders and draws, a device."""

import pytest
import torch
from conftest import mixture

import epkit
from epkit.studies.sae_and_probes import EP, ITDA, KMEANS, RANDOM, REFINED
from epkit.studies.sae_and_probes.kinds import equal_kinds

X = mixture(500, 10)


def made(device="cpu"):
    d = epkit.partition(X, [8], recount=False, device="cpu")[8].to(device)
    return d, equal_kinds(d, X, n_orders=3, n_draws=2, rounds=2, seed=4)


def test_kinds_have_equal_k_and_true_statistics():
    d, kinds = made()
    assert {kind: len(runs) for kind, runs in kinds.items()} == {
        EP: 3, REFINED: 1, KMEANS: 1, ITDA: 1, RANDOM: 2
    }  # fmt: skip
    for kind, runs in kinds.items():
        for i, run in enumerate(runs):
            assert len(run) == len(d) or (kind == EP and i > 0)
            assert torch.equal(run.counts, run.assign(X)[0].bincount(minlength=len(run)))
            assert torch.equal(run.centre, d.centre)
            assert run.threshold == d.threshold


def test_the_first_order_is_the_stream_s_own_and_others_differ():
    d, kinds = made()
    first, second, third = kinds[EP]
    assert torch.equal(first.exemplars, d.exemplars)
    assert not torch.equal(second.exemplar_index, third.exemplar_index)
    one, two = kinds[RANDOM]
    assert not torch.equal(one.exemplar_index, two.exemplar_index)


@pytest.mark.slow
def test_on_a_device(far):
    (_, near), (_, there) = made(), made(far)
    for kind, runs in near.items():
        for one, other in zip(runs, there[kind], strict=True):
            assert other.centre.device.type == "cuda"
            assert torch.allclose(one.exemplars, other.exemplars.cpu(), atol=1e-5)
