"""Growth: the builds' own exemplars, prefixes, verdicts."""

import numpy as np
import pytest
import torch
from conftest import mixture
from fake_stream import FakeStream
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from epkit import LeaderClustering, build_from, calibrate
from epkit.blocks.nearest import nearest
from epkit.geometry import directions
from epkit.studies.saturation.growth import (
    doubling_reached,
    founding_rows,
    grow,
    growth_state,
    prefix_regions,
    regions_at,
    stream_length,
)
from epkit.studies.saturation.orders import revisited


@pytest.fixture(scope="module")
def x():
    return mixture(1500, 24)


@pytest.fixture(scope="module")
def cal(x):
    return calibrate(x, [4, 8])


@pytest.fixture(scope="module")
def u(x, cal):
    return directions(x, cal.centre)


@pytest.fixture(scope="module")
def grown(u, cal):
    return grow(u, cal, 4)


def leaders(u, threshold):
    """Where `LeaderClustering` founds."""
    part = LeaderClustering(torch.zeros(u.shape[1]), threshold, "cpu")
    part.fit_directions(u)
    return part.dictionary().exemplar_index


@settings(max_examples=60, deadline=None)
@given(
    points=hnp.arrays(
        np.int8, st.tuples(st.integers(1, 80), st.integers(2, 4)), elements=st.integers(-2, 2)
    ).filter(lambda x: x.any(axis=1).all()),
    cosine=st.sampled_from([0.0, 0.5, 0.6, 0.8, 0.9, 1 / 2**0.5]),
    copies=st.integers(1, 40),
)
def test_founders_are_those_of_the_leader_rule_with_many_exact_ties(points, cosine, copies):
    u = torch.nn.functional.normalize(torch.from_numpy(points).double(), dim=1).float()
    u = u.repeat(copies, 1)
    assert torch.equal(founding_rows(u, 1 - cosine), leaders(u, 1 - cosine))


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.7, 1.2])
def test_founders_are_those_of_the_leader_rule_over_many_blocks(threshold):
    u = directions(mixture(4000, 16, seed=3), torch.ones(16))
    found = founding_rows(u, threshold)
    assert torch.equal(found, leaders(u, threshold))
    assert (found.diff() > 0).all()


def test_growing_is_building(x, cal, grown):
    stream = FakeStream({5: x})
    built = build_from(
        stream, [4], len(x), calibrations={5: cal}, checkpoint=False, keep=False,
        show_progress=False,
    )[5, 4]  # fmt: skip
    built = built.to("cpu")
    assert torch.equal(built.exemplar_index, grown.exemplar_index)
    assert torch.equal(built.exemplars, grown.exemplars)
    assert not grown.counts.any()
    assert stream_length(built) == stream_length(grown) == len(x)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 1500))
def test_a_prefix_is_a_build_on_the_prefix(u, cal, grown, n):
    part = LeaderClustering(cal.centre, cal.thresholds[4], "cpu")
    part.fit_directions(u[:n])
    short = part.dictionary()
    assert regions_at(grown, n) == len(short)
    assert torch.equal(grown.exemplar_index[: len(short)], short.exemplar_index)
    assert torch.equal(prefix_regions(grown, u, n), nearest(u[:n], short.exemplars)[0])


def test_regions_never_fall_and_end_at_k(grown):
    curve = [regions_at(grown, n) for n in range(len(grown.exemplar_index) + 1, 1501, 7)]
    assert curve == sorted(curve)
    assert (regions_at(grown, 0), regions_at(grown, 1)) == (0, 1)
    assert regions_at(grown, 1500) == len(grown)


def test_growth_refuses_what_is_not_there(u, cal, grown):
    with pytest.raises(ValueError, match="no percentile 3"):
        grow(u, cal, 3)
    with pytest.raises(ValueError, match=r"n must lie in 0 … 1,500"):
        regions_at(grown, 1501)


