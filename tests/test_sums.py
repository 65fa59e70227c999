"""Tests of epkit.sums."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from epkit.sums import MOST, NAMES, UNIT, RegionSums

CPU = torch.device("cpu")


def block(n, dim, k, seed):
    generator = torch.Generator().manual_seed(seed)
    u = torch.nn.functional.normalize(torch.randn(n, dim, generator=generator), dim=1)
    region = torch.randint(k, (n,), generator=generator)
    return u, region, torch.rand(n, generator=generator, dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 200), dim=st.integers(1, 40), k=st.integers(1, 9), seed=st.integers(0, 99))
def test_sums_are_the_same_bytes_in_every_order_and_cut(n, dim, k, seed):
    u, region, distance = block(n, dim, k, seed)
    one, other = RegionSums.empty(k, dim, CPU), RegionSums.empty(k, dim, CPU)
    one.add(u, region, distance)
    for part in torch.randperm(n, generator=torch.Generator().manual_seed(seed)).split(7):
        other.add(u[part], region[part], distance[part])
    assert torch.equal(one.table, other.table)
    assert torch.equal(one.counts, region.bincount(minlength=k))
    exact = torch.zeros(k, dim, dtype=torch.float64).index_add_(0, region, u.double())
    torch.testing.assert_close(one.directions, exact, atol=(n + 1) * UNIT, rtol=0)
    exact = torch.zeros(k, dtype=torch.float64).index_add_(0, region, distance.square())
    torch.testing.assert_close(one.squared_distance, exact, atol=(n + 1) * UNIT, rtol=0)


def test_sums_that_may_not_fit_are_refused():
    sums = RegionSums.empty(2, 3, CPU)
    sums.table[1, -1] = MOST + 1
    with pytest.raises(ValueError, match="more than 536,870,912 members"):
        _ = sums.directions


def test_no_setting_of_the_process_is_touched(monkeypatch):
    def touched(*_, **__):
        pytest.fail("a global setting was changed")

    monkeypatch.setattr(torch, "use_deterministic_algorithms", touched)
    sums = RegionSums.empty(3, 4, CPU)
    sums.add(*block(5, 4, 3, seed=0))
    assert sums.counts.sum() == 5


def test_room_is_made_for_regions_without_members():
    sums = RegionSums.empty(0, 4, CPU)
    sums.reserve(3)
    sums.add(*block(9, 4, 3, seed=1))
    before = sums.table.clone()
    sums.reserve(2)
    sums.reserve(5)
    assert torch.equal(sums.table[:3], before)
    assert not sums.table[3:].any()


def test_state_goes_there_and_back_by_name():
    sums = RegionSums.empty(4, 6, CPU)
    sums.add(*block(20, 6, 3, seed=2))
    state = sums.state(3)
    assert set(state) == {f"sums.{name}" for name in NAMES}
    assert torch.equal(RegionSums.from_state(state).table, sums.table[:3])
    assert len(RegionSums.from_state(RegionSums.empty(0, 6, CPU).state(0))) == 0
