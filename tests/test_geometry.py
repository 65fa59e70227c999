"""Tests of epkit.geometry."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from epkit import geometry
from epkit.blocks import products
from epkit.checks import as_activations
from epkit.geometry import centre_of, directions, nearest, nearest_of_activations, pair_distance


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


def test_nearest_equals_float64_brute_force_over_many_blocks(monkeypatch):
    monkeypatch.setattr(geometry, "COLUMNS", 7)
    monkeypatch.setattr(products, "GROUP", 7)
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
        monkeypatch.setattr(products, "GROUP", min(columns, 64))
        assert nearest(u, exemplars)[0].tolist() == [1, 0]


@pytest.mark.parametrize("precision", ["single", "half"])
def test_rivals_within_rounding_are_decided_in_float64(precision):
    # Exemplars a few float32 steps apart: no product of 300 terms can tell them from one another.
    generator = torch.Generator().manual_seed(2)
    base = torch.nn.functional.normalize(torch.randn(1, 300, generator=generator), dim=1)
    near = base + 3e-7 * torch.randn(200, 300, generator=generator)
    exemplars = torch.nn.functional.normalize(near.double(), dim=1).float()
    u = torch.nn.functional.normalize(torch.randn(50, 300, generator=generator) + 9 * base, dim=1)
    index, distance = nearest(u, exemplars, precision)
    exact = torch.stack([pair_distance(u, e.expand_as(u)) for e in exemplars], dim=1)
    assert torch.equal(index, exact.argmin(1))
    assert torch.equal(distance, exact.amin(1))


def test_distances_do_not_depend_on_the_rows_beside_them():
    u, v = (torch.randn(300, 577, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    u, v = (torch.nn.functional.normalize(x, dim=1) for x in (u, v))
    whole = pair_distance(u, v)
    alone = [pair_distance(u[i : i + 1], v[i : i + 1]) for i in range(len(u))]
    assert torch.equal(whole, torch.cat(alone))
    exact = [1 - math.fsum(row) for row in (u.double() * v.double()).tolist()]
    np.testing.assert_allclose(whole, exact, atol=1e-15)


def test_activations_are_normalised_by_block_with_the_same_result(stream, monkeypatch):
    centre = centre_of(stream)
    exemplars = directions(stream[:40], centre)
    index, distance = nearest(directions(stream, centre), exemplars)
    monkeypatch.setattr(geometry, "ROWS", 64)
    for x in (stream, stream.double().numpy(), stream.double().numpy()[::-1].copy()[::-1]):
        got = nearest_of_activations(x, centre, exemplars)
        assert torch.equal(got[0], index)
        assert torch.equal(got[1], distance.float())
    stream[700, 3] = torch.nan
    with pytest.raises(ValueError, match="row 700"):
        nearest_of_activations(stream, centre, exemplars)


def test_assigning_holds_little_beyond_the_activations():
    """200,000 x 64 at K 2,000: 53 MB of input and output, at most .3 of it beyond them."""
    script = """
import resource, torch, epkit
from epkit.geometry import nearest_of_activations
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
x, centre = torch.randn(200_000, 64), torch.zeros(64)
exemplars = torch.nn.functional.normalize(torch.randn(2_000, 64), dim=1)
nearest_of_activations(x[:10], centre, exemplars)
before = peak()
index, distance = nearest_of_activations(x, centre, exemplars)
size = sum(t.nbytes for t in (x, index, distance)) / 2**20
assert peak() - before < .3 * size + (index.nbytes + distance.nbytes) / 2**20, peak() - before
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
