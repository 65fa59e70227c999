"""Tables of what lies between: rows by hand, and excess where there is some and where none."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture

import epkit
from epkit.matching import between
from epkit.studies.neighbourhoods.betweenness import (
    anchor_table,
    bridge,
    excess_table,
    shares_at_distance,
    shares_by_kind,
)
from epkit.studies.neighbourhoods.neighbours import between_shares, made_up_like

LEVELS = [6, 3]


@pytest.fixture(scope="module")
def built():
    x = mixture(1200, 16)
    ep = epkit.partition(x, LEVELS, device="cpu")
    return x, ep, {p: epkit.random_dictionary(d, x) for p, d in ep.items()}


def name_all(regions):
    return [f"region {r}" for r in regions]


def test_a_row_for_every_pair_and_percentile(built):
    _, ep, random = built
    anchors = {("a", "b"): {6: (0, 1), 3: (2, 5)}, ("c", "d"): {6: (3, 3)}}
    table = anchor_table(ep, random, anchors)
    assert table.index.tolist() == [("a, b", 6), ("a, b", 3), ("c, d", 6)]
    assert table["K"].tolist() == [len(ep[6]), len(ep[3]), len(ep[6])]
    assert table.loc[("c, d", 6), "between"] == "one region holds both"
    row = table.loc[("a, b", 3)]
    found = between(ep[3], 2, 5)
    assert (row["regions"], row["between"]) == ("2, 5", len(found))
    assert row["share"] == pytest.approx(len(found) / (len(ep[3]) - 2))
    e = ep[3].exemplars
    assert row["random exemplars"] == between_shares(e[[2]], e[[5]], random[3].exemplars).share[0]


def test_a_bridge_holds_those_of_the_greatest_cosines(built):
    _, ep, _ = built
    d = ep[3]
    e = d.exemplars
    a, b = (int(i) for i in np.unravel_index(int((e @ e.T).argmin()), (len(d), len(d))))
    found = bridge(d, a, b, "p 3", name_all, n=3)
    inside = between(d, a, b).tolist()
    assert found.title == f"p 3: {len(inside)} of {len(d)} regions lie between"
    assert (found.a, found.b) == (f"region {a}", f"region {b}")
    assert found.cosine == pytest.approx(float(e[a] @ e[b]), abs=1e-6)
    sums = {f"region {c}": float(e[c] @ (e[a] + e[b])) for c in inside}
    assert [m[0] for m in found.middle] == sorted(sums, key=sums.get, reverse=True)[:3]
    for name, to_a, to_b in found.middle:
        assert to_a + to_b == pytest.approx(sums[name], abs=1e-5)


def test_a_bridge_from_a_region_to_itself(built):
    found = bridge(built[1][6], 1, 1, "p 6", name_all)
    assert found == ("p 6: one region holds both", "region 1", "region 1", 1.0, [])


def test_on_a_circle_more_lies_between_than_by_chance():
    # An angle of a: a / 2π of all points between, a / π nearer to either end than the other is.
    angle = torch.linspace(0, 2 * np.pi, 720)[:-1]
    circle = torch.stack([angle.cos(), angle.sin(), *torch.zeros(4, 719)], dim=1)
    noise = torch.nn.functional.normalize(torch.randn(300, 6, generator=torch.manual_seed(0)))
    wanted = np.linspace(0.5, 1.1, 40)
    points = {"EP": circle, "noise": noise}
    shares = {p: {n: shares_at_distance(x, wanted) for n, x in points.items()} for p in LEVELS}
    table = excess_table(shares, dict.fromkeys(LEVELS, wanted))
    shown, between_ends = shares[3]["EP"], np.arccos(1 - wanted) / (2 * np.pi)
    assert shown["share"].tolist() == pytest.approx(between_ends, abs=0.005)
    assert shown["chance"].tolist() == pytest.approx(4 * between_ends**2, abs=0.005)
    spans = ("far: d ≥ 0.9", "near: d < 0.9")
    assert table.index.tolist() == [(span, p) for span in spans for p in LEVELS]
    assert (table["pairs"].groupby("p").sum() == 40).all()
    near = table.loc[("near: d < 0.9", 3)]
    assert near["EP: excess"].low > 0
    noise = shares[3]["noise"][wanted < 0.9]
    assert near["noise: between"] == pytest.approx(noise["share"].mean())
    assert near["noise: excess"].value == pytest.approx((noise["share"] - noise["chance"]).mean())
    gain = shares[3]["EP"]["share"] - shares[3]["noise"]["share"]
    assert near["EP − noise"].value == pytest.approx(gain[wanted < 0.9].mean())


def test_made_up_dictionaries_are_as_many_directions(built):
    x, ep, _ = built
    u = ep[6].directions(x)
    made = made_up_like(ep, u, seed=2)
    assert {p: len(d) for p, d in made.items()} == {p: len(d) for p, d in ep.items()}
    assert all(d.members is None and d.threshold == ep[p].threshold for p, d in made.items())
    assert isinstance(shares_at_distance(made[6].exemplars, np.array([0.8])), pd.DataFrame)


def test_shares_of_every_kind_at_every_percentile(built):
    _, ep, random = built
    wanted = {p: np.linspace(0.5, 1.1, 7) for p in LEVELS}
    found = shares_by_kind({"EP": ep, "random": random}, wanted, seed=3)
    assert list(found) == LEVELS
    for p, tables in found.items():
        assert list(tables) == ["EP", "random"]
        alone = shares_at_distance(random[p].exemplars, wanted[p], seed=3)
        pd.testing.assert_frame_equal(tables["random"], alone)
