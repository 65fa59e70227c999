"""What lies between anchors: rows and bridges by hand."""

import numpy as np
import pandas as pd
import pytest
from conftest import mixture

import epkit
from epkit.matching import between
from epkit.studies.neighbourhoods.betweenness import (
    anchor_table,
    bridge,
    shares_at_distance,
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
    found = between(ep[3], 2, 5, basis="mean")
    assert (row["regions"], row["between"]) == ("2, 5", len(found))
    assert row["share"] == pytest.approx(len(found) / (len(ep[3]) - 2))
    e = ep[3].means
    assert row["random exemplars"] == between_shares(e[[2]], e[[5]], random[3].means).share[0]


def test_a_bridge_holds_those_of_the_greatest_cosines(built):
    _, ep, _ = built
    d = ep[3]
    e = d.means
    a, b = (int(i) for i in np.unravel_index(int((e @ e.T).argmin()), (len(d), len(d))))
    found = bridge(d, a, b, "p 3", name_all, n=3)
    inside = between(d, a, b, basis="mean").tolist()
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


def test_made_up_dictionaries_are_as_many_directions(built):
    x, ep, _ = built
    u = ep[6].directions(x)
    made = made_up_like(ep, u, seed=2)
    assert {p: len(d) for p, d in made.items()} == {p: len(d) for p, d in ep.items()}
    assert all(d.members is None and d.threshold == ep[p].threshold for p, d in made.items())
    assert isinstance(shares_at_distance(made[6].exemplars, np.array([0.8])), pd.DataFrame)
