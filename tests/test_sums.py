"""Tests of epkit.sums."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from epkit.sums import NAMES, RegionSums

CPU = torch.device("cpu")


def block(n, dim, k, seed):
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(n, dim, generator=generator) * 10 ** (6 * torch.rand(n, 1, generator=generator))
    region = torch.randint(k, (n,), generator=generator)
    return u, region, torch.rand(n, generator=generator, dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 200), dim=st.integers(1, 40), k=st.integers(1, 9), cut=st.integers(0, 200))
def test_additions_come_in_the_order_of_the_stream(n, dim, k, cut):
    u, region, distance = block(n, dim, k, seed=n)
    expected = torch.zeros(k, dim + 2, dtype=torch.float64)
    for row, r, d in zip(u.double(), region, distance, strict=True):
        expected[r] += torch.cat([row, d[None], d.square()[None]])
    sums = RegionSums.empty(k, dim, CPU)
    for part in (slice(None, cut), slice(cut, None)):
        sums.add(u[part], region[part], distance[part])
    assert torch.equal(sums.table[:, :-1], expected)  # to the last bit
    assert torch.equal(sums.counts, region.bincount(minlength=k))


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
