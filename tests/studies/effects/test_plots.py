"""The figure says what it was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from effects_examples import GROUPS, made_effects

from epkit.studies.effects.drawing import EP, MADE_UP, RANDOM
from epkit.studies.effects.plots import group_label, plot_effects
from epkit.studies.effects.tables import judged


def test_a_dot_a_direction_and_the_bar_that_must_be_passed():
    found = judged(made_effects({EP: 2, RANDOM: 1, MADE_UP: 0}))
    figure = plot_effects(found, "a title")
    left, right = figure.axes
    dots = [line for line in left.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [40] * len(GROUPS)
    null = found.loc[found.kind == MADE_UP, "lowered"]
    dotted = [line for line in right.lines if line.get_linestyle() == ":"]
    assert dotted[0].get_xdata()[0] == pytest.approx(np.quantile(null, 0.95))
    said = [label.get_text() for label in left.get_yticklabels()]
    assert said[0] == "EP regions, p 2, exemplar"
    assert said[-2] == group_label(MADE_UP, -1, "–") == "random directions"
    assert all(ax.get_xlabel() for ax in figure.axes)
    plt.close(figure)
