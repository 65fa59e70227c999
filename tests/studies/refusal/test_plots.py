import numpy as np
import pandas as pd
import pytest
from refusal_examples import near

from epkit.studies.refusal import plots as refusal_plots


@pytest.fixture
def conditions():
    columns = [f"{s} {k}" for s in ("harmful", "benign") for k in ("refused", "perplexity")]
    rows = {name: [near(0.5) for _ in columns] for name in ("no edit", "region, mean")}
    return pd.DataFrame(rows, index=columns).T


def test_figures_have_titles_and_labels(conditions):
    regions = {"rate": [1.0, 0.5], "low": [0.7, 0.2], "high": [1.0, 0.8], "members": [9, 4]}
    table = pd.DataFrame(regions, index=pd.Index([3, 1], name="region"))
    steering = pd.DataFrame({
        "direction": ["no edit", "region"], "α": [0, 0.5], "refused": [near(0.1), near(0.6)],
        "perplexity": [near(1.2), near(30.0)],
    })  # fmt: skip
    figures = [
        refusal_plots.plot_regions(table, table.index[0]),
        refusal_plots.plot_conditions(conditions, {"region": np.array([0.1])}, 12),
        refusal_plots.plot_steering(steering),
    ]
    for figure in figures:
        assert figure.get_suptitle() or figure.axes[0].get_title()
        assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)


def test_every_control_is_a_dot_of_its_own(conditions):
    rates = {"no edit": np.array([0.9]), "region": np.array([0.0]), "null regions": np.full(5, 0.2)}
    figure = refusal_plots.plot_conditions(conditions, rates, 12)
    left = figure.axes[0]
    dots = {tuple(p) for line in left.lines if line.get_marker() == "." for p in line.get_xydata()}
    assert len(dots) == 6
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["no edit", "region, mean", "region, 12 prompts", "null regions, 12 prompts"]
