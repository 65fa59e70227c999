"""Tests of epkit.studies.scaling.seconds: sums by hand, and what must hold of any projection."""

import numpy as np
import pytest

from epkit.studies.scaling.passes import StreamPass
from epkit.studies.scaling.seconds import (
    TERMS,
    Growth,
    Rates,
    epoch_seconds,
    project,
    seconds_of,
    sides,
)

RATES = Rates(100, 1e6, 1e6, 1e4, 1e5, 0.5, decided=400)
GPU = Rates(20_000, 60e12, 60e12, 3e9, 1e10, 5e-3, 1e6, 16_256)
LAW = Growth(3.0, 0.6, 12.0, 0.5, 2.0)


def test_an_epoch_by_hand():
    found = epoch_seconds(1000, 100, 40, 200, 50, 4, 10, RATES)
    assert found["forward"] == 1000 / 4 / 100
    assert found["products"] == 1000 / 4 * 20 * 240 / 1e6
    assert found["rule"] == 100 * (20 + 50) * 20 / 1e6 + 100 / 400
    sums = 4 * 50 * (8 + 8 * 13 + 3 * 8 * 20)
    assert found["adding"] == sums / 1e5
    assert found["link"] == pytest.approx((100 * 48 + 4 * 40 * 48 + sums) / 1e4)
    assert found["calls"] == 0.5
    assert sides(found)[0] == found["rule"] + found["adding"]
    assert sum(sides(found)) == pytest.approx(seconds_of(found))


def test_what_is_dealt_as_one_keeps_other_workers_idle():
    rates = Rates(100, 1e6, 1e6, 1e4, 1e5, 0.5, dealt=500)
    few = epoch_seconds(1000, 0, 0, 0, 0, 8, 10, rates)["forward"]
    assert few == 500 / 100


def test_two_levels_share_the_link_and_the_rule():
    one = epoch_seconds(1e6, 1e4, 1e3, 1e4, 1e4, 64, 100, RATES)
    two = epoch_seconds(1e6, 1e4, 1e3, 1e4, 1e4, 64, 100, RATES, groups=8, rounds=5)
    assert two["rule"] == one["rule"] / 8
    assert two["adding"] == one["adding"] / 4  # 8 + 8 tables instead of 64
    assert two["link"] < one["link"]
    assert two["calls"] == 6 * one["calls"]


def test_growth_is_read_off_a_pass():
    n = 40_000
    founded = np.unique((np.arange(1, 400) / 2.0) ** 2).astype(int)  # K = 2 √n
    region = np.arange(n) % 500
    made = StreamPass(founded, np.zeros(n, dtype=int), region, 0.1, 8)
    law = Growth.fitted(made)
    assert law.b == pytest.approx(0.5, abs=0.01)
    assert law.regions(4 * n) == pytest.approx(800, rel=0.02)
    assert law.burst == 1  # fewer misses than foretold are no burst
    assert law.touched(100, 1e9) <= 100
    assert law.touched(1e9, 300) == 300


def test_growth_that_stops():
    law = LAW.stopped(1e5)
    assert law.rate(1e5) == 0 < LAW.rate(1e5)
    assert law.regions(1e9) == law.regions(1e5) == LAW.regions(1e5)
    assert LAW.rate(0) == LAW.rate(1) == 1


@pytest.mark.parametrize("law", [LAW, LAW.stopped(1e5)])
def test_projections_hold_together(law):
    one = project(1e7, 1, law, 2304, GPU)
    assert set(one) == {*TERMS, "regions", "epochs"}
    assert one["forward"] == pytest.approx(1e7 / 20_000, rel=0.02)
    many = project(1e7, 64, law, 2304, GPU)
    assert seconds_of(one) / 64 * 0.9 < seconds_of(many) < seconds_of(one)
    assert seconds_of(project(1e8, 64, law, 2304, GPU)) > seconds_of(many)


def test_time_does_not_depend_on_taking_epochs_together(monkeypatch):
    from epkit.studies.scaling import seconds

    quick = seconds_of(project(3e6, 8, LAW, 640, GPU))
    monkeypatch.setattr(seconds, "STEP", 0.0)
    assert seconds_of(project(3e6, 8, LAW, 640, GPU)) == pytest.approx(quick, rel=0.05)
