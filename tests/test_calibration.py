"""Tests of epkit.calibration."""

import subprocess
import sys

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


@pytest.mark.parametrize("percentiles", [[0.01, 50, 99.99], [25, 75]])
def test_equal_distances_and_few_pairs_are_exact(percentiles):
    for x in (torch.eye(40), torch.eye(3)[:2], torch.eye(5).repeat(20, 1) + 1e-3):
        u = directions(x, torch.zeros(x.shape[1]))
        expected = np.percentile(
            every_distance(x, torch.zeros(x.shape[1])).astype(float), percentiles
        )
        assert pair_percentiles(u, percentiles) == pytest.approx(expected.tolist(), abs=1e-12)


def test_percentiles_are_exact_to_the_bit(monkeypatch):
    monkeypatch.setattr(epkit.calibration, "_BLOCK", 50)
    u = directions(mixture(200, 6), torch.zeros(6))
    values = torch.cat(list(epkit.calibration._pair_bits(u))).view(torch.float32)
    wanted = np.linspace(0.5, 99.5, 40)
    expected = np.percentile(values.double(), wanted)
    assert pair_percentiles(u, wanted.tolist()) == pytest.approx(expected.tolist(), rel=1e-15)


def test_memory_is_bounded_where_most_distances_are_nearly_equal():
    """Two tight clusters of 3,500: 24 million pairs, half of them in one bin of any histogram."""
    script = """
import resource, torch
from epkit.calibration import pair_percentiles
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
u = torch.eye(4)[:2].repeat(3_500, 1) + 1e-6 * torch.randn(7_000, 4)
u /= u.norm(dim=1, keepdim=True)
pair_percentiles(u[:10], [1])
before = peak()
low, high = pair_percentiles(u, [1, 75])
assert low < 1e-4 < .99 < high < 1.01, (low, high)
assert peak() - before < 200, peak() - before
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_rows": 1}, "max_rows must be at least 4"),
        ({"max_rows": 10.5}, "max_rows must be a whole number"),
        ({"max_rows": True}, "max_rows must be a whole number"),
        ({"seed": -1}, "seed must be"),
        ({"seed": None}, "seed must be"),
        ({"device": "gpu"}, "device must be"),
        ({"device": "mps"}, "float64"),
        ({"centre": [0.0] * 24}, "centre must be"),
        ({"centre": torch.zeros(1, 24)}, "centre must be"),
        ({"centre": torch.zeros(7)}, "7 dimensions, expected 24"),
        ({"centre": torch.full((24,), torch.inf)}, "finite"),
    ],
)
def test_bad_arguments_are_named_in_one_sentence(stream, options, message):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        epkit.calibrate(stream, [5], **options)
    assert "\n" not in str(error.value)


def test_numpy_and_torch_numbers_are_numbers(stream):
    expected = list(epkit.calibrate(stream, [2, 5]).thresholds.values())
    for percentiles in (np.array([2, 5]), torch.tensor([2.0, 5.0]), (np.float32(2), np.int8(5))):
        cal = epkit.calibrate(stream, percentiles, max_rows=np.int64(9999), seed=np.int32(0))
        assert list(cal.thresholds.values()) == expected


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
    "percentiles",
    [[0], [100], [-1], [101], [float("nan")], [True], [], [2, 2], 5, "5", ["5"], [[2, 3]], None],
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
