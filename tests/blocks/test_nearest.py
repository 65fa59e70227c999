"""Tests of epkit.blocks.nearest."""

import subprocess
import sys

import pytest
import torch

from epkit.blocks import nearest as blocks_nearest
from epkit.blocks import products
from epkit.blocks.nearest import nearest, nearest_of_activations
from epkit.geometry import centre_of, directions, pair_distance


def test_nearest_equals_float64_brute_force_over_many_blocks(monkeypatch):
    monkeypatch.setattr(blocks_nearest, "COLUMNS", 7)
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
        monkeypatch.setattr(blocks_nearest, "COLUMNS", columns)
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


def test_activations_are_normalised_by_block_with_the_same_result(stream, monkeypatch):
    centre = centre_of(stream)
    exemplars = directions(stream[:40], centre)
    index, distance = nearest(directions(stream, centre), exemplars)
    monkeypatch.setattr(blocks_nearest, "ROWS", 64)
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
from epkit.blocks.nearest import nearest_of_activations
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
