import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from epkit.studies.inspecting.plots import plot_shared_kinds


def test_bars_are_shares_of_groups_from_the_narrowest_trait_to_none():
    kinds = {"some": np.array(["token", "none", "class", "none"]), "others": np.array(["none"])}
    figure = plot_shared_kinds(kinds)
    (ax,) = figure.axes
    names = [tick.get_text() for tick in ax.get_xticklabels()]
    assert names == ["token", "word", "ending", "after", "class", "none"]
    assert [[bar.get_height() for bar in group] for group in ax.containers] == [
        [0.25, 0, 0, 0, 0.25, 0.5],
        [0, 0, 0, 0, 0, 1],
    ]
    plt.close(figure)
