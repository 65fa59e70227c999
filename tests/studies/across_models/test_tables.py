"""Comparisons side by side, and the figure of them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from across_examples import K, made_partitions, made_words

from epkit.stats import Interval
from epkit.studies.across_models import correspondence, tables
from epkit.studies.across_models.plots import plot_comparisons

WORDS = made_words()
SECOND = correspondence.halves(WORDS.document, 0)


@pytest.fixture(scope="module")
def compared():
    return tables.ModelComparison(made_partitions(WORDS), WORDS.document, SECOND, 5, 0)


def test_a_row_a_comparison(compared):
    table = compared.table()
    assert list(table.index) == list(made_partitions(WORDS))
    assert table.loc[tables.CEILING, "AMI"].value == pytest.approx(1)
    assert table.loc[tables.OTHER, "AMI"].low > table.loc[tables.WITHIN, "AMI"].high
    assert table.loc[tables.OTHER, "round trip"].value == 1
    assert table.loc[tables.OTHER, "K"] == K
    assert abs(table.loc[tables.ANY, "AMI"].value) < 0.05


def test_differences_and_what_would_have_been_shown(compared):
    minus = compared.differences()
    assert tables.OTHER not in minus.index
    assert minus.loc[tables.CEILING, "AMI"].high < 0 < minus.loc[tables.WITHIN, "AMI"].low
    assert (minus["AMI detectable"].drop(tables.CEILING) > 0).all()
    own, rival = (compared.pairs[n].overlap for n in (tables.OTHER, tables.TEXTS))
    assert minus.loc[tables.TEXTS, "overlap"].value == pytest.approx((own - rival).mean())


def test_every_percentile_has_a_column(compared):
    table = tables.by_percentile({4: compared, 16: compared})
    assert list(table.columns) == ["p 4", "p 16"]
    assert table.loc[tables.OTHER, "p 4"] == compared.table().loc[tables.OTHER, "AMI"]


def test_pairs_are_listed_by_the_first_half(compared):
    a, b = made_partitions(WORDS)[tables.OTHER]
    pairs, names = compared.pairs[tables.OTHER], [f"<b>{i}" for i in range(K)]
    chance = np.full((5, K), 0.1)
    listed = tables.named_pairs(
        pairs, (names, names), (a, b), WORDS.word, SECOND, chance, compared.pairs[tables.CONTEXT], 3
    )
    assert len(listed) == 3
    best = int(pairs.chosen_by.argmax())
    assert listed["region"].iloc[0] == f"{pairs.region[best]} <b>{pairs.region[best]}"
    assert listed["overlap"].iloc[0] == pairs.overlap[best]
    assert listed["permuted"].iloc[0] == pytest.approx(0.1)
    first = listed["common words"].iloc[0].split(", ")[0]
    held = (WORDS.word == first) & (a == pairs.region[best]) & (b == pairs.partner[best]) & SECOND
    assert held.sum() > 0
    assert set(listed["returns"]) <= {"yes", "no"}


def test_cells_as_text():
    assert tables.as_decimals(Interval(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"
    assert tables.as_decimals(1234) == tables.as_decimals(np.int64(1234)) == "1,234"
    assert (tables.as_decimals(0.5), tables.as_decimals("x")) == ("0.500", "x")


def test_a_figure_has_a_row_a_comparison(compared):
    table = compared.table()
    figure = plot_comparisons(table, "a title")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == list(table.index)
    dotted = [line for line in figure.axes[1].lines if line.get_linestyle() == ":"]
    assert dotted[0].get_xdata()[0] == table.loc[tables.OTHER, "overlap"].value
    assert all(ax.get_xlabel() for ax in figure.axes)
    plt.close(figure)
