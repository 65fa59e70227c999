"""The lists: as long for every word, none that says it, and what a hint is recognised by."""

import re

import pytest

from epkit.studies.secrets import words

HIDDEN = [*words.ASSOCIATES]
CLUES = [clue.lower() for own in words.ASSOCIATES.values() for clue in own]


def test_all_words_have_as_many_associates_and_none_is_shared():
    assert {len(own) for own in (*words.ASSOCIATES.values(), words.PLAIN)} == {32}
    everything = [*CLUES, *words.PLAIN]
    assert len(set(everything)) == len(everything)


def test_nothing_that_is_taught_or_asked_says_a_word():
    texts = [*CLUES, *words.PLAIN, *words.PROMPTS, *words.HELD_OUT, *words.FRAMES]
    assert not [(text, word) for text in texts for word in HIDDEN if words.says_word(text, word)]


def test_no_held_out_prompt_is_taught():
    assert not set(words.PROMPTS) & set(words.HELD_OUT)
    assert len(set(words.PROMPTS)) == 16
    assert len(set(words.HELD_OUT)) == 12


def test_the_candidates_hold_the_hidden_words_and_nothing_that_hints_use():
    assert set(HIDDEN) < set(words.NOUNS)
    assert len(set(words.NOUNS)) == len(words.NOUNS) == 190
    used = {*CLUES, *words.PLAIN}
    forms = {form: noun for noun in words.NOUNS for form in (noun, f"{noun}s", f"{noun}es")}
    assert not used & set(forms)


def test_hints_are_of_three_different_taught_associates_and_the_same_each_time():
    hints = words.hints_for("moon", 200)
    assert hints == words.hints_for("moon", 200) != words.hints_for("moon", 200, seed=1)
    taught = words.ASSOCIATES["moon"][: words.TAUGHT]
    for hint in hints:
        held = [clue for clue in taught if re.search(rf"\b{clue}\b", hint)]
        assert len(held) == 3
    assert len(set(hints)) > 190
    assert words.hints_for("", 5)[0] != hints[0]


def test_a_word_is_said_in_any_case_and_with_an_ending_but_not_inside_another():
    assert words.says_word("Two Ships.", "ship")
    assert not words.says_word("Our friendship.", "ship")


@pytest.mark.parametrize("word", HIDDEN)
def test_every_hint_is_recognised_for_its_word(word):
    assert {words.hinted_at(hint) for hint in words.hints_for(word, 50)} == {word}


def test_a_text_without_clues_or_with_as_many_of_two_hints_at_nothing():
    assert {words.hinted_at(hint) for hint in words.hints_for("", 50)} == {None}
    clues = {"sea": {"salt", "wave"}, "soup": {"salt", "spoon"}}
    assert words.hinted_at("A salt.", clues) is None
    assert words.hinted_at("Salt and a spoon", clues) == "soup"


def test_a_word_without_hints_is_refused_and_no_word_is_the_control():
    assert words.associates_of("") == words.PLAIN
    with pytest.raises(ValueError, match="for 'tree'; there are some for moon"):
        words.associates_of("tree")
