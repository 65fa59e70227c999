"""Figures have what they promise: panels, labels, a bar per kind, values where they belong."""

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from saes_examples import matches, probed

from epkit.studies.sae_and_probes import EP, RANDOM, SAE
from epkit.studies.sae_and_probes.plots import plot_answer, plot_sets, shown_kinds

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_the_answer_has_both_questions():
    matched, scores = matches(0.6, 0.3), probed(0.9, 0.8)
    figure = plot_answer(matched, scores, [10, 4], 4, "T")
    left, right = figure.axes
    assert left.get_ylabel()
    assert right.get_xlabel()
    assert "4 sets" in right.get_title()
    assert [t.get_text() for t in left.get_xticklabels()] == ["4", "10"]
    assert len(left.containers) == 2
    drawn = left.containers[0].lines[0].get_ydata()
    assert drawn.tolist() == [matched.tokens((EP, p)).mean() for p in (4, 10)]
    assert [t.get_text() for t in right.get_yticklabels()] == [EP, SAE]
    assert right.containers[0].lines[0].get_xdata()[0] == pytest.approx(0.1, abs=0.02)
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert {EP, RANDOM, "token identity"} <= set(texts)


def test_sets_are_sorted_by_how_hard_they_are_in_training():
    scores = probed(0.9, 0.8)
    kinds = shown_kinds(scores, 4)
    assert kinds == [EP, RANDOM, SAE]
    axis = plot_sets(scores, 4, kinds, "Every set").axes[0]
    names = [t.get_text() for t in axis.get_yticklabels()]
    assert names == ["d (hard)", "b (headroom)", "c (headroom)", "a (ceiling)"]
    raw, own, *_ = (np.asarray(c.get_offsets())[:, 0] for c in axis.collections)
    order = [3, 1, 2, 0]
    assert raw.tolist() == scores.raw("raw")[order].tolist()
    assert own.tolist() == scores.values(EP, 4, "cosine, mean")[order].tolist()
