"""The study's builds on a device: the same tables, no meeting of far and near."""

import pandas as pd
import pytest
import torch

from epkit import calibrate
from epkit.studies.saturation.builds import (
    order_builds,
    repeated_corpus,
    seen_from,
    set_builds,
    threshold_curves,
)
from epkit.studies.saturation.growth import founding_rows, grow, prefix_regions
from epkit.studies.saturation.pool import calibration_rows, plan_builds, pool_streams

pytestmark = pytest.mark.slow


def study(pool, plan, x):
    """Everything that the builds of one layer give, on the device of x (N, D)."""
    sample = calibration_rows(pool, 60).to(x.device)
    cal = calibrate(x[sample], [8])
    u = seen_from(x, cal)
    runs, first = order_builds(u, cal, 8, pool, plan, quiet_window=30)
    repeated = repeated_corpus(u, cal, 8, pool, "code", 4)
    others = (set_builds(u, cal, 8, pool, plan), threshold_curves(u, [0.4, 0.8], pool))
    return runs, first, repeated, others


def test_a_layer_gives_the_same_builds_there(far, sets):
    pool = pool_streams(sets, 160)
    plan = plan_builds(pool, n_orders=2, n_blocks=2, n_block=50)
    x = pool.activations(1)
    assert x.device.type == "cuda"
    runs, first, repeated, others = study(pool, plan, x)
    near_runs, near_first, near_repeated, near_others = study(pool, plan, x.cpu())
    for column in runs.columns.drop("founded"):
        pd.testing.assert_series_equal(runs[column], near_runs[column])
    founded = zip(runs.founded, near_runs.founded, strict=True)
    assert all(a.tolist() == b.tolist() for a, b in founded)
    for name, d in first.items():
        assert d.exemplars.device.type == "cuda"
        assert torch.equal(d.exemplars.cpu(), near_first[name].exemplars)
    assert repeated[1:] == near_repeated[1:]
    pd.testing.assert_frame_equal(others[0], near_others[0])
    pd.testing.assert_frame_equal(others[1], near_others[1])


def test_far_directions_found_where_near_ones_do(far, pool):
    x = pool.activations(1).cpu()
    cal = calibrate(x, [4])
    u = seen_from(x, cal)
    there = u.to(far)
    assert founding_rows(there, cal.thresholds[4]).cpu().equal(founding_rows(u, cal.thresholds[4]))
    d = grow(there, cal, 4)
    assert prefix_regions(d, there, 100).equal(prefix_regions(d.to("cpu"), u, 100))
