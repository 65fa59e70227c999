"""Tests of epkit.tables."""

from dataclasses import replace

import pytest
import torch
from conftest import mixture
from fake_stream import FakeStream

from epkit.build import build_from
from epkit.inspect.tables import context_line, region_table


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


def test_what_cannot_be_shown_is_said(dictionary):
    with pytest.raises(ValueError, match="no members"):
        region_table(replace(dictionary, members=None), Words(), [0])
    with pytest.raises(ValueError, match="region 99999"):
        region_table(dictionary, Words(), torch.tensor([99999]))
