"""Controls: matched in what they claim to match, seeded, and intervals that cover."""

import pytest
import torch
from conftest import mixture

import epkit
from epkit import Dictionary, LeaderClustering, calibrate
from epkit.controls import (
    DRAWN,
    EP,
    ITDA,
    KMEANS,
    REFINED,
    equal_kinds,
    itda_dictionary,
    kmeans_dictionary,
    matched_regions,
    random_dictionary,
)
from epkit.geometry import directions
from epkit.sums import UNIT, RegionSums


@pytest.fixture(scope="module")
def x():
    return mixture(1500, 24)


@pytest.fixture(scope="module")
def built(x):
    cal = calibrate(x, [4])
    return LeaderClustering(cal.centre, cal.thresholds[4]).partial_fit(x).dictionary(layer=3)


def test_random_exemplars_are_activations_of_the_stream(built, x):
    control = random_dictionary(built, x, seed=1)
    assert len(control) == len(built)
    assert control.threshold == built.threshold
    assert torch.equal(control.centre, built.centre)
    index = control.exemplar_index
    assert (index.diff() > 0).all()  # distinct, ascending
    assert torch.equal(control.exemplars, directions(x[index], built.centre))
    assert control.metadata["control"] == "random exemplars"
    assert control.metadata["layer"] == 3


def test_random_dictionary_counts_its_voronoi_cells(built, x):
    control = random_dictionary(built, x, seed=1)
    expected = torch.bincount(control.assign(x)[0], minlength=len(built))
    assert torch.equal(control.counts, expected)
    assert not torch.equal(control.means, control.exemplars)
    bare = random_dictionary(built, x, seed=1, recount=False)
    assert torch.equal(bare.exemplars, control.exemplars)
    assert torch.equal(bare.means, bare.exemplars)
    assert bare.counts.tolist() == [1] * len(built)


def test_random_dictionary_follows_its_seed_alone(built, x):
    first = random_dictionary(built, x, seed=5)
    torch.rand(3)
    assert torch.equal(
        first.exemplar_index, random_dictionary(built, x.numpy(), seed=5).exemplar_index
    )
    assert not torch.equal(first.exemplar_index, random_dictionary(built, x, seed=6).exemplar_index)


def test_random_exemplars_need_enough_activations(built, x):
    with pytest.raises(ValueError, match="random exemplars cannot be drawn from 3 activations"):
        random_dictionary(built, x[:3])


def mean_cosine(d, x):
    return 1 - d.assign(x)[1].mean().item()


def test_kmeans_centroids_lie_nearer_than_activations_do(built, x):
    means = kmeans_dictionary(built, x, seed=1)
    assert len(means) == len(built)
    assert means.threshold == built.threshold
    assert torch.allclose(means.exemplars.norm(dim=1), torch.ones(len(built)), atol=1e-6)
    assert torch.equal(means.counts, torch.bincount(means.assign(x)[0], minlength=len(built)))
    assert means.metadata["control"] == "k-means"
    start = random_dictionary(built, x, seed=1)
    assert mean_cosine(means, x) > mean_cosine(start, x) + 0.01
    # As good as Lloyd's rounds on the sphere itself, from the same start.
    assert abs(mean_cosine(means, x) - mean_cosine(start.refine(x, 6), x)) < 0.01


def test_kmeans_follows_its_seed_alone(built, x):
    first, again = (kmeans_dictionary(built, y, seed=5, rounds=2) for y in (x, x.numpy()))
    assert torch.allclose(first.exemplars, again.exemplars, atol=1e-5)
    other = kmeans_dictionary(built, x, seed=6, rounds=2)
    assert not torch.allclose(first.exemplars, other.exemplars, atol=1e-2)


