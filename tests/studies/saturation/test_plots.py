"""The figures of saturation draw what their tables hold."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from epkit.studies.saturation.plots import (
    domain_colours,
    plot_depth,
    plot_domain_growth,
    plot_thresholds,
)

NAMES = ["web", "code", "mixed"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_growth_draws_the_mean_over_orders_in_a_panel_per_p():
    rows = [
        {"p": p, "domain": name, "order": order, "n": n, "K": n // p + order}
        for p in (2, 8) for name in NAMES for order in (0, 2) for n in (100, 1000)
    ]  # fmt: skip
    marks = pd.DataFrame([
        {"p": 8, "domain": "web", "rule": rule, "n": 700, "K": 60} for rule in ("published", "ours")
    ])  # fmt: skip
    figure = plot_domain_growth(pd.DataFrame(rows), marks, "Growth")
    fine, coarse = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["p = 2", "p = 8"]
    assert [line.get_label() for line in fine.lines][:3] == NAMES
    assert [line.get_marker() for line in coarse.lines[3:]] == ["v", "v", "o", "o"]
    assert (coarse.lines[4].get_xdata()[0], coarse.lines[4].get_ydata()[0]) == (700, 60)
    assert len(fine.lines) == 5  # no stream stopped there
    assert fine.lines[0].get_ydata().tolist() == [51, 501]
    assert coarse.lines[0].get_ydata().tolist() == [13, 126]
    assert fine.get_xscale() == fine.get_yscale() == "log"
    assert fine.get_ylabel() == "regions K"
    figure.canvas.draw()


def test_depth_draws_intervals_around_k():
    table = pd.DataFrame([
        {"layer": layer, "domain": name, "K": 10 + layer, "low": 8 + layer, "high": 13 + layer}
        for layer in (2, 7) for name in NAMES
    ])  # fmt: skip
    figure = plot_depth({"long": table, "short": table}, "Depth")
    bars = figure.axes[1].containers[1]
    assert bars.lines[0].get_ydata().tolist() == [12, 17]
    assert [segment[:, 1].tolist() for segment in bars.lines[2][0].get_segments()] == [
        [10, 15],
        [15, 20],
    ]
    assert figure.axes[0].get_xlabel() == "layer"


def test_thresholds_draw_a_line_a_layer_and_a_dot_at_its_own():
    table = pd.DataFrame([
        {"domain": name, "layer": layer, "θ": θ, "K": 1000 / (θ * layer)}
        for name in NAMES for layer in (2, 7) for θ in (0.4, 0.6, 0.8)
    ])  # fmt: skip
    figure = plot_thresholds(table, {2: 0.4, 7: 0.8}, 0.6, "K")
    assert [ax.get_title() for ax in figure.axes] == NAMES
    lines = figure.axes[0].lines
    assert lines[1].get_xdata()[0] == 0.4
    assert lines[1].get_ydata()[0] == pytest.approx(1250)
    assert lines[3].get_ydata()[0] == pytest.approx(1000 / 5.6)
    assert lines[4].get_xdata()[0] == 0.6


def test_the_mixed_stream_is_grey_and_domains_differ():
    colours = domain_colours(NAMES)
    assert colours["mixed"] == "0.45"
    assert colours["web"] != colours["code"]
