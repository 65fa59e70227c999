"""Pictures of a whole atlas hold what they should."""

from dataclasses import replace

import numpy as np
import pytest

from epkit.plots import growth as plots

ATLAS_PLOTS = [plots.plot_growth, plots.plot_sizes, plots.plot_coherence, plots.plot_distances]


@pytest.mark.parametrize("plot", ATLAS_PLOTS)
def test_one_labelled_panel_per_layer(atlas, plot):
    figure = plot(atlas)
    figure.draw_without_rendering()
    assert [ax.get_title() for ax in figure.axes] == ["layer 2", "layer 5"]
    assert all(ax.get_xlabel() for ax in figure.axes)
    assert figure.axes[0].get_ylabel()
    assert figure.get_suptitle()
    assert all(len(ax.get_legend().get_texts()) == 2 for ax in figure.axes)


@pytest.mark.parametrize("plot", ATLAS_PLOTS)
def test_an_empty_atlas_gets_one_sentence(plot):
    with pytest.raises(ValueError, match="the atlas is empty"):
        plot({})


def test_growth_ends_at_the_number_of_regions(atlas):
    figure = plots.plot_growth(atlas)
    for ax, layer in zip(figure.axes, (2, 5), strict=True):
        ends = [int(line.get_ydata()[-1]) for line in ax.lines]
        assert ends == [len(atlas[layer, p]) for p in (0.5, 4)]


def test_sizes_are_the_counts(atlas):
    line = plots.plot_sizes(atlas).axes[0].lines[0]
    counts = sorted(atlas[2, 0.5].counts.tolist(), reverse=True)
    np.testing.assert_array_equal(line.get_ydata(), counts)


def test_shares_add_up_to_one(atlas):
    for plot in (plots.plot_coherence, plots.plot_distances):
        for ax in plot(atlas).axes:
            for outline in ax.patches:
                # The outline of a step histogram goes up and down: its heights at bin starts.
                x, y = outline.get_xy().T
                heights = {round(a, 9): b for a, b in zip(x[::2], y[1::2], strict=False)}
                assert sum(heights.values()) == pytest.approx(1, abs=1e-4)


def test_no_sampled_distance_is_over_the_threshold(dictionary):
    distance, weight = plots._sampled_distances(dictionary)
    assert distance.max() <= dictionary.threshold + 1e-6
    assert len(distance) == len(weight)
    # Weights give back the members other than exemplars of regions that have such members.
    assert weight.sum() == pytest.approx(int((dictionary.counts - 1).sum()), rel=0.02)


def test_distances_need_members(dictionary):
    with pytest.raises(ValueError, match="has no members"):
        plots.plot_distances({(2, 0.5): replace(dictionary, members=None)})


def test_regions_too_small_for_coherence_are_still_drawn(atlas):
    figure = plots.plot_coherence(atlas, min_members=10**6)
    figure.draw_without_rendering()
    assert len(figure.axes) == 2
