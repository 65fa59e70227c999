"""Tests of epkit.partition."""

import sys

import numpy as np
import pytest
import torch
from conftest import mixture
from hypothesis import given, settings
from hypothesis import strategies as st

import epkit
from epkit.partition import partition_at, stream_order

MODULE = sys.modules["epkit.partition"]  # `epkit.partition` itself is the function
PERCENTILES = st.lists(
    st.sampled_from([0.5, 1, 4, 10, 33.3, 80]), min_size=1, max_size=3, unique=True
)


def by_hand(x, percentiles, order, *, centre=None, recount=True):
    """The three steps as one would write them."""
    calibration = epkit.calibrate(x, percentiles, centre=centre)
    made = {}
    for p in percentiles:
        part = epkit.LeaderClustering(calibration.centre, calibration.thresholds[p])
        made[p] = part.partial_fit(x[order]).dictionary()
        if recount:
            made[p] = made[p].recount(x)
    return made


def assert_same(a, b):
    assert list(a) == list(b)
    for p in a:
        assert a[p].threshold == b[p].threshold
        for name, value in vars(a[p]).items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, getattr(b[p], name)), (p, name)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(4, 300),
    dim=st.integers(6, 12),  # in few dimensions two activations may be alike, and θ zero
    seed=st.integers(0, 99),
    percentiles=PERCENTILES,
    order=st.one_of(st.none(), st.integers(0, 99)),
    recount=st.booleans(),
    given_centre=st.booleans(),
    block=st.sampled_from([1, 7, 64, 1 << 16]),
)
def test_it_is_calibrate_cluster_recount_byte_for_byte(
    n, dim, seed, percentiles, order, recount, given_centre, block
):
    x = mixture(n, dim, seed)
    centre = torch.full((dim,), 0.3) if given_centre else None
    rows = stream_order(n, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_BLOCK", block)
        found = epkit.partition(x, percentiles, centre=centre, order=order, recount=recount)
    assert_same(found, by_hand(x, percentiles, rows, centre=centre, recount=recount))
    for p, d in found.items():
        assert d.metadata["percentile"] == p
        assert d.metadata["order"] == order
        assert d.n == n
        founders = x[rows[d.exemplar_index]]  # the documented way back
        torch.testing.assert_close(d.directions(founders), d.exemplars, atol=0, rtol=0)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(4, 200), seed=st.integers(0, 99), kind=st.sampled_from(["torch", "numpy"]))
def test_the_identity_and_the_permutation_of_a_seed_are_the_same_as_naming_them(n, seed, kind):
    x = mixture(n, 6, seed)
    as_kind = {"torch": lambda rows: rows, "numpy": lambda rows: rows.numpy().astype(np.int32)}
    identity, drawn = (as_kind[kind](stream_order(n, order)) for order in (None, seed))
    assert_same(epkit.partition(x, [10]), epkit.partition(x, [10], order=identity))
    given_order = epkit.partition(x, [10], order=drawn)
    assert_same(epkit.partition(x, [10], order=seed), given_order)
    assert given_order[10].metadata["order"] == "given"


@settings(max_examples=20, deadline=None)
@given(dtype=st.sampled_from(["float16", "float32", "float64"]), seed=st.integers(0, 9))
def test_numpy_and_torch_of_any_float_make_no_difference(dtype, seed):
    x = mixture(120, 8, seed).numpy().astype(dtype)
    assert_same(epkit.partition(x, [2, 10]), epkit.partition(torch.as_tensor(x), [2, 10]))


def test_a_ready_calibration_is_used_as_it_is(stream):
    calibration = epkit.calibrate(stream[:400], [1, 5])
    found = epkit.partition(stream, [5], calibration=calibration, recount=False)
    part = epkit.LeaderClustering(calibration.centre, calibration.thresholds[5])
    assert_same(found, {5: part.partial_fit(stream).dictionary()})


def test_the_seed_is_that_of_the_calibration_sample(stream, monkeypatch):
    asked = []

    def calibrate(x, percentiles, **options):
        asked.append(options["seed"])
        return epkit.calibrate(x, percentiles, **options)

    monkeypatch.setattr(MODULE, "calibrate", calibrate)
    epkit.partition(stream, [10], seed=np.int64(7))
    assert asked == [7]


@pytest.mark.parametrize(
    "order",
    [
        list(range(39)),  # one missing
        [0, *range(39)],  # one twice
        [*range(39), 40],  # none of the rows
        [-1, *range(1, 40)],
        torch.arange(40)[None],
        torch.tensor(3),
        torch.zeros(0, dtype=torch.int64),
    ],
    ids=str,
)
def test_what_is_no_permutation_is_refused(order):
    with pytest.raises(ValueError, match="every row from 0 to 39 once"):
        epkit.partition(mixture(40, 4), [10], order=order)


@pytest.mark.parametrize(
    "order",
    [True, 1.0, "12", torch.linspace(0, 1, 40), torch.ones(40, dtype=torch.bool), {1, 2}],
    ids=str,
)
def test_an_order_of_the_wrong_type_is_refused(order):
    with pytest.raises(TypeError, match="order must be"):
        epkit.partition(mixture(40, 4), [10], order=order)


X = mixture(40, 4)
CALIBRATION = epkit.calibrate(X, [10])


