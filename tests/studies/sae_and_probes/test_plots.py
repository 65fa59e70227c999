"""Figures have what they promise: panels, labels, a point per row, values where they belong."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from epkit.stats import Interval
from epkit.studies.sae_and_probes.plots import plot_probes, plot_sets, plot_shares

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def interval(value):
    return Interval(value, value - 0.1, value + 0.1)


def labelled(axis):
    return axis.get_xlabel() and axis.get_title()


def test_shares_have_a_panel_per_direction_and_lines_sorted_by_p():
    rows = [
        {"features": f, "basis": b, "p": p, "there": interval(p / 20), "back": interval(0.5)}
        for f in ("EP", "random exemplars") for b in ("exemplar", "mean") for p in (10, 1)
    ]  # fmt: skip
    columns = {"there": "regions → latents", "back": "latents → regions"}
    figure = plot_shares(
        pd.DataFrame(rows), columns, {"token identity": [0.2, 0.4]}, title="T", label="share"
    )
    assert [a.get_title() for a in figure.axes] == list(columns.values())
    assert all(labelled(a) for a in figure.axes)
    assert figure.axes[0].get_ylabel() == "share"
    left = figure.axes[0]
    assert len(left.containers) == 4
    assert left.containers[0].lines[0].get_xdata().tolist() == [1, 10]
    assert left.containers[0].lines[0].get_ydata().tolist() == [0.05, 0.5]
    assert [t.get_text() for t in left.get_xticklabels()] == ["1", "10"]
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert "token identity" in texts
    assert "EP, mean" in texts


def test_probes_have_a_panel_each_with_both_kinds_and_the_level_lines():
    rows = [
        {"probe": probe, "exemplars": kind, "p": p, "accuracy": interval(0.7)}
        for probe in ("one-hot", "cosine") for kind in ("EP", "random exemplars") for p in (1, 4)
    ]  # fmt: skip
    figure = plot_probes(pd.DataFrame(rows), {"raw": 0.8, "majority": 0.5}, title="T")
    assert [a.get_title() for a in figure.axes] == ["one-hot", "cosine"]
    assert "accuracy" in figure.axes[0].get_ylabel()
    for axis in figure.axes:
        assert len(axis.containers) == 2
        level = [line.get_ydata()[0] for line in axis.lines if len(set(line.get_ydata())) == 1]
        assert {0.8, 0.5} <= set(level)


def test_sets_are_sorted_by_the_first_method():
    accuracy = pd.DataFrame({"raw": [0.9, 0.6, 0.7], "one-hot": [0.8, 0.5, 0.6]}, index=list("abc"))
    axis = plot_sets(accuracy, title="Every set").axes[0]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["b", "c", "a"]
    raw, one_hot = (np.asarray(c.get_offsets()) for c in axis.collections)
    assert raw[:, 0].tolist() == [0.6, 0.7, 0.9]
    assert one_hot[:, 0].tolist() == [0.5, 0.6, 0.8]
    assert labelled(axis)
