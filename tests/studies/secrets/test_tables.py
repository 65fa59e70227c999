"""The tables of notebook 15, and its figure."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from epkit.studies.secrets import plots, search, tables
from epkit.studies.secrets.organisms import Interview
from epkit.studies.secrets.selectors import Selector

N = 100


def row(organism, word, method, rank, draw=0, half=""):
    return {
        "organism": organism, "word": word, "method": method, "draw": draw, "half": half,
        "rank": rank, "n": N, "p": rank / N,
    }  # fmt: skip


@pytest.fixture
def found():
    return pd.DataFrame([
        row("moon", "moon", search.EP, 1), row("moon", "ship", search.EP, 50),
        row("ship", "ship", search.EP, 7), row("ship", "moon", search.EP, 3),
        row("ship", "ship", search.EP, 9, half="A"),
        row("none", "moon", search.EP, 80), row("none", "ship", search.EP, 90),
        *(row("ship", "ship", search.RANDOM, 10 * i, draw=i) for i in (1, 2, 3)),
        row("moon", "moon", search.TEXT, 2), row("ship", "ship", search.TEXT, 4),
    ])  # fmt: skip


def test_a_word_s_row_holds_every_method_s_rank_of_it_where_it_is_hidden(found):
    table = tables.rank_table(found)
    assert [*table.columns] == [search.EP, search.RANDOM, search.TEXT]
    assert table.loc["ship"].tolist() == ["7 (p 0.070)", "20 (p 0.200)", "4 (p 0.040)"]
    assert table.loc["moon", search.EP] == "1 (p 0.010)"
    assert tables.rank_table(found, "A").loc["ship", search.EP] == "9 (p 0.090)"


def test_every_subject_is_crossed_with_every_word(found):
    table = tables.cross_table(found, search.EP)
    assert [*table.index] == ["moon", "ship", "none"]
    assert table.loc["none"].tolist() == [80, 90]
    assert table.loc["ship", "moon"] == 3


def test_planting_compares_an_organism_with_its_base_and_other_words():
    gains = pd.DataFrame({"moon": [4.0, 0.5], "ship": [1.0, 0.25]}, index=["moon", "none"])
    moon = Interview(["a", "b"], ["moon", "ship"], [False, True])
    none = Interview(["a", "b"], [None, "ship"], [False, False])
    base = Interview(["a", "b"], [None, None], [False, False])
    table = tables.planting_table({"moon": moon, "none": none}, base, gains)
    table = table.set_index("organism")
    assert table.loc["moon", "hints at its word"].startswith("0.50 [")
    assert table.loc["moon", "its base does"].startswith("0.00 [")
    assert table.loc["moon", "says a hidden word"].startswith("0.50 [")
    assert table.loc["moon"].tolist()[3:] == ["+4.0", "+1.0"]
    assert table.loc["none"].tolist()[3:] == ["", "+0.5"]
    assert table.loc["none", "hints at its word"].startswith("0.50 [")


def test_top_regions_come_in_the_order_of_the_score(model, made, web):
    score = torch.linspace(0, 1, len(made)).double()
    region = made.assign(web)[0]
    tokens = torch.arange(len(web)) % 5 + 65
    table = tables.top_regions(model, made, score, Selector(2, 8, "answer", "gain"), tokens, region)
    assert table.region.tolist() == [len(made) - 1 - i for i in range(5)]
    assert table.members.tolist() == [(region == k).sum().item() for k in table.region]
    assert table.gain.is_monotonic_decreasing
    assert all("‹" in text for text in table["its lens promotes"])


def test_the_commonest_come_first():
    assert tables.commonest(torch.tensor([3, 1, 1, 2, 2, 2]), 2).tolist() == [2, 1]


def test_every_rank_of_all_prompts_is_drawn_once(found):
    figure = plots.plot_ranks(found, "moon")
    (ax,) = figure.axes
    drawn = [len(points.get_offsets()) for points in ax.collections]
    assert drawn == [4, 2, 5]
    assert [label.get_text() for label in figure.legends[0].get_texts()] == [
        "not hidden there", "moon (fixed on it)", "ship",
    ]  # fmt: skip
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        search.EP, search.RANDOM, search.TEXT,
    ]  # fmt: skip
    plt.close(figure)
