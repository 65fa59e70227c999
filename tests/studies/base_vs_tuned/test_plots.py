"""The figure draws every region once."""

import matplotlib.pyplot as plt

from epkit.studies.base_vs_tuned import membership
from epkit.studies.base_vs_tuned.plots import plot_changes


def test_every_region_is_drawn_once_in_its_colour(what, member):
    changes = membership.region_changes(member(), what.half, 1)
    marked = {"a": changes.index[:2], "b": changes.index[2:3], "c": [10_000]}
    panels = {"one": changes, "two": changes}
    figure = plot_changes(panels, "displacement", marked, {"one": 0.1, "two": 0.2})
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    for ax in figure.axes:
        drawn = [len(points.get_offsets()) for points in ax.collections]
        assert drawn == [len(changes) - 3, 2, 1, 0]
        assert ax.get_legend() is None  # it stands outside the axes
    assert figure.legends
    plt.close(figure)
