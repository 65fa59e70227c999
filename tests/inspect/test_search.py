"""Tests of epkit.region_search and epkit.region_list."""

import re

import numpy as np
import pytest
from region_examples import WORDS, WordTokenizer, built_atlas, example_dictionary

from epkit.inspect.facts import WIDTH
from epkit.inspect.region_list import RegionList
from epkit.inspect.regions import inspect
from epkit.inspect.search import RegionSearch


@pytest.fixture(scope="module")
def example():
    d = example_dictionary()
    regions = inspect(d, WordTokenizer())
    return d, regions, RegionSearch(regions)


def kept(d, k):
    return [i for kind in ("closest", "farthest", "random") for i in d.members.of(k, kind)[0]]


@pytest.mark.parametrize("pattern", ["word1", r"word(7|9)\b", r"\n", "<script>", "zz"])
def test_context_search_against_a_search_of_every_context(example, pattern):
    d, _, search = example
    found = search.by_context(pattern)
    for k in range(len(d)):
        hits = []
        for i in kept(d, k):
            before, own, after = d.members.context(int(i), WIDTH)
            text = "".join(WORDS[t] for t in [*before, own, *after])
            hits.append(bool(re.search(pattern, text, re.IGNORECASE)))
        assert (found.score[k] > 0) == any(hits), k
        assert found.score[k] == pytest.approx(np.mean(hits))
        assert (found.place[k] >= 0) == any(hits)


def test_token_search_puts_equal_tokens_before_those_that_hold_the_query(example):
    d, _, search = example
    found = search.by_token("WORD1 ")
    for k in range(len(d)):
        words = [WORDS[d.members.context(int(i), 0)[1]] for i in kept(d, k)]
        equal = np.mean([w == " word1" for w in words])
        inside = np.mean(["word1" in w for w in words])
        assert found.score[k] == pytest.approx(equal + 0.01 * inside)


def test_lens_search_ranks_by_place():
    model, atlas = built_atlas()
    regions = inspect(atlas[2, 5], model)
    search = RegionSearch(regions)
    lens = regions.lens(np.arange(len(regions)))
    token = int(lens.promoted[7, 0])
    (text,) = regions.texts([token])
    found = search.by_lens(text)
    assert found.score[7] >= 1
    holders = [(lens.promoted[k] == token).any().item() for k in range(len(regions))]
    assert all(found.score[k] > 0 for k in range(len(regions)) if holders[k])


def test_bad_expressions_get_a_sentence(example, monkeypatch):
    _, _, search = example
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression: missing \)"):
        search.by_context("(")
    with pytest.raises(ValueError, match="needs the model or a logit lens"):
        search.by_lens("a")
    monkeypatch.setattr("epkit.inspect.search.SECONDS", 0.05)
    slow = RegionSearch.__new__(RegionSearch)
    slow._windows, slow._offset = ["a" * 60], np.arange(61)
    slow._low = slow._high = slow._region = slow._index = np.zeros(0, dtype=int)
    with pytest.raises(ValueError, match=r"took longer than 0\.05 s"):
        slow.by_context("(a|a)+b")


def test_list_narrows_sorts_and_shows_what_was_found(example):
    d, regions, _ = example
    listed = RegionList(regions)
    assert listed.search("token", "") == "all 40 regions"
    by_size = listed.sorted("size", 0)
    assert d.counts[by_size].tolist() == sorted(d.counts.tolist(), reverse=True)
    near = listed.sorted("nearest", 7)
    assert near[0] == 7
    assert (np.diff(regions.nearest(7)[near]) >= 0).all()
    line = listed.search("context", "word12")
    rows = listed.sorted("match", 0)
    assert line.startswith(f"{len(rows)} of 40 regions")
    assert all("word12" in text for text, _ in listed.lines(rows))
    assert listed.lines(rows[:1])[0][1] == rows[0]
    assert listed.search("token", "nowhere").startswith("0 of 40 regions")
    assert len(listed.sorted("size", 0)) == 0
