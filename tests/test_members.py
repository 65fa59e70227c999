"""Tests of epkit.members."""

import numpy as np
import pytest
import torch

from epkit.members import KEPT, MemberCollector, Members, _hash


def collect(region, distance, sizes, seed=0):
    collector = MemberCollector(seed)
    start = n_regions = 0
    for r, d in zip(region.split(sizes), distance.split(sizes), strict=True):
        n_regions = max([n_regions, *(r + 1).tolist()])
        collector.update(start, r, d, n_regions)
        start += len(r)
    n = len(region)
    tokens = torch.arange(n, dtype=torch.int32)
    return collector.members(tokens, torch.tensor([n]), torch.ones(n, dtype=torch.bool))


@pytest.fixture
def stream_of_members():
    generator = torch.Generator().manual_seed(0)
    region = torch.randint(0, 30, (900,), generator=generator)
    region = torch.minimum(region, torch.arange(900) // 3)
    distance = torch.rand(900, generator=generator).mul(50).round() / 50  # many ties
    return region, distance


def test_kept_members_against_a_direct_sort(stream_of_members):
    region, distance = stream_of_members
    members = collect(region, distance, 64)
    keys = {"closest": distance, "farthest": -distance, "random": _hash(torch.arange(900), 0)}
    for kind, key in keys.items():
        for k in range(30):
            mine = (region == k).nonzero()[:, 0]
            expected = mine[key[mine].sort(stable=True).indices][:KEPT]
            index, d = members.of(k, kind)
            assert index.tolist() == expected.tolist(), (kind, k)
            assert d.tolist() == distance[expected].tolist()


def test_batches_make_no_difference(stream_of_members):
    whole = collect(*stream_of_members, 900)
    for sizes in (1, 7, 512):
        other = collect(*stream_of_members, sizes)
        for name, value in vars(whole).items():
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


def test_random_members_are_seeded_and_spread_over_the_stream():
    region, distance = torch.zeros(20_000, dtype=torch.int64), torch.rand(20_000)
    draws = [collect(region, distance, 5000, seed).of(0, "random")[0] for seed in range(60)]
    assert torch.equal(draws[0], collect(region, distance, 700, 0).of(0, "random")[0])
    places = torch.cat(draws).double() / 20_000
    assert len(places.unique()) > 440
    assert abs(places.mean() - 0.5) < 4 * (1 / 12 / len(places)) ** 0.5
    quarters = (places * 4).long().bincount(minlength=4)
    assert (quarters - len(places) / 4).abs().max() < 4 * (len(places) * 3 / 16) ** 0.5


def test_state_goes_on_to_the_same_members(stream_of_members):
    region, distance = stream_of_members
    collector = MemberCollector(0)
    collector.update(0, region[:400], distance[:400], 30)
    second = MemberCollector(0)
    second.load_state(collector.state())
    second.update(400, region[400:], distance[400:], 30)
    n = torch.ones(900, dtype=torch.bool)
    members = second.members(torch.arange(900, dtype=torch.int32), torch.tensor([900]), n)
    whole = collect(region, distance, 900)
    assert torch.equal(members.random_index, whole.random_index)
    assert torch.equal(members.farthest_index, whole.farthest_index)


def windows():
    """Two windows, BOS (id 9) and then tokens; the second token of the second is not clustered."""
    tokens = torch.tensor([9, 10, 11, 12, 9, 20, 21, 22], dtype=torch.int32)
    clustered = torch.tensor([0, 1, 1, 1, 0, 0, 1, 1], dtype=torch.bool)
    index = torch.tensor([[0, 3] + [-1] * 6])
    distance = torch.zeros(1, KEPT)
    return Members(
        tokens, torch.tensor([4, 4], dtype=torch.int32), clustered,
        *[index, distance, index, distance, index, distance],
    )  # fmt: skip


def test_context_stays_in_its_window_and_leaves_bos_out():
    members = windows()
    assert members.context(0) == ([], 10, [11, 12])
    assert members.context(2, width=1) == ([11], 12, [])
    assert members.context(3) == ([20], 21, [22])
    assert members.token_of(torch.tensor([0, 3])).tolist() == [10, 21]
    assert members.of(0)[0].tolist() == [0, 3]


def test_bad_requests_are_named():
    with pytest.raises(ValueError, match="kind must be one of closest, farthest, random"):
        windows().of(0, "nearest")
    with pytest.raises(ValueError, match="region must be"):
        windows().of(1)
