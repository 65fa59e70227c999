import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from epkit.studies.rare_kinds import plots
from epkit.studies.rare_kinds.kinds import NO_KIND
from epkit.studies.rare_kinds.readers import EP, KMEANS, SAE_LARGEST


@pytest.fixture
def table():
    rows = [
        {"prevalence": share, "p": p, "method": method, "kind": kind, "streams": 2, "K": 100,
         "found": found * (kind != NO_KIND), "recall": found / 2, "false_share": 0.0,
         "log2_read": np.nan if method == SAE_LARGEST else i, "seen": 1.0,
         "log2_random": np.nan if method == SAE_LARGEST else 3}
        for share in (0.1, 0.5) for p in (2, 4) for kind in ("a", "b b", NO_KIND)
        for i, (method, found) in enumerate({EP: 1.0, KMEANS: 0.5, SAE_LARGEST: 0.0}.items())
    ]  # fmt: skip
    yield pd.DataFrame(rows)
    plt.close("all")


@pytest.mark.parametrize("over", ["prevalence", "p"])
def test_a_line_a_reader_and_a_dotted_one_beside_it(table, over):
    own = table[table.p == 4] if over == "prevalence" else table[table.prevalence == 0.1]
    figure = plots.plot_found(own, over, ["b b"], "title")
    found, recall, read = figure.axes
    solid = [line for line in found.lines if line.get_linestyle() == "-"]
    assert [line.get_ydata().tolist() for line in solid] == [[1, 1], [0.5, 0.5], [0, 0]]
    assert len(found.lines) == 6
    assert len(recall.lines) == 3
    assert read.lines[0].get_ydata().tolist() == [1, 1]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [EP, KMEANS, SAE_LARGEST]
    assert found.get_xlabel() == plots.AXES[over]


def test_a_panel_a_kind(table):
    figure = plots.plot_kinds(table[(table.p == 4) & (table.prevalence == 0.1)], "title")
    assert [ax.get_title() for ax in figure.axes] == ["a", "b\nb", "web\n(no kind)"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [1, 0.5, 0]
