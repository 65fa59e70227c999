import numpy as np
import pandas as pd
import pytest

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
    cleaned = pd.DataFrame({"code": {"as built": HALF, "without, EP − random": HALF}}).T
    html = tables.cleaned_shown(cleaned, "").to_html()
    assert "0.50 [0.25, 0.75]" in html
    assert "+0.500 [+0.250, +0.750]" in html
    claims = pd.DataFrame([("a claim", "yes", "2 of 3")], columns=["claim", "published", "here"])
    assert "2 of 3" in tables.published_shown(claims, "").to_html()
