"""Every readout against its formula, written out in float64 on small arrays."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import mixture
from skimage.filters import threshold_otsu

import epkit
from epkit import readouts
from epkit.blocks import nearest

N = 40


@pytest.fixture(scope="module")
def dictionary():
    x = mixture(600, 12, clusters=6)
    cal = epkit.calibrate(x, [5], device="cpu")
    part = epkit.LeaderClustering(cal.centre, cal.thresholds[5], device="cpu")
    return part.partial_fit(x).dictionary()


@pytest.fixture(scope="module")
def x():
    return mixture(N, 12, seed=1, clusters=6)


def parts(dictionary, x, basis):
    """a − c, u and E in float64."""
    shifted = x.double().numpy() - dictionary.centre.double().numpy()
    e = (dictionary.exemplars if basis == "exemplar" else dictionary.means).double().numpy()
    return shifted, shifted / np.linalg.norm(shifted, axis=1, keepdims=True), e


@pytest.mark.parametrize("basis", readouts.BASES)
def test_dense_readouts_are_their_formulas(dictionary, x, basis):
    shifted, u, e = parts(dictionary, x, basis)
    for got, wanted in [
        (readouts.signed(dictionary, x, basis), shifted @ e.T),
        (readouts.cosine(dictionary, x, basis), u @ e.T),
        (readouts.distance(dictionary, x, basis), 1 - u @ e.T),
    ]:
        assert got.shape == (N, len(dictionary))
        assert got.dtype == torch.float32
        np.testing.assert_allclose(got.numpy(), wanted, atol=2e-5)


def test_the_bases_differ(dictionary, x):
    assert not torch.equal(
        readouts.cosine(dictionary, x, "mean"), readouts.cosine(dictionary, x, "exemplar")
    )


@pytest.mark.parametrize("basis", readouts.BASES)
def test_one_hot_marks_the_nearest_region(dictionary, x, basis):
    _, u, e = parts(dictionary, x, basis)
    f = readouts.one_hot(dictionary, x, basis)
    assert f.is_sparse
    assert f._nnz() == N
    np.testing.assert_array_equal(f.to_dense().numpy(), np.eye(len(e))[(u @ e.T).argmax(1)])


def test_one_hot_in_the_exemplar_basis_is_assignment(dictionary, x):
    region, _ = dictionary.assign(x)
    assert torch.equal(readouts.one_hot(dictionary, x).indices()[1], region)


@pytest.mark.parametrize("basis", readouts.BASES)
@pytest.mark.parametrize("of", readouts.KINDS)
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("k", [1, 3])
def test_top_k_keeps_the_k_largest_positive_ones(dictionary, x, basis, of, normalise, k):
    shifted, u, e = parts(dictionary, x, basis)
    values = (shifted if of == "signed" else u) @ e.T
    wanted = np.zeros_like(values)
    for row, value in enumerate(values):
        for region in np.argsort(-value)[:k]:
            wanted[row, region] = max(value[region], 0)
    if normalise:
        wanted /= np.maximum(wanted.sum(1, keepdims=True), 1e-300)
    f = readouts.top_k(dictionary, x, k, basis, of=of, normalise=normalise)
    assert f.is_sparse
    assert (f.values() > 0).all()
    np.testing.assert_allclose(f.to_dense().numpy(), wanted, atol=2e-5)


def test_top_k_drops_negative_projections(dictionary):
    # Looking away from every mean, no projection is positive, and normalising divides by nothing.
    away = dictionary.centre - 3 * dictionary.means.mean(0)
    worst = readouts.cosine(dictionary, away[None]).min(1).values
    assert worst < 0
    f = readouts.top_k(dictionary, away[None], len(dictionary), normalise=True).to_dense()
    assert (f >= 0).all()
    assert (f == 0).any()
    assert torch.isfinite(f).all()


def test_a_row_with_no_positive_projection_is_zero(dictionary):
    one = epkit.Dictionary(
        dictionary.centre, 0.5, dictionary.exemplars[:1], dictionary.means[:1],
        dictionary.counts[:1], dictionary.coherence[:1], dictionary.exemplar_index[:1],
        dictionary.distance_mean[:1], dictionary.distance_std[:1],
    )  # fmt: skip
    opposite = (dictionary.centre - dictionary.means[0])[None]
    f = readouts.top_k(one, opposite, 1, normalise=True)
    assert f.shape == (1, 1)
    assert f._nnz() == 0


@pytest.mark.parametrize("basis", readouts.BASES)
def test_otsu_cut_keeps_the_near_side(dictionary, x, basis):
    _, u, e = parts(dictionary, x, basis)
    cosine = u @ e.T
    wanted = np.zeros_like(cosine)
    for row, value in enumerate(cosine):
        cut = otsu_by_loop((1 - value).astype(np.float32).astype(float), 256)
        near = 1 - value <= cut
        wanted[row, near] = np.maximum(value[near], 0)
    f = readouts.otsu_cut(dictionary, x, basis)
    assert f.is_sparse
    np.testing.assert_allclose(f.to_dense().numpy(), wanted, atol=2e-5)
    assert 0 < f._nnz() < f.numel()


def otsu_by_loop(values, bins):
    """The definition: every cut of the histogram, by variance between classes."""
    counts, edges = np.histogram(values, bins, range=(values.min(), values.max()))
    centres = (edges[1:] + edges[:-1]) / 2
    best, at = -1.0, centres[0]
    for i in range(1, bins):
        a, b = counts[:i].sum(), counts[i:].sum()
        if a and b:
            means = (counts[:i] @ centres[:i]) / a - (counts[i:] @ centres[i:]) / b
            if a * b * means**2 > best * (1 + 1e-12):
                best, at = a * b * means**2, centres[i - 1]
    return at


def rows_of_many_kinds():
    rng = np.random.default_rng(0)
    two = np.where(rng.random((50, 300)) < 0.3, 0.2, 0.8) + 0.05 * rng.normal(size=(50, 300))
    return np.concatenate(
        [two, rng.random((50, 300)), rng.lognormal(size=(50, 300)), rng.normal(size=(50, 300)) ** 3]
    )


@pytest.mark.parametrize("bins", [2, 16, 256])
def test_otsu_thresholds_agree_with_scikit_image(bins):
    values = rows_of_many_kinds()
    got = readouts.otsu_thresholds(torch.tensor(values), bins).numpy()
    for row, threshold in zip(values, got, strict=True):
        counts, edges = np.histogram(row, bins, range=(row.min(), row.max()))
        counts = counts.astype(np.float64)
        wanted = threshold_otsu(hist=(counts, (edges[1:] + edges[:-1]) / 2))
        assert threshold == pytest.approx(wanted, abs=1e-9)


def test_row_histograms_are_numpys():
    values = rows_of_many_kinds()
    got = readouts.row_histograms(torch.tensor(values), 256).numpy()
    for row, counts in zip(values, got, strict=True):
        np.testing.assert_array_equal(counts, np.histogram(row, 256)[0])


def test_otsu_of_a_flat_row_is_its_value():
    values = torch.tensor([[0.25, 0.25, 0.25], [0.0, 0.0, 1.0]])
    got = readouts.otsu_thresholds(values)
    assert got[0] == 0.25
    assert 0 <= got[1] < 1


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("basis", readouts.BASES)
def test_least_squares_is_that_of_the_nearest_regions(dictionary, x, basis, k):
    _, u, e = parts(dictionary, x, basis)
    got = readouts.least_squares(dictionary, x, k, basis, ridge=1e-12).to_dense()
    for row, direction in zip(got.double().numpy(), u, strict=True):
        near = np.argsort(-(e @ direction))[:k]
        wanted = np.linalg.lstsq(e[near].T, direction)[0]
        np.testing.assert_allclose(row[near], wanted, atol=1e-3)
        assert np.count_nonzero(row) <= k


def test_least_squares_decodes_better_than_top_k_and_shares_between_twins(dictionary, x):
    c = dictionary.centre
    left = [
        torch.cosine_similarity(readouts.decode(dictionary, f) - c, x - c).mean()
        for f in (
            readouts.least_squares(dictionary, x, 4),
            readouts.top_k(dictionary, x, 4, of="cosine"),
        )
    ]
    assert left[0] > left[1]
    twins = replace(dictionary, means=dictionary.means[:1].expand(len(dictionary), -1))
    shared = readouts.least_squares(twins, x, 2).to_dense()
    assert shared.isfinite().all()
    assert shared.abs().max() <= 1


@pytest.mark.parametrize("basis", readouts.BASES)
def test_decode_is_its_formula_for_sparse_and_dense(dictionary, x, basis):
    e = dictionary.exemplars if basis == "exemplar" else dictionary.means
    f = readouts.top_k(dictionary, x, 3, basis)
    wanted = f.to_dense().double() @ e.double() + dictionary.centre.double()
    for given in (f, f.to_dense()):
        got = readouts.decode(dictionary, given, basis)
        assert got.shape == x.shape
        torch.testing.assert_close(got.double(), wanted, atol=1e-4, rtol=1e-5)


def test_one_exemplar_decodes_to_itself(dictionary):
    point = dictionary.centre + 2.5 * dictionary.exemplars[3:4]
    f = readouts.top_k(dictionary, point, 1, "exemplar")
    torch.testing.assert_close(readouts.decode(dictionary, f, "exemplar"), point)


def test_blocks_of_rows_change_nothing(dictionary, x, monkeypatch):
    whole = readouts.top_k(dictionary, x, 2).to_dense(), readouts.otsu_cut(dictionary, x).to_dense()
    monkeypatch.setattr(readouts, "ROWS", 7)
    monkeypatch.setattr(nearest, "ROWS", 7)
    torch.testing.assert_close(readouts.top_k(dictionary, x, 2).to_dense(), whole[0])
    torch.testing.assert_close(readouts.otsu_cut(dictionary, x).to_dense(), whole[1])


def test_no_activation_gives_an_empty_readout(dictionary, x):
    for f in (
        readouts.signed(dictionary, x[:0]), readouts.one_hot(dictionary, x[:0]),
        readouts.top_k(dictionary, x[:0], 2), readouts.otsu_cut(dictionary, x[:0]),
        readouts.least_squares(dictionary, x[:0]),
    ):  # fmt: skip
        assert f.shape == (0, len(dictionary))


def test_numpy_and_half_precision_come_in(dictionary, x):
    torch.testing.assert_close(
        readouts.signed(dictionary, x.numpy()), readouts.signed(dictionary, x)
    )
    assert readouts.signed(dictionary, x.half()).dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda d, x: readouts.top_k(d, x, 0), "k must be"),
        (lambda d, x: readouts.top_k(d, x, len(d) + 1), "k must be in 1"),
        (lambda d, x: readouts.top_k(d, x, 2.0), "k must be"),
        (lambda d, x: readouts.top_k(d, x, True), "k must be"),
        (lambda d, x: readouts.top_k(d, x, 2, of="size"), "of must be one of"),
        (lambda d, x: readouts.cosine(d, x, "median"), "basis must be one of exemplar, mean"),
        (lambda d, x: readouts.one_hot(d, x, "median"), "basis must be one of"),
        (lambda d, x: readouts.decode(d, torch.zeros(2, 3)), "a readout f must"),
        (lambda d, x: readouts.decode(d, [1.0]), "a readout f must"),
        (lambda d, x: readouts.signed(d, x[:, :5]), "5 dimensions, expected 12"),
        (lambda d, x: readouts.top_k(d, x[0], 2), "shape"),
        (lambda d, x: readouts.otsu_cut(d, x, bins=1), "bins must be"),
        (lambda d, x: readouts.least_squares(d, x, 0), "k must be"),
        (lambda d, x: readouts.least_squares(d, x, ridge=0), "ridge must be"),
        (lambda d, x: readouts.otsu_thresholds(torch.zeros(2, 0)), "K >= 1"),
        (lambda d, x: readouts.distance(d, x * torch.nan), "finite"),
    ],
)
def test_bad_input_gets_one_sentence(dictionary, x, call, words):
    with pytest.raises((ValueError, TypeError), match=words) as error:
        call(dictionary, x)
    assert "\n" not in str(error.value)
