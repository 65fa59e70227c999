"""Paths on arcs, where every step and what lies between is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import epkit
from epkit.blocks.nearest import nearest
from epkit.matching import between
from epkit.studies.neighbourhoods.neighbours import made_up_like, neighbour_graph, shortest_path
from epkit.studies.neighbourhoods.paths import compare_paths, path_facts, route, step_cosines


@pytest.fixture(scope="module")
def built():
    x = torch.randn(900, 6, generator=torch.manual_seed(0))  # no clusters: all of it is joined
    ep = epkit.partition(x, [6, 3], device="cpu")
    u = ep[6].directions(x)
    kinds = {"EP": ep, "random exemplars": {p: epkit.random_dictionary(ep[p], x) for p in ep}}
    return u, kinds | {"made-up directions": made_up_like(ep, u)}


def on_arcs(d, *degrees):
    """The dictionary with exemplars at these angles of a plane."""
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    e = torch.zeros(len(degrees), len(d.centre))
    e[:, :2] = torch.stack([angle.cos(), angle.sin()], dim=1).float()
    k = len(degrees)
    return replace(d, exemplars=e, means=e, members=None, counts=d.counts[:k],
                   coherence=d.coherence[:k], exemplar_index=d.exemplar_index[:k])  # fmt: skip


def test_facts_on_an_arc(built):
    d = on_arcs(built[1]["EP"][3], 0, 20, 40, 60, 80)
    facts = path_facts(d, neighbour_graph(d.exemplars, 1), np.array([[0, 4], [0, 1], [2, 2]]))
    step = np.cos(np.deg2rad(20))
    assert facts.loc[0].tolist() == pytest.approx([4, step, step, 1, 1], abs=1e-6)
    assert facts.loc[1, ["steps", "mean", "all"]].tolist() == pytest.approx([1, step, 0], abs=1e-6)
    assert np.isnan(facts.loc[1, "inner"])  # it has no inner nodes
    assert facts.loc[2].isna().all()


def test_parts_that_are_not_joined_have_no_facts(built):
    d = on_arcs(built[1]["EP"][3], 0, 1, 90, 91)
    graph = neighbour_graph(d.exemplars, 1)
    facts = path_facts(d, graph, np.array([[0, 2], [0, 1]]))
    assert facts.isna().all(axis=1).tolist() == [True, False]
    found = route("EP", ("a", "b"), graph, 0, 2, list)
    assert (found.title, found.cosines) == ("EP", [])
    assert "lie in parts of the graph" in found.labels[0]


def test_a_route_names_its_regions_and_cosines(built):
    d = on_arcs(built[1]["EP"][3], 0, 60, 30)
    found = route(
        "EP", ("a", "b"), neighbour_graph(d.exemplars, 1), 0, 1, lambda r: [f"r{i}" for i in r]
    )
    assert found.title == "EP\n“a” to “b”"
    assert found.labels == ["r0", "r2", "r1"]
    assert found.cosines == pytest.approx([np.cos(np.pi / 6)] * 2, abs=1e-6)


def test_kinds_are_compared_on_the_pairs_that_all_of_them_join(built):
    u, kinds = built
    graphs = {
        (n, p): neighbour_graph(d.exemplars, 3)
        for n, kind in kinds.items()
        for p, d in kind.items()
    }
    ends = u[torch.randperm(len(u), generator=torch.manual_seed(0))[:60]].view(30, 2, -1)
    table, gains = compare_paths(kinds, graphs, ends)
    assert table.index.tolist() == [(p, name) for p in kinds["EP"] for name in kinds]
    assert (table["paths"].groupby("p").nunique() == 1).all()
    assert set(gains[3]) == {"random exemplars", "made-up directions"}
    row, d, graph = table.loc[(3, "EP")], kinds["EP"][3], graphs["EP", 3]
    assert row["1 − θ"] == 1 - d.threshold
    assert row["mean cosine of a step"].high <= row["1 − θ"]
    assert table["1 − θ"].isna().sum() == 4
    # One pair, done by hand.
    ends = ends[:1]
    a, b = nearest(ends[0], d.exemplars)[0].tolist()
    path = shortest_path(graph, a, b)
    facts = path_facts(d, graph, np.array([[a, b]])).loc[0]
    assert facts["steps"] == len(path) - 1
    assert facts["weakest"] == min(step_cosines(graph, path))
    inside = between(d, a, b).tolist()
    assert facts["inner"] == np.mean([r in inside for r in path[1:-1]])
