"""Saturation: orders, prefixes, repetition, verdicts; estimators on partitions of known size."""

import numpy as np
import pytest
import torch
from conftest import mixture
from fake_stream import FakeStream
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from epkit import LeaderClustering, build_from, calibrate
from epkit.geometry import directions, nearest
from epkit.stats import Interval
from epkit.studies.saturation.growth import (
    chao1,
    chao2,
    document_blocks,
    document_orders,
    extrapolate,
    grow,
    growth_state,
    prefix_regions,
    regions_at,
    revisited,
    stream_length,
)


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


# ---- streams and their orders -------------------------------------------------------------------


def test_orders_move_whole_documents():
    document = torch.tensor([4, 4, 4, 7, 7, 1, 1, 1, 1])
    orders = document_orders(document, 6, seed=3)
    assert orders[0].tolist() == list(range(9))
    for order in orders:
        assert order.sort().values.tolist() == list(range(9))
        moved = document[order]
        assert len(torch.unique_consecutive(moved)) == 3
        for name in (4, 7, 1):
            assert (order[moved == name].diff() == 1).all()
    assert len({tuple(order.tolist()) for order in orders}) > 2
    again = document_orders(document, 6, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(orders, again, strict=True))


def test_blocks_are_disjoint_and_share_no_document():
    document = torch.arange(20).repeat_interleave(torch.arange(20) % 5 + 1)
    blocks = document_blocks(document, 4, 7)
    assert [len(block) for block in blocks] == [7] * 4
    names = [set(document[block].tolist()) for block in blocks]
    assert all(not a & b for i, a in enumerate(names) for b in names[:i])
    for block in blocks:
        assert block[0] == 0 or document[block[0]] != document[block[0] - 1]
        assert (block.diff() == 1).all()


def test_bad_documents_blocks_and_orders_are_named():
    with pytest.raises(ValueError, match="lies in two places"):
        document_orders(torch.tensor([1, 2, 1]), 2)
    with pytest.raises(ValueError, match="no activations"):
        document_orders(torch.tensor([]), 2)
    with pytest.raises(ValueError, match="n_orders must be at least 1"):
        document_orders(torch.tensor([1]), 0)
    with pytest.raises(ValueError, match=r"3 blocks of 4 activations do not fit into 10 .* 2 do"):
        document_blocks(torch.arange(10), 3, 4)
    with pytest.raises(ValueError, match="at least 1"):
        document_blocks(torch.arange(10), 0, 4)


# ---- growth -------------------------------------------------------------------------------------


def test_growing_is_building(x, cal, grown):
    stream = FakeStream({5: x})
    built = build_from(
        stream, [4], len(x), calibrations={5: cal}, checkpoint=False, keep=False,
        show_progress=False,
    )[5, 4]  # fmt: skip
    assert torch.equal(built.exemplar_index, grown.exemplar_index)
    assert torch.equal(built.exemplars, grown.exemplars)
    assert torch.equal(built.counts, grown.counts)
    assert stream_length(built) == stream_length(grown) == len(x)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 1500))
def test_a_prefix_is_a_build_on_the_prefix(u, cal, grown, n):
    part = LeaderClustering(cal.centre, cal.thresholds[4])
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


# ---- repetition ---------------------------------------------------------------------------------


def ids(*documents):
    """Token and window tensors of documents given as lists of ids, one window each."""
    token = torch.tensor([t for document in documents for t in document])
    sizes = torch.tensor([len(document) for document in documents])
    return token, torch.arange(len(documents)).repeat_interleave(sizes)


def test_text_read_again_is_found_wherever_its_windows_are_cut():
    text = torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:120]
    twice = text.repeat(2)
    for size in (40, 50):  # 50 does not divide 120: the second reading is cut elsewhere
        found = revisited(twice, torch.arange(240) // size, span=8)
        assert not found[:100].any()
        assert found[120:].double().mean() > 0.9
    assert revisited(twice, torch.arange(240) // 40, span=8).sum() == 120


def test_a_repeated_phrase_inside_one_window_is_no_revisit():
    token, window = ids([1] * 30, list(range(10, 40)))
    assert not revisited(token, window, span=8).any()
    token, window = ids([1] * 30, [1] * 30)
    assert revisited(token, window, span=8).tolist() == [False] * 30 + [True] * 30


def test_only_the_repeated_stretch_is_marked():
    shared = list(range(500, 510))
    token, window = ids([*range(20), *shared], [*range(50, 65), *shared, *range(70, 80)])
    assert revisited(token, window, span=8).nonzero()[:, 0].tolist() == list(range(45, 55))
    assert not revisited(token, window, span=11).any()


def test_windows_shorter_than_the_span_are_compared_whole():
    token, window = ids([5, 6], [5, 6, 7], [5, 6], [6])
    assert revisited(token, window, span=8).tolist() == [False] * 5 + [True, True] + [False]
    assert len(revisited(torch.tensor([]), torch.tensor([]))) == 0


def test_revisits_need_a_window_for_every_token():
    with pytest.raises(ValueError, match="one window per token"):
        revisited(torch.arange(3), torch.arange(2))
    with pytest.raises(ValueError, match="span"):
        revisited(torch.arange(3), torch.arange(3), span=0)


@settings(max_examples=50, deadline=None)
@given(
    token=hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 3)),
    size=st.integers(1, 9),
    span=st.integers(1, 5),
)
def test_revisits_by_the_definition(token, size, span):
    window = np.arange(len(token)) // size
    parts = [token[window == w].tolist() for w in range(window[-1] + 1)]
    spans = [
        [tuple(p[i : i + span]) for i in range(max(1, len(p) - span + 1))] for p in parts
    ]  # one span, the whole window, where it is shorter
    expected, seen = [], set()
    for part, own in zip(parts, spans, strict=True):
        marks = [False] * len(part)
        for i, key in enumerate(own):
            if key in seen:
                marks[i : i + span] = [True] * len(marks[i : i + span])
        seen |= set(own)
        expected += marks
    found = revisited(torch.from_numpy(token), torch.from_numpy(window), span)
    assert found.tolist() == expected


# ---- the verdict --------------------------------------------------------------------------------


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


# ---- estimators ---------------------------------------------------------------------------------


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
