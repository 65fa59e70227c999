"""Figures say what they were given."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from epkit.stats import Interval
from epkit.studies.ood.plots import plot_methods, plot_separation, plot_text_distances


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_distances_have_a_line_per_corpus_and_the_threshold():
    scores = {"web": torch.rand(5, 8), "code": torch.rand(3, 8)}
    left, right = plot_text_distances(scores, 0.4, "a title").axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["web", "code", "θ"]
    assert len(right.lines) == 2
    assert left.lines[0].get_xdata()[0] == 0.4
    heights = [patch.get_xy()[:, 1].max() for patch in left.patches]
    assert all(0 < height <= 1 for height in heights)


def sweep():
    return pd.DataFrame([
        {"layer": layer, "p": p, "corpus": corpus, "gap": Interval(0.1 * p, 0.05 * p, 0.2 * p),
         "auroc": Interval(0.6, 0.5, 0.7), "random gap": 0.1, "random auroc": 0.55}
        for corpus in ("code", "maths") for layer in (3, 5) for p in (1, 4)
    ])  # fmt: skip


def test_a_sweep_shows_one_layer_over_p_and_one_p_over_depth():
    figure = plot_separation(sweep(), layer=3, p=4)
    (gap_p, gap_layer), (auroc_p, _) = figure.axes[:2], figure.axes[2:]
    assert gap_p.get_title() == "layer 3"
    assert gap_layer.get_title() == "p = 4"
    lines = [
        line for line in gap_p.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    ]
    assert [list(line.get_xdata()) for line in lines] == [[1, 4], [1, 4]]
    assert list(lines[0].get_ydata()) == pytest.approx([0.1, 0.4])
    assert auroc_p.get_ylabel() == "AUROC of tokens"
    assert "random exemplars, equal K" in [t.get_text() for t in figure.legends[0].get_texts()]


def test_methods_keep_their_order():
    table = pd.DataFrame([
        {"method": method, "corpus": corpus, "AUROC": Interval(value, value - 0.1, value + 0.1)}
        for corpus in ("code", "maths") for method, value in (("EP", 0.8), ("norm", 0.4))
    ])  # fmt: skip
    figure = plot_methods(table, "AUROC", "a title")
    assert [ax.get_title() for ax in figure.axes] == ["code", "maths"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["EP", "norm"]
    dots = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [0.8, 0.4]
