import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from axbench_examples import aurocs

from epkit.studies.axbench.comparison import DIFFMEAN, POOLED_PROBE, PROBE
from epkit.studies.axbench.configurations import CORPUS, TRAINING
from epkit.studies.axbench.plots import plot_dictionaries, plot_percentiles
from epkit.studies.axbench.rivals import KINDS


def legend(figure):
    return {text.get_text() for text in figure.legends[0].get_texts()}


def test_a_panel_per_text_with_the_probes_and_one_regions_cosine():
    grid = pd.DataFrame([
        {
            "built on": name, "p": p, "basis": basis, "score": score, "rule": "SAE-A", "k": k,
            "AUROC": 0.7 if (k, score) == (1, "cosine") else 0.1,
        }
        for name in (CORPUS, TRAINING) for p in (1, 4) for basis in ("mean", "exemplar")
        for score in ("cosine", "projection") for k in (1, 8)
    ])  # fmt: skip
    figure = plot_percentiles(grid, aurocs([]), "a title")
    assert figure.axes[0].get_title() == "built on unrelated text"
    for ax in figure.axes:
        drawn = [list(line.get_ydata()) for line in ax.lines if len(line.get_ydata()) == 2]
        assert drawn.count([0.7, 0.7]) == 2
        assert [0.1, 0.1] not in drawn
        assert ax.get_legend() is None
    assert legend(figure) >= {DIFFMEAN, PROBE, POOLED_PROBE, "exemplar", "mean"}
    plt.close(figure)


def test_every_kind_with_its_interval_in_both_settings():
    equal = aurocs(KINDS, k_means=0.1)
    figure = plot_dictionaries(equal, equal, 4, "a title")
    for ax in figure.axes:
        points = [bar.lines[0].get_xdata() for bar in ax.containers]
        assert len(points) == 2
        for values in points:
            assert values[2] == pytest.approx(0.841)
            assert values[0] == pytest.approx(0.741)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(KINDS)
    assert legend(figure) == {"one region", "few regions", DIFFMEAN, PROBE, POOLED_PROBE}
    assert "p 4" in figure.get_suptitle()
    plt.close(figure)
