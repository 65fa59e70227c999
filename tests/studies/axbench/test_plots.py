import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pandas as pd

from epkit.studies.axbench.configurations import CORPUS, TRAINING
from epkit.studies.axbench.plots import plot_percentiles


def test_a_panel_per_text_with_the_baselines_and_one_regions_cosine():
    grid = pd.DataFrame([
        {
            "built on": name, "p": p, "basis": basis, "score": score, "rule": "SAE-A", "k": k,
            "AUROC": 0.7 if (k, score) == (1, "cosine") else 0.1,
        }
        for name in (CORPUS, TRAINING) for p in (1, 4) for basis in ("mean", "exemplar")
        for score in ("cosine", "projection") for k in (1, 8)
    ])  # fmt: skip
    baselines = pd.Series({"DiffMean": 0.8, "linear probe": 0.9, "bag of words": 0.5, "PCA": 0.4})
    figure = plot_percentiles(grid, baselines, "a title")
    left, right = figure.axes
    assert left.get_title() == "built on the unrelated corpus"
    for ax in (left, right):
        assert {t.get_text() for t in ax.texts} == {"DiffMean", "linear probe", "bag of words"}
        drawn = [list(line.get_ydata()) for line in ax.lines if len(line.get_ydata()) == 2]
        assert drawn.count([0.7, 0.7]) == 2
        assert [0.1, 0.1] not in drawn
    assert left.get_legend() is not None
    assert right.get_legend() is None
    plt.close(figure)
