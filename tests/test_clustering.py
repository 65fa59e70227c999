"""Tests of epkit.clustering: the one-at-a-time rule, whatever the batches."""

import numpy as np
import pytest
import torch
from conftest import mixture
from hypothesis import given, settings
from hypothesis import strategies as st

import epkit
from epkit import clustering, geometry
from epkit.geometry import directions


def one_at_a_time(x, centre, threshold):
    """The rule as it is written, in float64 over float32 directions: a plain loop."""
    u = directions(x, centre).double().numpy()
    exemplar, region, distance = [], [], []
    for i, row in enumerate(u):
        d = np.clip(1 - u[exemplar] @ row, 0, 2) if exemplar else np.array([np.inf])
        if d.min() <= threshold:
            region.append(int(d.argmin()))
            distance.append(d.min())
        else:
            exemplar.append(i)
            region.append(len(exemplar) - 1)
            distance.append(0.0)
    return exemplar, np.array(region), np.array(distance)


def fit(x, centre, threshold, sizes):
    part = epkit.LeaderClustering(centre, threshold)
    for batch in x.split(sizes):
        part.partial_fit(batch)
    return part.dictionary()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 120),
    dim=st.integers(2, 6),
    seed=st.integers(0, 999),
    spread=st.floats(0.01, 2),
    threshold=st.floats(0.001, 1.9),
    block=st.integers(1, 40),
)
def test_equals_the_loop_and_keeps_the_invariants(n, dim, seed, spread, threshold, block):
    x = mixture(n, dim, seed, clusters=4, spread=spread)
    centre = torch.zeros(dim)
    exemplar, region, distance = one_at_a_time(x, centre, threshold)
    before = clustering.ROWS
    clustering.ROWS = block
    try:
        part = epkit.LeaderClustering(centre, threshold)
        got = [part.fit_directions(u) for u in directions(x, centre).split(17)]
    finally:
        clustering.ROWS = before
    d = part.dictionary()
    assert d.exemplar_index.tolist() == exemplar
    assert torch.cat([r for r, _ in got]).tolist() == region.tolist()
    np.testing.assert_allclose(torch.cat([s for _, s in got]), distance, atol=1e-6)
    assert d.counts.tolist() == np.bincount(region).tolist()
    assert d.n == n
    apart = geometry.distances(d.exemplars, d.exemplars)
    assert (apart + 9 * torch.eye(len(d)) > threshold - 1e-6).all()
    assert (distance <= threshold).all()
    assert (d.exemplar_index[region] <= torch.arange(n)).all()


@pytest.mark.parametrize("percentile", [0.5, 2, 10, 40])
def test_every_cut_of_the_stream_gives_the_same_bytes(stream, percentile):
    cal = epkit.calibrate(stream, [percentile])
    threshold = cal.thresholds[percentile]
    whole = fit(stream, cal.centre, threshold, len(stream))
    cuts = np.random.default_rng(0).integers(0, 90, size=20).tolist()
    cuts += [len(stream) - sum(cuts)]
    for sizes in (1, 7, 512, cuts):
        other = fit(stream, cal.centre, threshold, sizes)
        for name, value in vars(whole).items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, getattr(other, name)), (name, sizes)


def test_order_of_arrival_decides():
    x = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])  # neighbours are .2 and .04 apart
    forward = fit(x, torch.zeros(2), 0.25, 3)
    backward = fit(x.flip(0), torch.zeros(2), 0.25, 3)
    assert forward.exemplar_index.tolist() == [0, 2]
    assert backward.exemplar_index.tolist() == [0, 2]
    assert torch.allclose(backward.exemplars[0], x[2])
    assert forward.counts.tolist() == [2, 1]


def test_a_founder_of_the_same_batch_wins_when_nearer():
    # Row 2 is within θ of both; row 1 founds first because row 0 is further than θ from it.
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.866]])
    d = fit(x, torch.zeros(2), 0.6, 3)
    assert d.counts.tolist() == [1, 2]


def test_exact_ties_join_the_oldest_region():
    x = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    for size in (1, 3):
        assert fit(x, torch.zeros(3), 0.5, size).counts.tolist() == [2, 1]


def test_a_distance_equal_to_the_threshold_joins():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert len(fit(x, torch.zeros(2), 1.0, 2)) == 1
    assert len(fit(x, torch.zeros(2), 0.9999999, 2)) == 2


def test_independent_set_follows_long_chains():
    angle = torch.arange(200) * 0.1  # each within θ of its neighbours only
    u = torch.stack([angle.cos(), angle.sin()], dim=1)[:60]
    threshold = 1 - np.cos(0.15)
    assert clustering.first_independent_set(u, threshold).tolist() == list(range(0, 60, 2))


def test_golden_exemplars_counts_and_assignments(golden):
    arrays, about = golden
    x = arrays["activations"]
    for run in about["runs"]:
        p = run["percentile"]
        part = epkit.LeaderClustering(arrays[f"centre_p{p}"], run["threshold"])
        for i in range(0, len(x), about["build_batch"]):
            part.partial_fit(x[i : i + about["build_batch"]])
        d = part.dictionary()
        assert d.exemplar_index.tolist() == arrays[f"exemplar_index_p{p}"].tolist()
        assert d.counts.tolist() == arrays[f"online_count_batch1_p{p}"].tolist()
        region, distance = d.assign(x)
        assert region.tolist() == arrays[f"voronoi_assignment_p{p}"].tolist()
        np.testing.assert_allclose(distance, arrays[f"nearest_distance_p{p}"], atol=1e-4)


def test_state_goes_on_to_the_same_bytes(stream):
    cal = epkit.calibrate(stream, [2])
    whole = epkit.LeaderClustering(cal.centre, cal.thresholds[2]).partial_fit(stream)
    first = epkit.LeaderClustering(cal.centre, cal.thresholds[2]).partial_fit(stream[:700])
    state = first.state()
    first.partial_fit(stream[700:])  # the copy must not follow
    second = epkit.LeaderClustering(cal.centre, cal.thresholds[2])
    second.load_state(state)
    second.partial_fit(stream[700:])
    for name, value in whole.state().items():
        assert torch.equal(value, second.state()[name]), name


def test_a_bad_batch_changes_nothing(stream):
    part = epkit.LeaderClustering(torch.zeros(24), 0.5).partial_fit(stream[:100])
    before = part.state()
    for bad in (stream[:5, :7], torch.full((3, 24), torch.nan), torch.zeros(2, 24)):
        with pytest.raises(ValueError, match=r"dimensions|finite|zero"):
            part.partial_fit(torch.cat([stream[:3, : bad.shape[1]], bad]))
    assert all(torch.equal(value, part.state()[name]) for name, value in before.items())


def test_an_empty_batch_is_nothing(stream):
    part = epkit.LeaderClustering(torch.zeros(24), 0.5).partial_fit(stream[:0])
    assert part.n_regions == 0
    with pytest.raises(ValueError, match="no activation"):
        part.dictionary()


@pytest.mark.parametrize("threshold", [0, 1e-7, -0.1, 2.1, float("nan"), float("inf")])
def test_unusable_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match="threshold"):
        epkit.LeaderClustering(torch.zeros(3), threshold)


def test_mps_is_refused():
    with pytest.raises(ValueError, match="float64"):
        epkit.LeaderClustering(torch.zeros(3), 0.5, device="mps")