def founded_at(like, positions, n):
    """A dictionary whose regions were founded at the given positions of a stream of n."""
    k = torch.tensor(positions)
    parts = {
        name: getattr(like, name)[:1].repeat(len(k), *[1] * (getattr(like, name).ndim - 1))
        for name in ("exemplars", "means", "coherence", "distance_mean", "distance_std")
    }
    counts = torch.ones(len(k), dtype=torch.int64)
    return like.__class__(
        like.centre, like.threshold, exemplar_index=k, counts=counts,
        metadata={"n_activations": n}, **parts,
    )  # fmt: skip


def test_the_verdict_follows_the_second_half(grown):
    fresh = torch.zeros(10_000, dtype=torch.bool)
    early = list(range(100))
    none = growth_state(founded_at(grown, early, 10_000), fresh)
    assert (none.state, none.quiet) == ("saturated", 9_900)
    assert none.gain == (0.0, 0.0, pytest.approx(0.03689, abs=1e-5))  # Garwood: 3.689 / 100
    some = growth_state(founded_at(grown, [*early, *range(6000, 6010)], 10_000), fresh)
    assert some.state == "undecided"
    assert some.gain == pytest.approx((0.10, 0.0480, 0.1839), abs=1e-4)
    many = growth_state(founded_at(grown, [*early, *range(6000, 6030)], 10_000), fresh)
    assert many.state == "growing"
    assert str(many) == "growing: the second half added 30% [20%, 43%]"
    strict = growth_state(founded_at(grown, early, 10_000), fresh, tolerance=0.03)
    assert strict.state == "undecided"


def test_a_doubling_that_adds_nothing_is_reached_when_it_is_beyond_doubt(grown):
    early = list(range(100))
    flat = founded_at(grown, early, 10_000)
    assert doubling_reached(flat) == int(10_000 / 2 ** (13 / 4))  # the first look from 1,000 on
    late = founded_at(grown, [*early, 4000, 4001, 4002, 4003, 4004, 4005], 10_000)
    assert doubling_reached(late) == doubling_reached(flat)  # what comes later is not known then
    spread = founded_at(grown, list(range(0, 10_000, 50)), 10_000)
    assert doubling_reached(spread) is None
    assert doubling_reached(founded_at(grown, list(range(30)), 10_000)) is None
    assert doubling_reached(founded_at(grown, list(range(30)), 10_000), tolerance=0.2) is not None


def test_few_regions_cannot_be_called_saturated(grown):
    few = growth_state(founded_at(grown, list(range(30)), 10_000), torch.zeros(10_000).bool())
    assert few.state == "undecided"  # none founded in 5,000, yet up to 3.7 of 30 could have been


def test_repeating_a_small_corpus_is_flagged_not_saturated(u, cal):
    small = torch.arange(300)
    token = torch.randperm(5000, generator=torch.Generator().manual_seed(1))[:300]
    order = small.repeat(5)
    repeated = grow(u[order], cal, 4)
    assert len(repeated) == regions_at(repeated, 300)  # the trap: nothing is founded any more
    window = torch.arange(1500) // 50
    blind = growth_state(repeated, torch.zeros(1500, dtype=torch.bool), tolerance=0.2)
    assert blind.state == "saturated"
    guarded = growth_state(repeated, revisited(token[order], window), tolerance=0.2)
    assert guarded.state == "revisits"
    assert str(guarded) == "revisits: 100% of the second half was read before"


def test_a_verdict_needs_its_own_stream(grown):
    with pytest.raises(ValueError, match="must have the stream's length, 1,500"):
        growth_state(grown, torch.zeros(10, dtype=torch.bool))


def test_a_quiet_window_comes_sooner_or_later_to_endless_growth(grown):
    """Founding at rate b / n: the fixed window is passed, the verdict keeps saying growing."""
    rng = np.random.default_rng(0)
    positions = np.flatnonzero(rng.random(200_000) < 40 / (np.arange(200_000) + 40))
    d = founded_at(grown, positions.tolist(), 200_000)
    assert d.saturated_at(2_000) is not None
    assert growth_state(d, torch.zeros(200_000, dtype=torch.bool)).state in ("growing", "undecided")
    later = regions_at(d, 200_000) - regions_at(d, d.saturated_at(2_000))
    assert later > 20
