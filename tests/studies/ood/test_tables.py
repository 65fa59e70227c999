import numpy as np
import pandas as pd
import pytest
from conftest import mixture

import epkit
from epkit.stats import Interval
from epkit.studies.ood import tables

HALF = Interval(0.5, 0.25, 0.75)


@pytest.mark.parametrize(
    ("cell", "said"),
    [(HALF, "0.50 [0.25, 0.75]"), ("web", "web"), (np.nan, ""), (0.126, "0.13"), (None, "")],
)
def test_a_cell_with_two_digits(cell, said):
    assert tables.short(cell) == said


def test_a_difference_has_its_sign():
    assert tables.signed_interval(Interval(-0.0126, -0.02, 0.003)) == "-0.013 [-0.020, +0.003]"


def test_tables_show_every_cell_and_their_caption():
    rows = pd.DataFrame({
        "layer": [3, 3], "p": [0.5, 0.5], "corpus": ["web", "code"], "gap": [np.nan, HALF],
        "random gap": [np.nan, 0.2], "auroc": [np.nan, HALF], "random auroc": [np.nan, 0.6],
    })  # fmt: skip
    html = tables.distances_shown(rows, ["layer", "p", "corpus"], "a caption").to_html()
    assert "a caption" in html
    assert "AUROC, tokens" in html
    assert "gap" not in html
    assert html.count("0.50 [0.25, 0.75]") == 1
    html = tables.sweep_shown(rows, "auroc", ["code"], "").to_html()
    assert html.count("0.50 [0.25, 0.75]") == 1
    assert "web" not in html
    claims = pd.DataFrame([("a claim", "yes", "2 of 3")], columns=["claim", "published", "here"])
    assert "2 of 3" in tables.published_shown(claims, "").to_html()


def test_a_star_stands_where_the_strict_interval_holds_no_zero():
    more, open_, less = Interval(0.2, 0.1, 0.3), Interval(0.2, 0.0, 0.3), Interval(-0.2, -0.3, -0.1)
    table = pd.DataFrame({1: {2: more, 7: more, 9: less}}).rename_axis("layer")
    strict = pd.DataFrame({1: {2: more, 7: open_, 9: less}})
    found = tables.starred(table, strict)
    assert found[1].tolist() == [
        "+0.200 [+0.100, +0.300]*", "+0.200 [+0.100, +0.300]", "-0.200 [-0.300, -0.100]*"
    ]  # fmt: skip
    assert found.index.name == "layer"


def test_texts_of_every_corpus_and_the_sizes_of_an_atlas():
    texts = {"web": ["a" * 99, "b"], "code": ["x = 1"]}
    table = tables.corpus_table(texts, 8)
    assert table.values.tolist() == [["web", 2, 16, "a" * 60], ["code", 1, 8, "x = 1"]]
    x = mixture(300, 8)
    parts = {layer: epkit.partition(x, [4, 0.5], seed=layer, device="cpu") for layer in (3, 1)}
    atlas = {(layer, p): [d] for layer, part in parts.items() for p, d in part.items()}
    table = tables.atlas_table(atlas)
    assert table.index.tolist() == [1, 3]
    assert sorted(table.columns) == ["0.5", "4"]
    (d,) = atlas[3, 4]
    assert table.loc[3, "4"] == f"{len(d)}, {d.threshold:.3f}"
    longer = tables.atlas_table({(3, 4): [d, range(len(d) + 2)]})
    assert longer.loc[3, "4"] == f"{len(d)}–{len(d) + 2}, {d.threshold:.3f}"
