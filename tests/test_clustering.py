"""Tests of epkit.clustering: the one-at-a-time rule, whatever the batches."""

import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from conftest import mixture
from hypothesis import given, settings
from hypothesis import strategies as st

import epkit
from epkit import clustering, geometry
from epkit.blocks import founders, nearest, products, sizes
from epkit.clustering import LeaderClustering
from epkit.geometry import directions
from epkit.sums import RegionSums


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


def fit(x, centre, threshold, sizes, precision="auto"):
    part = epkit.LeaderClustering(centre, threshold, precision=precision)
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
    precision=st.sampled_from(["single", "half"]),
    asked=st.sampled_from([("cpu",), ()]),
)
def test_equals_the_loop_and_keeps_the_invariants(
    n, dim, seed, spread, threshold, block, precision, asked
):
    x = mixture(n, dim, seed, clusters=4, spread=spread)
    centre = torch.zeros(dim)
    exemplar, region, distance = one_at_a_time(x, centre, threshold)
    with pytest.MonkeyPatch.context() as patch:
        for module in (founders, geometry, nearest):
            patch.setattr(module, "ROWS", block)
        patch.setattr(sizes, "ASKED", asked)  # or sizes are guessed, as on a device
        part = epkit.LeaderClustering(centre, threshold, precision=precision)
        got = [part.fit_directions(u) for u in directions(x, centre).split(17)]
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
    for cut, precision in ((1, "single"), (7, "half"), (512, "half"), (cuts, "single")):
        other = fit(stream, cal.centre, threshold, cut, precision)
        for name, value in vars(whole).items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, getattr(other, name)), (name, cut)


def lattice(n, dim, seed=0):
    """(n, dim) float32 of -1, 0 and 1, no row zero: many duplicates, thousands of exact ties.

    Components of a direction are all 0 or ± the same number, so that a scalar product is a whole
    multiple of one product and exact in float64: ties are ties in any arithmetic.
    """
    x = np.random.default_rng(seed).integers(-1, 2, size=(4 * n, dim))
    return torch.tensor(x[np.abs(x).sum(1) > 0][:n], dtype=torch.float32)


def founded_joined(x, threshold):
    """The one-at-a-time rule over the float32 directions in plain Python floats."""
    exemplar, region = [], []
    rows = directions(x, torch.zeros(x.shape[1])).double().numpy()
    for i, row in enumerate(rows):
        d = 1 - rows[exemplar] @ row if exemplar else np.array([np.inf])
        if d.min() <= threshold:
            region.append(int(np.flatnonzero(d == d.min())[0]))
        else:
            exemplar.append(i)
            region.append(len(exemplar) - 1)
    return exemplar, region


# Distances that pairs really have: rows of 4 and 3, 4 and 2, 3 and 2 non-zero components.
A, B, C = (float(np.float32(1 / np.sqrt(m))) for m in (4, 3, 2))
LATTICES = [
    (x, threshold, *founded_joined(x, threshold))
    for x, threshold in (
        (lattice(2500, 6), 1 - 3 * A * B),
        (lattice(2500, 5, seed=1), 1 - 2 * A * C),
        (lattice(2500, 5), 1 - 2 * B * C),
    )
]


