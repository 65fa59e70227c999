"""Figures of the stability notebook: titled, labelled, and drawn from what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.stability import plots as stability_plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def figures():
    scores = pd.DataFrame({
        "dictionaries": ["regions", "random exemplars"] * 2, "score": ["D", "D", "log N", "log N"],
        "value": [0.6, 0.5, 0.5, 0.4], "low": [0.5] * 3 + [0.3], "high": [0.7] * 4,
    })  # fmt: skip
    points = {"random exemplars": (np.arange(3), np.ones(3)), "regions": (np.arange(3), np.ones(3))}
    some = Interval(0.1, -0.1, 0.2)
    cut = pd.DataFrame({
        "chosen by": ["largest", "largest", "at random", "at random"], "share": [0.1, 0.5] * 2,
        "value": [0.7, 0.8, 0.6, 0.8], "against random": [some, some, None, None],
    })  # fmt: skip
    gains = pd.DataFrame({"exemplars": [some, some]}, index=["merged", "random exemplars"])
    curve = pd.DataFrame({"layer": [0, 1], "value": [1, 0.5], "low": [1, 0.4], "high": [1, 0.6]})
    regions = np.array([[0, 0, 1], [0, 1, 1]])
    index = pd.MultiIndex.from_product([["another order", "other documents"], ["EP", "random"]])
    again = pd.DataFrame({"agreement": [some] * 4, "regions refound": [some] * 4}, index=index)
    return {
        "alternatives": stability_plots.plot_alternatives(again, {"agreement": "it"}, "Again"),
        "recurrence": stability_plots.plot_recurrence(points, scores),
        "cut": stability_plots.plot_cut(cut, 0.75),
        "gains": stability_plots.plot_gains(gains, {"exemplars": "matched cosine"}),
        "persistence": stability_plots.plot_persistence(
            np.eye(2), [0, 1], {"from layer 0": np.array([1, 0.5]), "shuffled": np.array([1, 0.1])}
        ),
        "merging": stability_plots.plot_merging({"last token": curve, "random pairs": curve}),
        "paths": stability_plots.plot_paths(regions, [0, 1], ["a · x", "a · y", "b · z"]),
    }


def test_figures_have_titles_and_labels():
    for figure in figures().values():
        assert figure.get_suptitle() or figure.axes[0].get_title()
        assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes[:2])


def test_gains_are_drawn_where_they_are():
    (axes,) = figures()["gains"].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["merged", "random exemplars"]
    assert axes.collections[-1].get_offsets()[:, 0].tolist() == [0.1, 0.1]


def test_the_last_comparison_is_solid_and_the_others_hollow():
    (axes,) = figures()["alternatives"].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["EP", "random"]
    hollow, solid = (c.get_facecolors() for c in axes.collections[1::2])
    assert hollow.tolist() == [[1, 1, 1, 1]]
    assert len({tuple(colour) for colour in solid}) == 2


def test_lines_of_prompts_run_together_where_they_share_a_region():
    height = stability_plots._heights(np.array([[0, 0, 1], [5, 4, 4], [2, 2, 2]]))
    apart = np.abs(np.diff(height, axis=1))
    assert apart[0, 0] < 0.5 < apart[0, 1]
    assert apart[1, 1] < 0.5 < apart[1, 0]
    assert (apart[2] < 0.5).all()
