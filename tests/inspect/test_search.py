"""Searches of regions against searches by hand, and expressions that would never end."""

import contextlib
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from region_examples import WORDS, WordTokenizer, built_atlas, example_dictionary

from epkit.inspect.facts import WIDTH
from epkit.inspect.regions import Regions
from epkit.inspect.search import PROMOTES, SECONDS, WEIGHTS, RegionSearch
from epkit.lm.lens import logit_lens
from epkit.lm.tokens import text_ids


@pytest.fixture(scope="module")
def example():
    d = example_dictionary()
    regions = Regions(d, WordTokenizer())
    return d, regions, RegionSearch(regions)


def kept(d, k):
    return [i for kind in ("closest", "farthest", "random") for i in d.members.of(k, kind)[0]]


@pytest.mark.parametrize(
    "pattern",
    ["word1", "(?:word1)", "D1 WoRd", r"word(7|9)\b", r"\n", "<script>", "zz", "hacked'>"],
)
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
    regions = Regions(atlas[2, 5], model)
    search = RegionSearch(regions)
    lens = regions.promoted.of(np.arange(len(regions)))
    token = int(lens.promoted[7, 0])
    (text,) = regions.texts([token])
    found = search.by_promoted(text)
    assert found.score[7] >= 1
    holders = [(lens.promoted[k] == token).any().item() for k in range(len(regions))]
    assert all(found.score[k] > 0 for k in range(len(regions)) if holders[k])


def test_promoted_tokens_are_found_by_one_column_of_the_lens():
    model, atlas = built_atlas()
    regions = Regions(atlas[2, 5], model)
    lens = logit_lens(model, atlas[2, 5].means, k=model.vocab_size)
    (token,) = text_ids(model.tokenizer, "P")
    row, column = (lens.promoted == token).nonzero(as_tuple=True)
    logits = lens.promoted_logits[row, column]
    z = (logits - logits.mean()) / logits.std(correction=0)
    np.testing.assert_allclose(regions.promoted.standing([token]), z, atol=1e-4)
    found = RegionSearch(regions).by_promoted("P")
    assert not regions.promoted.complete
    assert (found.score > 0).tolist() == (z >= PROMOTES).tolist()


def test_one_search_adds_up_what_each_way_finds(example):
    _, _, search = example
    match = search.by_any("word12")
    token, text = search.by_token("word12"), search.by_context("word12")
    expected = WEIGHTS["token"] * token.score + WEIGHTS["text"] * text.score
    np.testing.assert_allclose(match.score, expected, atol=1e-6)
    assert list(match.by) == ["token", "text"]
    assert match.said == ["searching promoted tokens needs the model or a logit lens"]
    assert (match.place == text.place).all()
    none = search.by_any("(")
    assert list(none.by) == ["token"]
    assert "is not a regular expression" in none.said[0]


def test_bad_expressions_get_a_sentence(example):
    _, _, search = example
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression: missing \)"):
        search.by_context("(")
    with pytest.raises(ValueError, match="needs the model or a logit lens"):
        search.by_promoted("a")


def search_of(windows):
    """A search of windows of text alone, without members."""
    search = RegionSearch.__new__(RegionSearch)
    search._windows = windows
    search._letters = np.zeros(0, dtype=np.uint32)
    search._offset = np.arange(sum(map(len, windows)) + 1)
    search._low = search._high = search._region = search._index = np.zeros(0, dtype=int)
    search._kept = np.ones(1)
    return search


ENDLESS = ["(a+)+b", "(a|a)+b", "(a|aa)+$", "(?=(a+)+b)", "(.*?,){9}b|(a*)*b", "a.*?" * 20 + "z"]
ENDLESS += ["(a?){20}a{20}b", "(?b)(?:(a|ab)+x){e<=50}", "(a*)*(a*)*b"]


@pytest.mark.parametrize("seconds", [0.3])
@pytest.mark.parametrize("windows", [["a" * 20_000], ["a" * 300] * 400, ["aab a" * 20] * 20_000])
def test_no_expression_runs_longer_than_the_limit(monkeypatch, windows, seconds):
    monkeypatch.setattr("epkit.inspect.search.SECONDS", seconds)
    search = search_of(windows)
    ended = 0
    for pattern in ENDLESS:
        for _ in range(3):  # other work shares the machine
            took, error = asked(search, pattern)
            if took < seconds + 0.5:
                break
        assert took < seconds + 0.5, pattern
        assert error is None or "make it simpler" in str(error)
        assert error is None or isinstance(error.__cause__, TimeoutError)
        ended += error is not None
    assert ended


def asked(search, pattern):
    """How long a search took, and its error if it ended in one."""
    began = time.monotonic()
    try:
        search.by_context(pattern)
    except ValueError as error:
        return time.monotonic() - began, error
    return time.monotonic() - began, None


REFUSED = {
    "calls itself": ["(?R)", "(a(?R)?b)", "(a(?1)?)", "(?+1)(c)", "(?<x>(?&x))", "(?P<x>(?P>x))"],
    "brackets": ["(" * 90 + "a" + ")" * 90, "(" * 7 + "a" + "|a)+" * 7, "(?:" * 9 + "a" + ")*" * 9],
    "characters": ["a" * 201, "(" * 3000 + ")" * 3000, "x?" * 500],
    "counts of the expression": ["(?:(?:a{99}){99}){99}", "(?:a?){1001}", "((a{2,40}){2,40}){9}"],
    "is not a regular expression": ["(", "[", "a{2}{3}**", "(?<=", "\\", "(?V1)a", "(?<1>a)"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "pattern"), [(words, p) for words, several in REFUSED.items() for p in several]
)
def test_what_cannot_be_compiled_at_once_is_refused(example, words, pattern):
    began = time.monotonic()
    with pytest.raises(ValueError, match=words):
        example[2].by_context(pattern)
    assert time.monotonic() - began < 0.5


PIECES = [
    "a",
    "b",
    ".",
    "(",
    ")",
    "(?:",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "{0,9}",
    "[ab]",
    "[^a]",
    "$",
    "\\b",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_expression_ends_within_the_limit(pattern):
    search = search_of(["abba ab " * 30] * 20)
    began = time.monotonic()
    with contextlib.suppress(ValueError):
        search.by_context(pattern)
    assert time.monotonic() - began < SECONDS + 0.5


@pytest.mark.parametrize("pattern", [r"[(]{3}", r"\(\(\(\(\(\(\(\(", "[^](((((((((]", "a{1000}"])
def test_brackets_that_are_characters_are_not_counted(example, pattern):
    example[2].by_context(pattern)
