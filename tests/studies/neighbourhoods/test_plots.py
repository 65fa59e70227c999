"""Figures of neighbourhoods: every label and number that was given is drawn, and nothing else."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation

from epkit.stats import Interval
from epkit.studies.neighbourhoods import plots as neighbour_plots
from epkit.studies.neighbourhoods.memberships import split_flow
from epkit.studies.neighbourhoods.plots import Bridge, Route


@pytest.fixture(autouse=True)
def _agg():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def texts(figure):
    """All texts of a figure's panels, arrows (annotations without text) aside."""
    figure.canvas.draw()
    return [t.get_text() for ax in figure.axes for t in ax.texts if t.get_text()]


def arrows(figure):
    return [t for ax in figure.axes for t in ax.texts if isinstance(t, Annotation)]


def test_a_bridge_has_its_cosines_on_its_arrows():
    bridges = [
        Bridge("p 4", "left", "right", 0.12, [("one", 0.31, 0.42), ("two", 0.33, 0.25)]),
        Bridge("p 2", "left", "right", 0.4, []),
    ]
    figure = neighbour_plots.plot_bridges(bridges, "Between")
    shown = texts(figure)
    for wanted in ("one", "two", "0.31", "0.42", "0.33", "0.25", "direct 0.12", "direct 0.40"):
        assert shown.count(wanted) == 1
    assert "nothing lies between" in shown
    assert len(arrows(figure)) == 2 * 2 + 2
    assert [ax.get_title() for ax in figure.axes] == ["p 4", "p 2"]


def test_labels_of_a_bridge_do_not_cover_one_another():
    label = "1234: ≈ international | development\n→ cientious  otherwise"
    bridge = Bridge("p 1", label, label, 0.1, [(label, 0.2, 0.2)] * 4)
    figure = neighbour_plots.plot_bridges([bridge], "Between")
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [
        t.get_bbox_patch().get_window_extent(renderer)
        for t in figure.axes[0].texts
        if t.get_text() == label
    ]
    assert len(boxes) == 6
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])


def test_routes_show_every_step():
    routes = [Route("EP", ["a", "b", "c"], [0.5, 0.25]), Route("none", ["no path"], [])]
    figure = neighbour_plots.plot_routes(routes, "Paths")
    assert sorted(texts(figure)) == sorted(["a", "b", "c", "0.50", "0.25", "no path"])
    assert len(arrows(figure)) == 2


def test_flow_bars_are_as_high_as_their_members():
    levels = [[0] * 10, [0] * 6 + [1] * 4, [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]]
    flow = split_flow(levels, 0, keep=2)
    labels = [["root"], ["x", "y"], ["p", "q", "rest"]]
    figure = neighbour_plots.plot_split_flow(flow, ["coarse", "middle", "fine"], labels, "Split")
    bars = {
        level: sum(b.get_height() for b in figure.axes[0].patches if abs(b.get_x() - level) < 0.1)
        for level in range(3)
    }
    assert bars == {0: 10, 1: 10, 2: 10}
    assert texts(figure) == ["root  (10)", "x  (6)", "y  (4)", "p  (3)", "q  (3)", "rest  (4)"]
    # Ribbons are as wide as what goes on: one per non-zero link.
    assert len(figure.axes[0].collections) == sum(int((links > 0).sum()) for links in flow.links)


def test_a_flow_of_one_level():
    flow = split_flow([[3, 3]], 3)
    assert texts(neighbour_plots.plot_split_flow(flow, ["p 4"], [["root"]], "Split")) == [
        "root  (2)"
    ]


def test_excess_is_drawn_beside_chance_and_where_it_can_be_compared():
    some = Interval(0.01, 0.005, 0.02)
    rows = [
        {"p": p, "points": kind, "K": 100 * p, "between": 0.03, "chance": 0.02, "excess": some,
         "EP more": None if kind == "EP" or p == 8 else some}
        for p in (16, 8) for kind in ("EP", "random exemplars")
    ]  # fmt: skip
    table = pd.DataFrame(rows).set_index(["p", "points"])
    figure = neighbour_plots.plot_excess(table, "Between")
    left, right = figure.axes
    assert [t.get_text() for t in left.get_xticklabels()] == ["p 16\nK 1,600", "p 8\nK 800"]
    dots = [line for line in left.lines if line.get_marker() == "o"]
    assert [line.get_ydata().tolist() for line in dots] == [[0.03, 0.03]] * 2
    # p 8 has no pairs of the other kind at EP's distances
    (compared,) = [line for line in right.lines if line.get_marker() == "o"]
    assert compared.get_ydata().tolist() == [0.01]


def test_agreement_draws_a_curve_and_a_dotted_line_each():
    rows = [
        {"measure": m, "dictionary": d, "distance": x, "value": 0.2, "low": 0.1, "high": 0.3}
        for m in ("word", "class") for d in ("EP", "random") for x in (0.5, 0.6)
    ]  # fmt: skip
    baseline = [
        {"measure": m, "dictionary": d, "value": v}
        for m in ("word", "class") for d, v in (("EP", 0.01), ("random", 0.02))
    ]  # fmt: skip
    figure = neighbour_plots.plot_agreement(pd.DataFrame(rows), pd.DataFrame(baseline), "Sharing")
    assert [ax.get_title() for ax in figure.axes] == ["word", "class"]
    dotted = [line for line in figure.axes[1].lines if line.get_linestyle() == ":"]
    assert [line.get_ydata()[0] for line in dotted] == [0.01, 0.02]


def test_recurrence_and_distributions():
    rows = [
        {"dictionary": d, "size": s, "others": 1, "mean new": 2, "low": 1, "high": 3, "recur": 0.5,
         "recur low": 0.4, "recur high": 0.6}
        for d in ("EP", "random") for s in ("1", "2–3")
    ]  # fmt: skip
    left, right = neighbour_plots.plot_new_members(pd.DataFrame(rows), "Recurrence").axes
    assert [t.get_text() for t in left.get_xticklabels()] == ["1", "2–3"]
    assert len(right.get_legend().get_texts()) == 4
    values = {"members": {"EP": np.array([1, 10, 100])}, "coherence": {"EP": np.array([0.5])}}
    bins = {"members": np.geomspace(1, 101, 5), "coherence": np.linspace(0, 1, 5)}
    one, two = neighbour_plots.plot_distributions(values, bins, "Sizes").axes
    assert (one.get_xscale(), two.get_xscale()) == ("log", "linear")
    assert (one.get_xlabel(), two.get_xlabel()) == ("members", "coherence")