def itda_by_hand(u, k, steps, quota):
    """One row at a time, as the docstring says."""
    blocks, atoms, index = -(-k // quota), [], []
    for b in range(blocks):
        low, high = len(u) * b // blocks, len(u) * (b + 1) // blocks
        errors = []
        for row in range(low, high):
            left = u[row].clone()
            for _ in range(steps if atoms else 0):
                products = torch.stack([left @ a for a in atoms])
                if products.max() > 0:
                    left = left - products.max() * atoms[int(products.argmax())]
            errors.append((-left.square().sum().item(), row))
        if not atoms:
            errors = [(0, row) for row in range(low, high)]
        chosen = sorted(row for _, row in sorted(errors)[: min(quota, k - len(index))])
        index += chosen
        atoms += [u[row] for row in chosen]
    return index


def test_itda_takes_what_is_reconstructed_worst(built, x):
    few = built.to("cpu")
    some = x[:300]
    got = itda_dictionary(few, some, steps=2, quota=3)
    u = few.directions(some)
    assert torch.equal(got.exemplars, u[got.exemplar_index])
    assert torch.equal(got.counts, torch.bincount(got.assign(some)[0], minlength=len(few)))
    assert got.metadata["control"] == "ITDA"
    assert "control_seed" not in got.metadata
    assert (got.exemplar_index.diff() > 0).all()
    assert got.exemplar_index.tolist() == itda_by_hand(u, len(few), 2, 3)


def test_itda_needs_enough_activations(built, x):
    with pytest.raises(ValueError, match="cannot be drawn from 3 activations"):
        itda_dictionary(built, x[:3])


def regions(counts, coherence):
    """A dictionary with these counts and coherences."""
    n = len(counts)
    exemplars = torch.eye(n)
    sums = RegionSums.empty(n, n, torch.device("cpu"))
    sums.table[:, -1] = torch.tensor(counts)
    scale = torch.tensor(coherence, dtype=torch.float64) * sums.counts
    sums.table[:, :-3] = (exemplars * scale[:, None] / UNIT).long()
    return Dictionary.from_sums(torch.zeros(n), 0.5, exemplars, torch.arange(n), sums, {})


def test_matched_regions_by_hand():
    # log10 counts 1, 1, 2, 3, 1: region 1 equals region 0 but for coherence .1; region 4 is empty
    d = regions([10, 10, 100, 1000, 0], [0.5, 0.6, 0.5, 0.5, 0.0])
    assert matched_regions(d, 0).tolist() == [2]  # apart 1 / .957 against .1 / .05
    assert matched_regions(d, 0, 3).tolist() == [2, 1, 3]
    assert matched_regions(d, 0, 2, exclude=[2]).tolist() == [1, 3]


def test_matched_regions_refuse_what_cannot_be():
    d = regions([10, 10, 0], [0.5, 0.6, 0.0])
    with pytest.raises(ValueError, match="region 2 has no members"):
        matched_regions(d, 2)
    with pytest.raises(ValueError, match="only 1 regions can match"):
        matched_regions(d, 0, 2)
    with pytest.raises(ValueError, match="region must be in 0 … 2, got int 3"):
        matched_regions(d, 3)


def test_matched_regions_of_equal_coherence():
    d = regions([10, 20, 1000], [0.5, 0.5, 0.5])
    assert matched_regions(d, 0, 2).tolist() == [1, 2]


KINDS_X = mixture(500, 10)


def made_kinds(device="cpu"):
    d = epkit.partition(KINDS_X, [8], recount=False, device="cpu")[8].to(device)
    return d, equal_kinds(d, KINDS_X, n_orders=3, n_draws=2, rounds=2, seed=4)


def test_kinds_have_equal_k_and_true_statistics():
    d, kinds = made_kinds()
    assert {kind: len(runs) for kind, runs in kinds.items()} == {
        EP: 3, REFINED: 1, KMEANS: 1, ITDA: 1, DRAWN: 2
    }  # fmt: skip
    for kind, runs in kinds.items():
        for i, run in enumerate(runs):
            assert len(run) == len(d) or (kind == EP and i > 0)
            assert torch.equal(run.counts, run.assign(KINDS_X)[0].bincount(minlength=len(run)))
            assert torch.equal(run.centre, d.centre)
            assert run.threshold == d.threshold


def test_the_first_order_is_the_stream_s_own_and_others_differ():
    d, kinds = made_kinds()
    first, second, third = kinds[EP]
    assert torch.equal(first.exemplars, d.exemplars)
    assert not torch.equal(second.exemplar_index, third.exemplar_index)
    one, two = kinds[DRAWN]
    assert not torch.equal(one.exemplar_index, two.exemplar_index)


@pytest.mark.slow
def test_kinds_on_a_device(far):
    (_, near), (_, there) = made_kinds(), made_kinds(far)
    for kind, runs in near.items():
        for one, other in zip(runs, there[kind], strict=True):
            assert other.centre.device.type == "cuda"
            assert torch.allclose(one.exemplars, other.exemplars.cpu(), atol=1e-5)
