"""The figures of saturation draw what their tables hold."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from epkit.studies.saturation.plots import (
    domain_colours,
    plot_depth,
    plot_domain_growth,
    plot_predictions,
    plot_repeats,
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
    figure = plot_domain_growth(pd.DataFrame(rows), "Growth")
    fine, coarse = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["p = 2", "p = 8"]
    assert [line.get_label() for line in fine.lines] == NAMES
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


def test_predictions_put_methods_in_the_order_given():
    methods = ["stays", "law"]
    table = pd.DataFrame([
        {"p": 2, "domain": name, "method": method, "ratio": 0.8 + 0.2 * i}
        for name in NAMES for i, method in enumerate(methods)
    ])  # fmt: skip
    axes = plot_predictions(table, methods, "Halving").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == methods
    assert axes.lines[0].get_xdata().tolist() == [0.8, 1.0]
    assert np.round(axes.lines[0].get_ydata()).tolist() == [0, 1]
    assert axes.yaxis_inverted()


def test_repeats_mark_every_reading():
    curve = pd.DataFrame({"n": [0, 50, 100], "K": [0, 5, 5]})
    axes = plot_repeats({"fresh": curve, "again": curve}, 25, "Trap").axes[0]
    assert [line.get_label() for line in axes.lines[:2]] == ["fresh", "again"]
    assert [line.get_xdata()[0] for line in axes.lines[2:]] == [25, 50, 75]


def test_the_mixed_stream_is_grey_and_domains_differ():
    colours = domain_colours(NAMES)
    assert colours["mixed"] == "0.45"
    assert colours["web"] != colours["code"]
