import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.building.plots import plot_baselines, plot_heldout_coverage


@pytest.mark.parametrize("layers", [[4], [4, 9]])
def test_a_panel_per_layer_with_a_line_for_each_kind_of_exemplar(layers):
    index = pd.MultiIndex.from_product([layers, [1, 4]], names=["layer", "percentile p"])
    shares = [0.1 * i for i in range(len(index))]
    table = pd.DataFrame({"within θ": shares, "within θ, random": 0.3}, index=index)
    figure = plot_heldout_coverage(table)
    assert [ax.get_title() for ax in figure.axes] == [f"layer {layer}" for layer in layers]
    own, random = figure.axes[-1].lines
    assert list(own.get_xdata()) == [1, 4]
    assert list(own.get_ydata()) == shares[-2:]
    assert set(random.get_ydata()) == {0.3}
    plt.close(figure)


def test_baselines_have_a_line_for_each_kind_and_a_legend_off_the_data():
    index = pd.MultiIndex.from_product([["a", "b"], ["EP", "random"]], names=["criterion", "kind"])
    values = [Interval(v, v - 0.1, v + 0.1) for v in (0.2, 0.4, 0.6, 0.8)]
    tables = {p: pd.DataFrame({"value": values, "K": 5 * p}, index=index) for p in (4, 8)}
    figure = plot_baselines(tables, "title")
    assert [ax.get_ylabel() for ax in figure.axes] == ["a", "b"]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["p 4\nK 20", "p 8\nK 40"]
    assert list(figure.axes[1].containers[0].lines[0].get_ydata()) == [0.6, 0.6]
    assert not any(ax.get_legend() for ax in figure.axes)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["EP", "random"]
    plt.close(figure)
