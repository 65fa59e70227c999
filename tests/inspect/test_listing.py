"""The list of regions: narrowed, sorted, told in lines."""

import numpy as np
import pytest
from region_examples import WordTokenizer, built_atlas, example_dictionary

from epkit.inspect.interest import interest, most_interesting
from epkit.inspect.listing import RegionList
from epkit.inspect.regions import Regions


@pytest.fixture
def example():
    d = example_dictionary()
    regions = Regions(d, WordTokenizer())
    listed = RegionList(regions)
    listed.min_members = 1
    return d, regions, listed


def test_every_order(example):
    d, regions, listed = example
    assert listed.search("") == "40 of 40 regions have a member"
    by_size = listed.sorted("size", 0)
    assert d.counts[by_size].tolist() == sorted(d.counts.tolist(), reverse=True)
    near = listed.sorted("nearest", 7)
    assert near[0] == 7
    assert (np.diff(regions.nearest(7)[near]) >= 0).all()
    assert (np.diff(d.coherence.numpy()[listed.sorted("coherence", 0)]) <= 0).all()
    score = interest(regions)
    assert (np.diff(score[listed.sorted("interest", 0)]) <= 0).all()
    assert (listed.sorted("match", 0) == listed.sorted("interest", 0)).all()
    with pytest.raises(ValueError, match="by must be one of"):
        listed.sorted("beauty", 0)


def test_a_search_narrows_and_lines_show_what_was_found(example):
    _, _, listed = example
    said = listed.search("word12")
    rows = listed.sorted("match", 0)
    assert said.startswith(f"{len(rows)} of 40 regions match “word12”")
    assert "by a member token" in said
    assert "needs the model or a logit lens" in said
    assert all("word12" in text for text, _ in listed.lines(rows))
    assert listed.lines(rows[:1])[0][1] == rows[0]
    assert listed.search("nowhere").startswith("0 of 40 regions")
    assert len(listed.sorted("size", 0)) == 0


def test_small_regions_are_left_out(example):
    d, _, listed = example
    listed.min_members = 60
    wanted = (d.counts >= 60).nonzero()[:, 0].tolist()
    assert listed.search("") == f"{len(wanted)} of 40 regions have 60 members or more"
    assert sorted(listed.sorted("size", 0)) == wanted
    assert d.counts[most_interesting(listed.counts, listed.interest, listed.min_members)] >= 60


def test_a_region_found_by_what_it_promotes_says_so():
    model, atlas = built_atlas()
    listed = RegionList(Regions(atlas[2, 1], model))
    listed.min_members = 1
    tokens = [chr(c) for c in range(33, 127)]
    for token in tokens:
        listed.search(token)
        by = listed._match.by
        others = sum(by[way].score for way in by if way != "promoted")
        only = (by["promoted"].score > 0) & (others == 0)
        if only.any():
            line = listed.lines(only.nonzero()[0][:1])[0][0]
            assert "promotes it: " in line
            return
    pytest.fail("no token is promoted anywhere")
