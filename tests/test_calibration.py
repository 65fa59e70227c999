"""Tests of epkit.calibration."""

import numpy as np
import pytest
import torch
from conftest import mixture
from hypothesis import given, settings
from hypothesis import strategies as st

import epkit
from epkit.calibration import pair_percentiles
from epkit.geometry import centre_of, directions


def every_distance(x, centre):
    u = directions(x, centre)
    i, j = np.triu_indices(len(u), k=1)
    return (1 - u @ u.T).clamp(0, 2).numpy()[i, j]


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 90),
    dim=st.integers(2, 8),
    seed=st.integers(0, 99),
    percentiles=st.lists(st.floats(0.01, 99.9), min_size=1, max_size=4, unique=True),
)
def test_percentiles_are_those_of_numpy_over_all_pairs(n, dim, seed, percentiles):
    x = mixture(n, dim, seed)
    u = directions(x, centre_of(x))
    expected = np.percentile(every_distance(x, centre_of(x)).astype(float), percentiles)
    np.testing.assert_allclose(pair_percentiles(u, percentiles), expected, atol=2e-6)


def test_many_blocks_and_repeated_values(monkeypatch):
    monkeypatch.setattr(epkit.calibration, "_BLOCK", 64)
    x = mixture(300, 6)
    x = torch.cat([x, x[:150]])  # 150 pairs at distance zero
    expected = np.percentile(every_distance(x, centre_of(x)).astype(float), [0.2, 1, 50, 99])
    found = epkit.calibrate(x, [0.2, 1, 50, 99]).thresholds
    np.testing.assert_allclose(list(found.values()), expected, atol=2e-6)


def test_batches_and_numpy_make_no_difference(stream):
    whole = epkit.calibrate(stream, [1, 5])
    parts = epkit.calibrate((part.numpy() for part in stream.split(77)), [1, 5])
    assert whole.thresholds == parts.thresholds
    assert torch.equal(whole.centre, parts.centre)
    assert whole.n == parts.n == len(stream)
    assert whole.threshold_errors == {1: 0, 5: 0}


def test_a_subset_is_seeded_and_states_its_error(stream):
    exact = epkit.calibrate(stream, [5])
    first = epkit.calibrate(stream, [5], max_rows=700, seed=3)
    again = epkit.calibrate(stream, [5], max_rows=700, seed=3)
    other = epkit.calibrate(stream, [5], max_rows=700, seed=4)
    assert first.thresholds == again.thresholds != other.thresholds
    error = first.threshold_errors[5]
    assert 0 < error < 0.05
    assert abs(first.thresholds[5] - exact.thresholds[5]) < 5 * error
    assert torch.equal(first.centre, exact.centre)


def test_a_shared_centre_is_used(stream):
    centre = torch.full((24,), 1.5)
    cal = epkit.calibrate(stream, [10], centre=centre)
    assert torch.equal(cal.centre, centre)
    np.testing.assert_allclose(
        cal.thresholds[10], np.percentile(every_distance(stream, centre), 10), atol=2e-6
    )


@pytest.mark.parametrize(
    "percentiles", [[0], [100], [-1], [101], [float("nan")], [True], [], [2, 2]]
)
def test_bad_percentiles_are_refused(stream, percentiles):
    with pytest.raises((ValueError, TypeError), match="percentile"):
        epkit.calibrate(stream, percentiles)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.ones(0, 4), "at least two"),
        ([], "at least two"),
        (torch.randn(1, 4), "at least two"),
        (torch.tensor([[1.0, torch.nan]] * 3), "finite"),
        (torch.cat([torch.randn(5, 4), torch.zeros(1, 4)]), "zero"),
        ([torch.randn(5, 4), torch.randn(5, 3)], "differ in dimension"),
        ("text", "iterable"),
        (3, "iterable"),
    ],
)
def test_bad_samples_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        epkit.calibrate(x, [10])


def test_a_zero_threshold_is_refused_with_advice(stream):
    repeated = torch.cat([stream[:1].expand(300, -1), stream[:200]])
    with pytest.raises(ValueError, match=r"percentile 1, 5 is zero.*Drop the repeated positions"):
        epkit.calibrate(repeated, [1, 5, 50])


def test_golden_thresholds_and_centre(golden):
    """The author averages each percentile over calibration batches, with one centre for all."""
    arrays, about = golden
    x = arrays["activations"]
    percentiles = [run["percentile"] for run in about["runs"]]
    centre = epkit.calibrate(x, percentiles).centre
    batches = [
        epkit.calibrate(x[i : i + about["calibration_batch"]], percentiles, centre=centre)
        for i in range(0, len(x), about["calibration_batch"])
    ]
    for run in about["runs"]:
        p = run["percentile"]
        threshold = np.mean([batch.thresholds[p] for batch in batches])
        assert threshold == pytest.approx(run["threshold"], abs=1e-6)
        np.testing.assert_allclose(centre, arrays[f"centre_p{p}"], atol=1e-4)
