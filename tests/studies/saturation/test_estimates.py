"""Estimators on partitions of known size, and the two laws of growth."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from epkit import calibrate
from epkit.geometry import directions
from epkit.stats import Interval
from epkit.studies.saturation.estimates import chao1, chao2, extrapolate
from epkit.studies.saturation.growth import grow, prefix_regions, regions_at


def draws(weights, n, seed):
    """Counts of classes in n independent draws."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.multinomial(n, weights / weights.sum()))


def test_chao1_by_hand():
    # K 5, f1 2, f2 1: 5 + 2·1 / (2·2); zeros count for nothing
    assert chao1(torch.tensor([1, 1, 2, 5, 9, 0])).value == 5.5
    assert chao1(torch.tensor([3, 4])) == Interval(2.0, 2.0, 2.0)
    # f2 0 (EstimateS, equation 7): 4 + 3, variance 3 + 3·25/4 − 81/(4·7)
    got = chao1(torch.tensor([1, 1, 1, 7]))
    variance = 3 + 3 * 25 / 4 - 81 / 28
    factor = np.exp(1.96 * np.sqrt(np.log1p(variance / 9)))
    assert got == pytest.approx((7, 4 + 3 / factor, 4 + 3 * factor))
    with pytest.raises(ValueError, match="at least one seen class"):
        chao1(torch.zeros(4))


def test_chao1_of_equal_classes_is_right_and_its_interval_covers():
    weights = np.ones(300)
    got = [chao1(draws(weights, 450, seed)) for seed in range(200)]
    assert np.mean([e.value for e in got]) == pytest.approx(300, rel=0.03)
    covered = np.mean([e.low <= 300 <= e.high for e in got])
    assert 0.9 <= covered <= 0.99
    assert np.mean([int((draws(weights, 450, s) > 0).sum()) for s in range(20)]) < 250


def test_chao1_of_unequal_classes_is_a_lower_bound():
    weights = 1 / np.arange(1, 301) ** 1.2
    got = np.array([chao1(draws(weights, 450, seed)).value for seed in range(100)])
    seen = np.array([int((draws(weights, 450, seed) > 0).sum()) for seed in range(100)])
    assert (got >= seen).all()
    assert seen.mean() < got.mean() < 0.9 * 300


def clumped(seed, classes=200, documents=120, topics=3, length=40):
    """Documents that each draw all their tokens from a few classes of their own."""
    rng = np.random.default_rng(seed)
    own = rng.integers(classes, size=(documents, topics))
    region = np.take_along_axis(own, rng.integers(topics, size=(documents, length)), axis=1)
    document = np.arange(documents).repeat(length)
    return torch.from_numpy(region.ravel()), torch.from_numpy(document)


def test_documents_that_clump_mislead_chao1_and_not_chao2():
    by_count, by_document, covered = [], [], []
    for seed in range(60):
        region, document = clumped(seed)
        seen = len(region.unique())
        by_count.append(chao1(region.bincount()).value)
        estimate = chao2(region, document)
        by_document.append(estimate.value)
        covered.append(estimate.low <= 200 <= estimate.high)
        assert by_count[-1] == pytest.approx(seen, rel=0.02)  # sees no rare class
    assert np.mean(by_count) < 175
    assert np.mean(by_document) == pytest.approx(200, rel=0.04)
    assert np.mean(covered) >= 0.88


def test_chao2_counts_documents_by_hand():
    region = torch.tensor([0, 0, 1, 1, 2, 3])
    document = torch.tensor([0, 0, 0, 1, 1, 2])
    # in one document: 0, 2, 3; in two: 1; three documents
    assert chao2(region, document).value == pytest.approx(4 + 2 / 3 * 3 * 2 / 4)


def test_regions_of_a_continuum_are_no_fixed_classes():
    """Where the leader rule meets heavy tails, Chao's estimates are passed; the laws hold K."""
    rng = np.random.default_rng(0)
    scale = np.arange(1, 25) ** -0.7
    x = torch.tensor(rng.normal(size=(8000, 24)) * scale, dtype=torch.float32)
    cal = calibrate(x[:2000], [8])
    u = directions(x, cal.centre)
    orders = [torch.from_numpy(rng.permutation(8000)) for _ in range(4)]
    grown = [grow(u[order], cal, 8) for order in orders]
    k = [np.mean([regions_at(d, n) for d in grown]) for n in (2000, 4000, 8000)]
    guess = [
        chao1(prefix_regions(d, u[order], 4000).bincount()).value
        for d, order in zip(grown, orders, strict=True)
    ]
    assert np.mean(guess) < 0.85 * k[2]
    low, high = extrapolate(k[0], k[1])[1:]
    assert 0.95 * low <= k[2] <= 1.05 * high


@given(
    half=st.floats(1, 1e4),
    more=st.floats(0, 3),
    factor=st.floats(1, 64),
)
def test_extrapolation_is_ordered_and_grows(half, more, factor):
    whole = half * (1 + more)
    value, low, high = extrapolate(half, whole, factor)
    assert whole * (1 - 1e-12) <= low <= value * (1 + 1e-9)
    assert value <= high * (1 + 1e-9)
    further = extrapolate(half, whole, 2 * factor)
    assert further.low >= low * (1 - 1e-12)
    assert further.high >= high * (1 - 1e-12)


def test_extrapolation_of_the_two_laws_is_exact():
    assert extrapolate(80, 100, 4).low == pytest.approx(140)  # 20 regions a doubling
    assert extrapolate(80, 100, 4).high == pytest.approx(156.25)  # × 1.25 a doubling
    assert extrapolate(100, 100, 8) == (100, 100, 100)
    assert extrapolate(80, 100, 1) == (100, 100, 100)
    for bad in [(0, 1, 2), (2, 1, 2), (1, 2, 0.5)]:
        with pytest.raises(ValueError, match="0 < half"):
            extrapolate(*bad)
