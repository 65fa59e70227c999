"""Least squares over the nearest regions: planted codes, against numpy, all regions, a device."""

import numpy as np
import pytest
import torch
from conftest import mixture

import epkit
from epkit.readouts import least_squares
from epkit.studies.sae_and_probes.decoding import explained_by_regions

X = mixture(300, 8)


def example(device="cpu"):
    return epkit.partition(X, [8], device="cpu")[8].to(device)


def test_coefficients_are_those_of_numpy_s_least_squares():
    d = example()
    found = least_squares(d, X[:40], 3).to_dense()
    u = d.directions(X[:40]).double()
    nearest = (u @ d.means.double().T).topk(3, dim=1).indices
    assert torch.equal((found != 0).nonzero()[:, 1].view(40, 3), nearest.sort(dim=1).values)
    for row, index, ours in zip(u, nearest, found.gather(1, nearest), strict=True):
        expected = np.linalg.lstsq(d.means[index].double().T.numpy(), row.numpy(), rcond=None)[0]
        assert (d.means[index].T.numpy() @ (expected - ours.numpy())) == pytest.approx(0, abs=2e-2)


def test_an_activation_on_an_exemplar_is_that_exemplar():
    d = example()
    x = d.exemplars[:5] * 3 + d.centre
    assert explained_by_regions(d, x, 1, "exemplar") == pytest.approx(1, abs=1e-4)


def test_more_regions_explain_more_and_all_of_them_everything():
    d = example()
    assert len(d) > 8
    one, four, every = (explained_by_regions(d, X, n) for n in (1, 4, 10_000))
    assert one < four < every
    assert every == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_on_a_device(far):
    near, there = example(), example(far)
    assert least_squares(there, X, 3).device.type == "cuda"
    assert explained_by_regions(there, X, 3) == pytest.approx(
        explained_by_regions(near, X, 3), abs=1e-4
    )
    assert explained_by_regions(there, X.to(far), 3) == pytest.approx(
        explained_by_regions(near, X, 3), abs=1e-4
    )
