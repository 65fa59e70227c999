import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from epkit.studies.building.plots import plot_heldout_coverage


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
