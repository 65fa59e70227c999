"""Tests of epkit.geometry."""

import numpy as np
import pytest
import torch

from epkit import geometry
from epkit.geometry import as_activations, centre_of, directions, nearest, pair_distance


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


def test_pair_distance_is_clamped_and_one_minus_cosine():
    u = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    v = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert pair_distance(u, v).tolist() == [0, 1, 2]
    assert pair_distance(u[:1] * 1.001, v[:1]).item() == 0


def test_nearest_equals_float64_brute_force_over_many_blocks(monkeypatch):
    monkeypatch.setattr(geometry, "COLUMNS", 7)
    generator = torch.Generator().manual_seed(1)
    u = torch.nn.functional.normalize(torch.randn(300, 5, generator=generator), dim=1)
    exemplars = torch.nn.functional.normalize(torch.randn(60, 5, generator=generator), dim=1)
    index, distance = nearest(u, exemplars)
    exact = 1 - u.double() @ exemplars.double().T
    assert torch.equal(index, exact.argmin(1))
    torch.testing.assert_close(distance, exact.amin(1))


def test_nearest_ties_go_to_the_lowest_index(monkeypatch):
    exemplars = torch.eye(6)[[3, 0, 1, 2]]
    u = torch.nn.functional.normalize(
        torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 1, 0, 1, 0, 0]]), dim=1
    )
    for columns in (1, 2, 3, 4096):
        monkeypatch.setattr(geometry, "COLUMNS", columns)
        assert nearest(u, exemplars)[0].tolist() == [1, 0]


def test_full_precision_restores_the_session(monkeypatch):
    torch.set_float32_matmul_precision("medium")
    try:
        with geometry.full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
