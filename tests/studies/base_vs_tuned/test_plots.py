"""Figures of a comparison: what is drawn is what was counted."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.patches import PathPatch

from epkit.studies.base_vs_tuned.plots import (
    plot_cosines,
    plot_missing_counterparts,
    plot_occupancy,
    plot_region_flow,
)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_flow_draws_every_stream_of_members_once_and_to_scale():
    table = torch.tensor([[6, 2, 0], [0, 4, 0], [0, 0, 3], [1, 0, 0]])
    figure = plot_region_flow(table, list("abcd"), list("xyz"), n=2)
    (ax,) = figure.axes
    ribbons = [p for p in ax.patches if isinstance(p, PathPatch)]
    heights = sorted(p.get_path().vertices[0, 1] - p.get_path().vertices[7, 1] for p in ribbons)
    assert heights == pytest.approx([2 / 12, 4 / 12, 6 / 12])  # of the 12 members of a and b
    names = [text.get_text() for text in ax.texts]
    assert names == ["a", "b", "x", "y", "other regions"]
    assert "75%" in figure.get_suptitle()  # 12 of 16


def test_flow_sums_what_goes_to_other_regions():
    figure = plot_region_flow(torch.tensor([[5, 3, 2]]), ["a"], ["x", "y", "z"], n=1)
    ribbons = [p for p in figure.axes[0].patches if isinstance(p, PathPatch)]
    heights = [p.get_path().vertices[0, 1] - p.get_path().vertices[7, 1] for p in ribbons]
    assert heights == pytest.approx([0.5, 0.5])


def test_cosines_of_a_comparison_are_pooled_to_shares():
    panels = {
        "here": {"floor": [torch.tensor([0.2, 0.4])], "other": [torch.ones(3), torch.ones(1)]}
    }
    figure = plot_cosines(panels, {"here": {"cutoff": 0.3}})
    (ax,) = figure.axes
    floor = [bar.get_height() for bar in ax.containers[0]]
    assert sum(floor) == pytest.approx(1)
    assert ax.get_title() == "here"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["floor", "other", "cutoff"]


def test_occupancy_stacks_harm_and_sums_the_rest():
    table = pd.DataFrame({"harmful": [1, 5, 0], "benign": [1, 0, 1]}, index=[7, 8, 9])
    figure = plot_occupancy({"base": table}, most=1)
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.get_xticklabels()] == ["8", "2 more"]
    harmful, benign = ([bar.get_height() for bar in c] for c in ax.containers)
    assert np.array_equal(harmful, [5, 1])
    assert np.array_equal(benign, [0, 2])


def test_missing_counterparts_mark_the_region():
    figure = plot_missing_counterparts(
        {"a": (torch.tensor([0.1, 0.5]), torch.tensor([3, 40]), 1)}, "score"
    )
    marked = figure.axes[0].collections[1].get_offsets()
    assert np.allclose(marked, [[40, 0.5]])
