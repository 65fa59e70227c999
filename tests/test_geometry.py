"""Tests of epkit.geometry."""

import math

import numpy as np
import pytest
import torch

from epkit.checks import as_activations
from epkit.geometry import centre_of, directions, pair_distance


def test_accepts_numpy_and_any_float_dtype():
    for dtype in (np.float16, np.float32, np.float64):
        assert as_activations(np.ones((2, 3), dtype)).dtype == torch.float32
    assert as_activations(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1.0, 2.0]], "torch tensor or a numpy array"),
        (torch.ones(3), "shape"),
        (torch.ones(2, 3, 4), "shape"),
        (torch.ones(2, 3, dtype=torch.int64), "floating point"),
        (torch.tensor([[1.0, torch.nan]]), "row 0"),
        (torch.tensor([[1.0, 1.0], [1.0, torch.inf]]), "row 1"),
        (np.array([[1e300, 1.0]]), "finite in float32"),
        (torch.ones(2, 5), "5 dimensions, expected 2"),
    ],
)
def test_bad_activations_are_named(x, message):
    dim = 2 if getattr(x, "ndim", 0) == 2 else None
    with pytest.raises(ValueError, match=message):
        as_activations(x, dim)


def test_centre_by_hand():
    # Unit vectors (1, 0), (0, 1) give d = (1, 1)/√2; mean (1.5, 2) gives <mean, d> = 3.5/√2.
    x = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    torch.testing.assert_close(centre_of(x), torch.tensor([1.75, 1.75]))


def test_centre_hardly_moves_its_direction_for_one_huge_activation():
    x = torch.randn(1000, 16, generator=torch.Generator().manual_seed(0)) + 3
    huge = torch.cat([x, 1e4 * torch.eye(16)[:1]])
    angle = torch.cosine_similarity(centre_of(x), centre_of(huge), dim=0)
    plain = torch.cosine_similarity(x.mean(0), huge.mean(0), dim=0)
    assert angle > 0.999 > plain


def test_directions_are_unit_and_do_not_depend_on_the_cut(stream):
    centre = centre_of(stream)
    u = directions(stream, centre)
    torch.testing.assert_close(u.norm(dim=1), torch.ones(len(u)))
    assert torch.equal(u, torch.cat([directions(row[None], centre) for row in stream]))


@pytest.mark.parametrize("row", [[0.0, 0.0], [1.0, 2.0]])
def test_zero_and_centre_have_no_direction(row):
    with pytest.raises(ValueError, match="zero or equals the centre"):
        directions(torch.tensor([[3.0, 1.0], row]), torch.tensor([1.0, 2.0]))


def test_an_activation_as_far_from_the_centre_as_zero_has_a_direction():
    centre = torch.tensor([0.3, -0.7, 1.1])
    u = directions(torch.stack([2 * centre, 2 * centre]), centre)
    torch.testing.assert_close(u, torch.nn.functional.normalize(centre, dim=0).expand(2, -1))
    for zero in (centre, torch.zeros(3)):
        with pytest.raises(ValueError, match="zero or equals the centre"):
            directions(torch.stack([2 * centre, torch.zeros(3)]), zero)


def test_pair_distance_is_clamped_and_one_minus_cosine():
    u = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    v = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert pair_distance(u, v).tolist() == [0, 1, 2]
    assert pair_distance(u[:1] * 1.001, v[:1]).item() == 0


def test_distances_do_not_depend_on_the_rows_beside_them():
    u, v = (torch.randn(300, 577, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    u, v = (torch.nn.functional.normalize(x, dim=1) for x in (u, v))
    whole = pair_distance(u, v)
    alone = [pair_distance(u[i : i + 1], v[i : i + 1]) for i in range(len(u))]
    assert torch.equal(whole, torch.cat(alone))
    exact = [1 - math.fsum(row) for row in (u.double() * v.double()).tolist()]
    np.testing.assert_allclose(whole, exact, atol=1e-15)
