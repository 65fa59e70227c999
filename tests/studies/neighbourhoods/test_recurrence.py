"""Recurrence by hand on an arc, and on a stream whose second half repeats the first or does not."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture

import epkit
from epkit.studies.neighbourhoods.recurrence import (
    SIZES,
    Recurrence,
    found_on_half,
    new_members,
    of_the_same_size,
    recurrence_by_size,
    recurrence_table,
)


def on_circle(*degrees):
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angle.cos(), angle.sin()], dim=1).float()


def test_new_members_by_hand():
    x = on_circle(0, 90, 5, 180, -5, 88, 10, 45, 3)
    half, word = 4, np.array([7, 8, 7, 9, 7, 1, 2, 3, 7])
    made = epkit.LeaderClustering(torch.zeros(2), 1 - np.cos(np.deg2rad(20)), "cpu")
    d = made.partial_fit(x[:half]).dictionary()
    assert d.exemplar_index.tolist() == [0, 1, 3]
    found = new_members(d, x, half, word)
    assert found["old"].tolist() == [2, 1, 1]
    assert found["new"].tolist() == [3, 1, 0]  # 45 is within 20 degrees of none
    assert found["same word"][:2].tolist() == pytest.approx([2 / 3, 0])
    assert np.isnan(found["same word"][2])
    assert np.isnan(found["shuffled"][2])


def test_pairs_of_equal_size():
    a = pd.DataFrame({"old": [1, 1, 1, 2, 3, 3], "new": [0, 0, 0, 5, 0, 1]})
    b = pd.DataFrame({"old": [1, 1, 3, 9], "new": [4, 4, 0, 9]})
    mine, theirs = of_the_same_size(a, b)
    assert mine.tolist()[:2] == [0, 0]  # two of one member, and one of three, there are in both
    assert theirs.tolist() == [1, 1, 0]
    assert len(mine) == 3


@pytest.fixture(scope="module")
def founded():
    """Halves of one mixture; words say the cluster, so what recurs has its word."""
    x = mixture(1600, 16)
    cal = epkit.calibrate(x, [8, 4], device="cpu")
    u = epkit.geometry.directions(x, cal.centre)
    word = epkit.partition(x, [30], device="cpu")[30].assign(x)[0].numpy()
    return found_on_half(x, u, cal, 800, word), x, u, cal


def test_a_stream_that_goes_on_as_it_began(founded):
    found, x, _, cal = founded
    assert list(found) == [8, 4]
    table = recurrence_table({(3, p): one for p, one in found.items()})
    assert table.index.tolist() == [(3, 8), (3, 4)]
    for (_, p), row in table.iterrows():
        d = epkit.partition(x[:800], [p], calibration=cal, recount=False, device="cpu")[p]
        ep = found[p].ep
        assert row["K"] == len(d) == len(ep) == len(found[p].random)
        assert row["small"] == (ep["old"] <= 3).sum() == len(found[p].reached)
        assert ep["old"].sum() == 800  # all that founded is within θ of an exemplar
        assert ep["same word"].mean() > 2 * ep["shuffled"].mean()
        assert row["any within θ, small"].value >= row["small that recur"].value
        assert row["any within θ, small"].low > row["any within θ, made-up"].high
        assert row["others ~ new (Spearman)"].low > 0


def test_sizes_hold_every_region_once(founded):
    one = founded[0][4]
    table = recurrence_by_size(one)
    assert set(table["size"]) <= set(SIZES)
    assert table.groupby("dictionary")["regions"].sum().tolist() == [len(one.ep)] * 2
    assert (table["low"] <= table["mean new"]).all()
    assert (table["recur"] <= table["recur high"]).all()


def test_a_second_half_elsewhere_brings_nothing(founded):
    _, x, _, cal = founded
    x = torch.cat([x[:800], 2 * cal.centre - x[:800]])  # every direction turned round
    u = epkit.geometry.directions(x, cal.centre)
    one = found_on_half(x, u, cal, 800, np.zeros(1600, int))[4]
    assert one.ep["old"].sum() == 800
    assert one.ep["new"].sum() == 0
    assert one.ep["same word"].isna().all()
    assert not one.reached.any()
    assert len(one.reached) == (one.ep["old"] <= 3).sum()


def test_without_small_regions_there_is_nothing_to_say():
    big = pd.DataFrame({"old": [9, 8, 7], "new": [3, 2, 1], "same word": 0.5, "shuffled": 0.1})
    nobody = torch.zeros(0, dtype=torch.bool)
    one = Recurrence(big, big, nobody, torch.tensor([True, False]))
    row = recurrence_table({(3, 4): one}).loc[(3, 4)]
    assert row["small"] == 0
    for column in ("small that recur", "EP − random", "same word", "any within θ, small"):
        assert row[column] is None