@pytest.mark.parametrize(
    ("x", "options", "error", "says"),
    [
        ([[1.0, 2.0]], {}, ValueError, "must be a torch tensor or a numpy array"),
        (X[0], {}, ValueError, r"shape \(N, D\)"),
        (X.long(), {}, ValueError, "floating point"),
        (X[:0], {"calibration": CALIBRATION}, ValueError, "x has no rows"),
        (X[:0], {}, ValueError, "x has no rows"),
        (X[:1], {}, ValueError, "at least two"),
        (X[:, :3], {"calibration": CALIBRATION}, ValueError, "3 dimensions, expected 4"),
        (X * torch.inf, {"calibration": CALIBRATION}, ValueError, "finite"),
        (X, {"centre": torch.zeros(3)}, ValueError, "expected 4"),
        (X, {"calibration": CALIBRATION, "centre": X[0]}, ValueError, "not both"),
        (X, {"calibration": {10: 0.5}}, TypeError, "must be a Calibration, got dict"),
        (X, {"percentiles": [10, 20], "calibration": CALIBRATION}, ValueError, "percentile 20"),
        (X, {"percentiles": []}, ValueError, "percentiles is empty"),
        (X, {"seed": "a"}, TypeError, "seed must be a whole number"),
        (X, {"seed": -1}, ValueError, "seed must be"),
        (X, {"order": -1}, ValueError, "order must be"),
        (X, {"device": 3}, TypeError, "device must be"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(x, options, error, says):
    options = {"percentiles": [10]} | options
    with pytest.raises(error, match=says) as caught:
        epkit.partition(x, **options)
    assert "\n" not in str(caught.value)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(20, 300),
    seed=st.integers(0, 99),
    k=st.integers(1, 400),
    steps=st.integers(1, 14),
    span=st.sampled_from([(0.05, 50), (0.5, 20), (3, 4)]),
    order=st.one_of(st.none(), st.integers(0, 99)),
)
def test_the_nearest_k_of_all_that_were_tried(n, seed, k, steps, span, order):
    x, (low, high) = mixture(n, 8, seed), span
    found = epkit.percentile_for(x, k, low=low, high=high, steps=steps, order=order)
    assert 1 <= len(found.tried) <= steps
    assert len({p for p, *_ in found.tried}) == len(found.tried)
    gaps = [abs(size - k) for _, _, size in found.tried]
    assert abs(len(found.dictionary) - k) == min(gaps)
    for p, threshold, size in found.tried:
        assert low <= p <= high
        d = epkit.partition(x, [p], order=order)[p]
        assert (len(d), d.threshold) == (size, threshold)
        if p == found.percentile:
            assert_same({p: d}, {p: found.dictionary})
    again = epkit.percentile_for(x, k, low=low, high=high, steps=steps, order=order)
    assert again.tried == found.tried


@pytest.mark.parametrize("k", [1, 10**6])
def test_a_k_beyond_reach_is_nearest_at_an_end(k):
    x = mixture(400, 8, 0)
    found = epkit.percentile_for(x, k, low=0.5, high=30)
    ends = epkit.partition(x, [0.5, 30])
    assert len(ends[30]) > 1
    assert found.percentile == (30 if k == 1 else 0.5)
    assert len(found.dictionary) == len(ends[found.percentile])
    assert len(found.tried) <= 4


@pytest.mark.parametrize("k", [20, 60, 150])
def test_it_comes_near(k):
    found = epkit.percentile_for(mixture(2000, 8, 1), k, recount=False)
    assert abs(len(found.dictionary) - k) <= max(1, 0.05 * k)


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0}, {"k": 2.5}, {"k": True}, {"steps": 0}, {"low": 0}, {"low": 50}, {"high": 100},
        {"high": "much"}, {"calibration": None}, {"percentiles": [1]}, {"order": "x"},
        {"centre": torch.zeros(3)}, {"x": torch.zeros(0, 8)},
    ],
)  # fmt: skip
def test_a_search_that_cannot_be_gets_one_sentence(options):
    with pytest.raises((ValueError, TypeError)) as error:
        epkit.percentile_for(**{"x": mixture(50, 8, 0), "k": 5} | options)
    assert "\n" not in str(error.value)


ROWS_AT = mixture(400, 12)


@pytest.mark.parametrize("order", [None, 3, "given"])
@pytest.mark.parametrize("recount", [True, False])
def test_at_a_known_threshold_it_is_the_partition_of_that_threshold(order, recount):
    order = torch.arange(len(ROWS_AT)).flip(0) if order == "given" else order
    known = epkit.calibrate(ROWS_AT, [4])
    threshold, centre = known.thresholds[4], known.centre
    found = partition_at(ROWS_AT, threshold, centre, order=order, recount=recount)
    same = epkit.partition(ROWS_AT, [4], order=order, calibration=known, recount=recount)[4]
    for name in ("exemplars", "exemplar_index", "means", "counts", "coherence"):
        assert torch.equal(getattr(found, name).cpu(), getattr(same, name).cpu())
    assert found.metadata["order"] == same.metadata["order"]


def test_another_order_at_the_same_threshold_where_the_dictionary_is(far):
    x = mixture(600, 16)
    d = epkit.partition(x, [8], device="cpu")[8]
    again = partition_at(x, d.threshold, d.centre, order=1)
    assert again.threshold == d.threshold
    assert not torch.equal(again.exemplars[:3], d.exemplars[:3])
    there = partition_at(x, d.threshold, d.centre.to(far), order=1, device=far)
    assert there.exemplars.device.type == far.type
    torch.testing.assert_close(there.exemplars.cpu(), again.exemplars, atol=1e-5, rtol=0)
