"""Tables of regions, and tables in which no text lives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture
from fake_stream import FakeStream
from hypothesis import given, settings
from hypothesis import strategies as st
from region_examples import HOSTILE, Elements

from epkit.build import build_from
from epkit.inspect.tables import context_line, region_table, text_table


class Words:
    """A tokenizer of one letter per id."""

    def decode(self, ids):
        return "".join("\n" if i == 7 else chr(97 + i % 26) for i in ids)


@pytest.fixture
def dictionary():
    stream = FakeStream({0: mixture(300, 8)})
    return build_from(stream, [10], 300, checkpoint=False, keep=False, show_progress=False)[0, 10]


def test_context_marks_the_token_and_shows_line_ends(dictionary):
    assert context_line(dictionary, Words(), 4, width=2) == "de⟦f⟧g⏎"
    assert context_line(dictionary, Words(), 0, width=2).startswith("⟦b⟧")


def test_a_row_per_region(dictionary):
    table = region_table(dictionary, Words(), [0, 2])
    assert table["region"].tolist() == [0, 2]
    assert table["members"].tolist() == dictionary.counts[[0, 2]].tolist()
    assert table["exemplar in context"][0].startswith("⟦b⟧")
    assert table["closest members"][0].split(" | ")[0] == "b"


def test_a_table_tells_names_where_there_are_some(dictionary):
    names = [f"name {k}" for k in range(len(dictionary))]
    table = region_table(dictionary, Words(), [2, 0], names=names)
    assert table["name"].tolist() == ["name 2", "name 0"]


def test_what_cannot_be_shown_is_said(dictionary):
    with pytest.raises(ValueError, match="no members"):
        region_table(replace(dictionary, members=None), Words(), [0])
    with pytest.raises(ValueError, match="region must be in 0 … 17, got int 99999"):
        region_table(dictionary, Words(), torch.tensor([99999]))


ALLOWED = {"style", "table", "caption", "thead", "tbody", "tr", "th", "td", "br"}
SIGNS = "<>&\"'/=!-aei\n\t\0\x1b\u202e\u200b\ud800 x"
texts = st.sampled_from(HOSTILE) | st.text(SIGNS, max_size=12)


@settings(max_examples=40, deadline=None)
@given(texts, texts, texts, texts)
def test_no_text_of_a_table_is_an_element(cell, header, caption, name):
    frame = pd.DataFrame({header: [cell, 1.5, None], (header, 2): [[cell, cell], np.int64(3), ""]})
    frame.index = pd.Index([cell, caption, "c"], name=name, dtype=object)
    frame.columns.name = name
    page = Elements(text_table(frame, caption, index=True).to_html())
    assert page.tags <= ALLOWED
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not set("\0\x1b\u202e\u200b\ud800") & set(page.text)


def test_what_cells_become():
    frame = pd.DataFrame({"a": ["x\ny", 1234.567, np.nan], "b": [["p\n", "<q>"], 12345, True]})
    html = text_table(frame, "A & B").to_html()
    for shown in ("x⏎y", "1,234.57", "–", "p⏎<br>&lt;q&gt;", "12345", "True", "A &amp; B"):
        assert f">{shown}<" in html, shown
    assert "x⏎y" not in text_table(frame, columns=["b"]).to_html()
    assert ">1,234.6<" in text_table(frame, digits=1).to_html()
    assert len(text_table(pd.DataFrame({"a": ["x" * 10**6]})).to_html()) < 10_000


def test_tables_ask_for_a_frame_and_columns_that_are_there():
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(TypeError, match="frame must be a pandas DataFrame, got a list"):
        text_table([1])
    with pytest.raises(ValueError, match="no column 'b'"):
        text_table(frame, columns=["b"])
    with pytest.raises(TypeError, match="columns must be a list"):
        text_table(frame, columns="a")
    for digits in (-1, 1.5, None, True):
        with pytest.raises((TypeError, ValueError), match="digits must be"):
            text_table(frame, digits=digits)


@pytest.mark.parametrize(("name", "value"), [
    ("index", -1), ("index", 300), ("index", 1.5), ("index", None), ("index", True),
    ("width", -1), ("width", 2.5), ("width", "2"), ("width", None),
])  # fmt: skip
def test_odd_arguments_of_a_context(dictionary, name, value):
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
        context_line(dictionary, Words(), **{"index": 4, "width": 2, name: value})
    assert context_line(dictionary, Words(), np.int64(4), width=np.int32(2)) == "de⟦f⟧g⏎"