@settings(max_examples=12, deadline=None)
@given(
    which=st.sampled_from(range(len(LATTICES))),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    columns=st.sampled_from([7, 64, 4096]),
    precision=st.sampled_from(["single", "half"]),
    asked=st.sampled_from([("cpu",), ()]),
)
def test_lattices_of_exact_ties_equal_the_loop_for_every_cut(
    which, cuts, columns, precision, asked
):
    x, threshold, exemplar, region = LATTICES[which]
    edges = np.unique(np.clip(np.cumsum([0, *cuts]), 0, len(x)))
    u = directions(x, torch.zeros(x.shape[1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "ASKED", asked)
        patch.setattr(nearest, "COLUMNS", columns)
        patch.setattr(products, "GROUP", min(columns, products.GROUP))
        part = epkit.LeaderClustering(torch.zeros(x.shape[1]), threshold, precision=precision)
        got = [part.fit_directions(block)[0] for block in u.tensor_split(edges[1:].tolist())]
    d = part.dictionary()
    assert d.exemplar_index.tolist() == exemplar
    assert torch.cat(got).tolist() == region
    assert d.counts.tolist() == np.bincount(region).tolist()


def test_thousands_of_ties_are_decided_a_few_at_a_time(monkeypatch):
    sizes, exactly = [], geometry.pairs_distance

    def counted(u, row, v, column):
        sizes.append(len(row))
        return exactly(u, row, v, column)

    for module in (nearest, founders):
        monkeypatch.setattr(module, "pairs_distance", counted)
    monkeypatch.setattr(nearest, "DECIDED", 4)
    x = torch.cat([torch.eye(300), torch.full((50, 300), 0.1)])  # 50 rows tie with 300 exemplars
    d = fit(x, torch.zeros(300), 0.96, len(x))
    assert d.counts.tolist() == [51] + [1] * 299
    assert 300 <= max(sizes) <= 4 * 300


@pytest.mark.parametrize("which", range(len(LATTICES)))
def test_the_lattices_hold_ties_with_the_threshold_and_between_rivals(which):
    x, threshold, exemplar, _ = LATTICES[which]
    u = directions(x, torch.zeros(x.shape[1])).double()
    apart = 1 - u @ u[exemplar].T
    assert (apart == threshold).sum() > 1000
    assert ((apart == apart.amin(1, keepdim=True)).sum(1) > 1).sum() > 100
    assert len(x.unique(dim=0)) < len(x) / 2


@contextmanager
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "setting",
    [lambda: torch.autocast("cpu", torch.bfloat16), torch.inference_mode, float64_by_default],
    ids=["autocast", "inference_mode", "float64_by_default"],
)
def test_the_settings_of_the_session_make_no_difference(stream, setting):
    plain = epkit.LeaderClustering(torch.zeros(24), 0.1)
    other = epkit.LeaderClustering(torch.zeros(24), 0.1)
    plain.partial_fit(stream)
    with setting():
        other.partial_fit(stream[:700])
    other.partial_fit(stream[700:])
    for name, value in plain.state().items():
        assert torch.equal(value, other.state()[name]), name


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
    assert founders.first_independent_set(u, threshold).tolist() == list(range(0, 60, 2))


@pytest.mark.parametrize("asked", [("cpu",), ()])
@pytest.mark.parametrize("precision", ["single", "half"])
def test_several_thresholds_together_give_the_bytes_of_each_alone(
    stream, precision, asked, monkeypatch
):
    monkeypatch.setattr(sizes, "ASKED", asked)
    monkeypatch.setattr(nearest, "COLUMNS", 128)
    cal = epkit.calibrate(stream, [0.5, 2, 10, 40])
    thresholds = list(cal.thresholds.values())
    together = LeaderClustering.several(cal.centre, thresholds, "cpu", precision)
    u = directions(stream, cal.centre)
    first = clustering.fit_together(together, u[:300])
    saved = [part.state() for part in together]
    second = clustering.fit_together(together, u[300:])
    again = LeaderClustering.several(cal.centre, thresholds, "cpu", precision)
    clustering.fit_together(again, u[:500].flip(0))  # a state replaces what was there
    for part, state in zip(again, saved, strict=True):
        part.load_state(state)
    clustering.fit_together(again, u[300:])
    for i, threshold in enumerate(thresholds):
        alone = LeaderClustering(cal.centre, threshold, "cpu", "single")
        region, distance = alone.fit_directions(u)
        assert torch.equal(torch.cat([first[i][0], second[i][0]]), region)
        assert torch.equal(torch.cat([first[i][1], second[i][1]]), distance)
        assert len({part.n_regions for part in together}) == len(thresholds)
        for name, value in alone.state().items():
            assert torch.equal(value, together[i].state()[name]), name
            assert torch.equal(value, again[i].state()[name]), name


def test_what_was_not_made_together_does_not_fit_together(stream):
    parts = [LeaderClustering(torch.zeros(24), t, "cpu") for t in (0.1, 0.2)]
    with pytest.raises(ValueError, match="made together"):
        clustering.fit_together(parts, directions(stream, torch.zeros(24)))


@pytest.mark.parametrize("asked", [("cpu",), ()])
@pytest.mark.parametrize("precision", ["single", "half"])
def test_golden_exemplars_counts_and_assignments(golden, precision, asked, monkeypatch):
    monkeypatch.setattr(sizes, "ASKED", asked)
    arrays, about = golden
    x = arrays["activations"]
    for run in about["runs"]:
        p = run["percentile"]
        part = epkit.LeaderClustering(arrays[f"centre_p{p}"], run["threshold"], precision=precision)
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


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_an_interruption_leaves_whole_blocks(stream, monkeypatch, at, added):
    monkeypatch.setattr(nearest, "ROWS", 200)
    part = epkit.LeaderClustering(torch.zeros(24), 0.3).partial_fit(stream[:100])
    add, calls = RegionSums.add, iter(range(9))

    def interrupted(self, *block):
        if next(calls) == at:
            if added:
                add(self, *block)
            raise KeyboardInterrupt
        add(self, *block)

    with monkeypatch.context() as patch:
        patch.setattr(RegionSums, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            part.partial_fit(stream[100:])
    taken = 100 + 200 * (at + added)
    assert part.n_activations == taken
    straight = epkit.LeaderClustering(torch.zeros(24), 0.3)
    for end in (taken, len(stream)):
        straight.partial_fit(stream[straight.n_activations : end])
        part.partial_fit(stream[part.n_activations : end])
        assert part.n_regions == straight.n_regions
        for name, value in straight.state().items():
            assert torch.equal(value, part.state()[name]), name


def test_an_empty_batch_is_nothing(stream):
    part = epkit.LeaderClustering(torch.zeros(24), 0.5).partial_fit(stream[:0])
    assert part.n_regions == 0
    with pytest.raises(ValueError, match="no activation"):
        part.dictionary()


@pytest.mark.parametrize(
    "threshold", [0, 1e-7, -0.1, 2.1, float("nan"), float("inf"), True, None, "0.5", [0.5]]
)
def test_unusable_thresholds_are_refused(threshold):
    with pytest.raises((ValueError, TypeError), match="threshold"):
        epkit.LeaderClustering(torch.zeros(3), threshold)


def test_numpy_numbers_are_thresholds():
    assert epkit.LeaderClustering(np.zeros(3), np.float32(0.5)).threshold == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "device must be"),
        ({"device": 3}, "device must be"),
        ({"device": "mps"}, "float64"),
        ({"device": "meta"}, "float64"),
        ({"precision": "float16"}, "precision must be"),
        ({"precision": None}, "precision must be"),
        ({"centre": [0.0, 0.0]}, "centre must be"),
        ({"centre": torch.zeros(1, 2)}, r"centre must be.*\(1, 2\)"),
        ({"centre": torch.tensor(0.0)}, "centre must be"),
        ({"centre": torch.tensor([0.0, torch.nan])}, "finite"),
        ({"centre": np.array(["a", "b"])}, "floating point"),
    ],
)
def test_bad_arguments_are_named_in_one_sentence(options, message):
    options = {"centre": torch.zeros(2), "threshold": 0.5} | options
    with pytest.raises((ValueError, TypeError), match=message) as error:
        epkit.LeaderClustering(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "batch",
    [
        [[1.0, 2.0]],
        "text",
        None,
        3.0,
        np.array([[1, 2]]),
        np.array([[True, False]]),
        np.array([[1.0, None]], dtype=object),
        np.ones((1, 2), complex),
        np.ones((1, 2), np.longdouble),
        torch.ones(1, 2).to_sparse(),
        torch.ones(1, 2, dtype=torch.complex64),
        torch.ones(1, 0),
    ],
)
def test_bad_batches_are_named(batch):
    with pytest.raises((ValueError, TypeError), match="activations must"):
        epkit.LeaderClustering(torch.zeros(2), 0.5).partial_fit(batch)


def test_the_first_batch_of_a_process_is_no_slower():
    script = (
        "import time, torch, epkit\n"
        "part = epkit.LeaderClustering(torch.zeros(16), .5)\n"
        "x = torch.randn(64, 16)\n"
        "times = []\n"
        "for _ in range(4):\n"
        "    start = time.process_time(); part.partial_fit(x)\n"
        "    times.append(time.process_time() - start)\n"
        "assert times[0] - min(times) < .1, times\n"
        "assert 'torch._dynamo' not in __import__('sys').modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
