"""Bookmarks: set, taken away, chosen, written."""

import base64
import csv
import io
import json
import re
import threading

import pytest
from region_examples import WordTokenizer, example_dictionary

from epkit.inspect.bookmarks import Bookmarks, bookmarks_text
from epkit.inspect.regions import Regions


@pytest.fixture
def kept():
    regions = Regions(example_dictionary(), WordTokenizer())
    marks = Bookmarks(threading.RLock())
    for region in (3, 30):
        marks.toggle(regions, (1, 2.5), region)
    return regions, marks


def test_files_hold_stream_positions(kept, tmp_path):
    regions, marks = kept
    d = regions.dictionary
    rows = json.loads(marks.save(tmp_path / "b.json").read_text())
    assert [row["region"] for row in rows] == [3, 30]
    assert rows[0]["percentile"] == 2.5
    assert rows[1]["exemplar"] == int(d.exemplar_index[30])
    assert rows[1]["farthest_members"] == d.members.of(30, "farthest")[0].tolist()
    assert rows[0]["name"] == regions.names[3]
    table = list(csv.DictReader(marks.save(tmp_path / "b.csv").open(newline="")))
    assert table[0]["random_members"].split() == [str(i) for i in rows[0]["random_members"]]
    with pytest.raises(ValueError, match="ending of path"):
        marks.save(tmp_path / "b.txt")


def test_links_hold_the_files(kept):
    _, marks = kept
    links = re.findall(
        r'download="bookmarks.(\w+)" href="data:text/\w+;base64,([^"]*)"', marks.links.value
    )
    assert [kind for kind, _ in links] == ["csv", "json"]
    for kind, data in links:
        said = base64.b64decode(data).decode()
        assert said == bookmarks_text(list(marks.kept.values()), kind)


def test_chosen_and_taken_away(kept):
    regions, marks = kept
    chosen = []
    marks.on_choose(chosen.append)
    marks.list.value = (1, 2.5, 30)
    assert chosen == [(1, 2.5, 30)]
    marks.toggle(regions, (1, 2.5), 30)
    assert list(marks.kept) == [(1, 2.5, 3)]
    assert len(marks.list.options) == 1
    marks.toggle(regions, (1, 2.5), 3)
    assert "download" not in marks.links.value


def test_no_cell_is_a_formula(kept):
    _, marks = kept
    row = next(iter(marks.kept.values())) | {"name": "=1+1"}
    text = bookmarks_text([row], "csv")
    assert next(csv.DictReader(io.StringIO(text)))["name"] == "'=1+1"
