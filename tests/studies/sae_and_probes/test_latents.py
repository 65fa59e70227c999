"""The yardstick for an SAE: planted components, dead latents, sinks; the same on a device."""

import pytest
import torch
from conftest import mixture

from epkit.share.sae import SparseAutoencoder, train_topk_sae
from epkit.studies.sae_and_probes.latents import (
    SaeQuality,
    explained_by_components,
    sae_quality,
    usual_tokens,
)


def identity_sae(dim, alive):
    """Latents ±x_i of the first `alive` axes; those of the other axes are never on."""
    w = torch.eye(dim)
    w[alive:] = 0
    b = torch.zeros(dim)
    zeros = torch.zeros(2 * dim)
    return SparseAutoencoder(torch.cat([w, -w], 1), zeros, torch.cat([w, -w]), b, b)


def test_usual_tokens_are_those_within_ten_median_norms():
    x = torch.ones(9, 4)
    x[3], x[5], x[7] = 10, -10.1, 0
    assert (~usual_tokens(x)).nonzero()[:, 0].tolist() == [5]


@pytest.mark.parametrize(("n", "expected"), [(0, 0), (1, 4 / 7), (2, 6 / 7), (3, 1)])
def test_components_explain_the_largest_variances_first(n, expected):
    x = torch.cat([torch.diag(torch.tensor([1.0, 2.0, 2**0.5])), torch.zeros(1, 3)])
    x = torch.cat([x, -x]) + 5  # variances in the ratio 1 : 4 : 2
    assert explained_by_components(x, x, n) == pytest.approx(expected, abs=1e-6)


def test_quality_by_hand():
    x = mixture(400, 6) - 2
    found = sae_quality(identity_sae(6, alive=6), x[:300], x[300:])
    assert found.active == pytest.approx(6)
    assert (found.dead, found.build) == (0, pytest.approx(1))
    assert found.heldout == pytest.approx(1)
    half = sae_quality(identity_sae(6, alive=3), x[:300], x[300:])
    assert half.active == pytest.approx(3)
    assert half.dead == pytest.approx(0.5)
    assert half.build < half.components < 1


@pytest.mark.parametrize(
    ("dead", "heldout", "good"), [(0.09, 0.6, True), (0.1, 0.6, False), (0, 0.5, False)]
)
def test_the_yardstick(dead, heldout, good):
    quality = SaeQuality(31.6, dead, 0.7, heldout, 0.5)
    assert quality.good is good
    shown = quality.described()
    assert shown["good enough to compare"] == ("yes" if good else "no")
    assert shown["the same by 32 principal components"] == "0.500"
    assert shown["active latents a token"] == "31.6"


@pytest.mark.slow
def test_on_a_device(far):
    x = mixture(300, 8)
    sae = train_topk_sae(x, 12, 3, epochs=1, batch=64, device=far)
    near = SparseAutoencoder(*(w.cpu() for w in list(vars(sae).values())[:5]), k=sae.k)
    there = sae_quality(sae, x[:200].to(far), x[200:].to(far))
    assert vars(there) == pytest.approx(vars(sae_quality(near, x[:200], x[200:])), abs=1e-4)
    assert usual_tokens(x.to(far)).device.type == "cuda"
