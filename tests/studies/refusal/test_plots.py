import numpy as np
import pandas as pd

from epkit.studies.refusal import plots as refusal_plots


def test_figures_have_titles_and_labels():
    regions = {"rate": [1.0, 0.5], "low": [0.7, 0.2], "high": [1.0, 0.8], "members": [9, 4]}
    table = pd.DataFrame(regions, index=pd.Index([3, 1], name="region"))
    sides = {f"{s} {k}": [0.9, 0.1] for s in ("harmful", "benign") for k in ("refused", "low")}
    sides |= {f"{s} high": [1.0, 0.3] for s in ("harmful", "benign")}
    sides |= {f"{s} perplexity": [1.1, 2.5] for s in ("harmful", "benign")}
    steering = {"direction": ["mean", "mean"], "alpha": [0, 0.5], "refused": [0.1, 0.6]}
    steering |= {"low": [0, 0.4], "high": [0.2, 0.8], "perplexity": [1.2, 30.0]}
    sweep = pd.DataFrame({"layer": [1, 1, 2], "p": [1, 2, 2], "left": [0.1, np.nan, 0.9]})
    figures = [
        refusal_plots.plot_regions(table, table.index[0]),
        refusal_plots.plot_layer_grid(sweep, "left", "a title", "a label"),
        refusal_plots.plot_conditions(pd.DataFrame(sides, index=["no edit", "mean"])),
        refusal_plots.plot_steering(pd.DataFrame(steering)),
    ]
    for figure in figures:
        assert figure.get_suptitle() or figure.axes[0].get_title()
        assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)
