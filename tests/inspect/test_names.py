"""The rule that says what members share, on groups whose answer is known."""

import pytest

from epkit.inspect.names import TRAITS, shared_pattern, token_class


def group(tokens, before=None):
    return shared_pattern(tokens, before or [str(i) for i in range(len(tokens))])


@pytest.mark.parametrize(
    ("tokens", "kind", "what", "share"),
    [
        ([" the"] * 4, "token", " the", 1.0),
        ([" the"] * 3 + [" dog"], "token", " the", 0.75),
        ([" The", "the", " the", " THE"], "word", "the", 1.0),
        ([" running", " walking", "seeing", " jumped"], "ending", "-ing", 0.75),
        ([" in", " of", " at", " river"], "class", "preposition", 0.75),
        (["1", " 22", "303", "4"], "class", "number", 1.0),
        ([" Paris", " London", " Rome", " sat"], "class", "capitalised word", 0.75),
        (["\n", "\n\n", " \n", "\n"], "class", "line end", 1.0),
        (["ate", "ment", "ling", "esque"], "class", "piece of a word", 1.0),
        ([" river", " happy", " seven", " jump"], "none", "-ver", 0.25),
    ],
)
def test_known_groups(tokens, kind, what, share):
    got = group(tokens)
    assert got.kind == kind
    assert got.share == share
    if kind != "none":
        assert got.what == what


def test_what_stands_before_counts_after_the_token_itself():
    tokens = [" river", " happy", " seven", " jump"]
    assert shared_pattern(tokens, [" to", "To", " to", " a"]) == ("after", "to", 0.75)
    assert shared_pattern([" x"] * 4, [" to"] * 4).kind == "token"


def test_the_start_of_a_window_is_no_shared_predecessor():
    assert shared_pattern([" river", " happy", " seven", " jump"], [""] * 4).kind == "none"


def test_just_under_the_share_is_not_shared():
    got = group([" the"] * 5 + [" river", " jump", " seven"])
    assert got == ("none", " the", 5 / 8)


def test_the_share_can_be_raised():
    tokens = [" the"] * 3 + [" dog"]
    assert shared_pattern(tokens, ["a", "b", "c", "d"], share=1.0).kind == "none"


def test_narrow_traits_are_named_before_broad_ones():
    assert list(TRAITS) == ["token", "word", "ending", "after", "class"]


@pytest.mark.parametrize(
    ("token", "wanted"),
    [
        (" it", "pronoun"), ("The", "determiner"), (" would", "auxiliary"),
        (" because", "conjunction"),
        ("2024", "number"), (".", "punctuation"), ("“", "punctuation"), (" ==", "code sign"),
        ("{", "code sign"), ("\n", "line end"), ("  ", "space"), ("", None),
        ("\ufffd", "part of a character"),
        (" NASA", "capitals"), (" Paris", "capitalised word"), ("ing", "piece of a word"),
        (" river", None), (" Москва", "other script"), ("漢", "other script"), (" x1", None),
    ],
)  # fmt: skip
def test_classes(token, wanted):
    assert token_class(token) == wanted


def test_it_reads_well():
    assert str(shared_pattern([" x"] * 4, [""] * 4)) == "' x' (100%)"
    assert str(shared_pattern([" a1", " b1", " c1", " d1"], [" to"] * 4)) == "after 'to' (100%)"


@pytest.mark.parametrize(
    ("tokens", "before", "share", "words"),
    [
        ([], [], 0.75, "at least one token"),
        (["a"], [], 0.75, "1 tokens and 0 preceding"),
        (["a"], ["b"], 0.5, "share must be a finite number in"),
        (["a"], ["b"], 1.5, "share must be a finite number in"),
    ],
)
def test_bad_input_gets_one_sentence(tokens, before, share, words):
    with pytest.raises(ValueError, match=words):
        shared_pattern(tokens, before, share)
