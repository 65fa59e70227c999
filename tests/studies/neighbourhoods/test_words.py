"""What activations say by their tokens: traits, the region of a word, names of regions."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plot_examples import partition
from tiny_models import tiny_llama

from epkit.lm.activations import ActivationStream
from epkit.lm.store import cached
from epkit.studies.neighbourhoods.words import RegionNames, StreamWords

TOKENS = [" School", "school", " father", "father", " the", " 12", "\n", " of", " school", " x1"]


def words_of(tokens, before=None):
    return StreamWords.from_texts(tokens, before or [""] * len(tokens), np.zeros(len(tokens), int))


def test_traits_are_numbered_in_order_of_appearance():
    words = words_of([" School", "\n", " school", " 12", " the", " 7", " of"])
    assert words.word.tolist() == [0, -1, 0, 1, 2, 3, 4]
    classes = words.word_class.tolist()
    assert classes[2] == -1  # a word like others
    assert classes[3] == classes[5] != classes[1]
    assert classes[0] >= 0  # capitalised


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([" a", "A", "\n", " b", "", " ", "nan"]), min_size=1, max_size=20))
def test_words_are_the_same_where_their_letters_are(tokens):
    word = words_of(tokens).word
    spelled = [t.strip().casefold() for t in tokens]
    for i, one in enumerate(spelled):
        assert (word[i] < 0) == (not one)
        assert [word[i] == w for w in word] == [one == other for other in spelled]


def test_the_region_of_a_word_holds_most_of_it():
    words = words_of([" school", "school", " School", " school", " the", " the"])
    region = np.array([4, 2, 7, 2, 5, 3])
    assert words.region_of("school", region) == 2
    assert words.region_of("School", region) == 7
    assert words.region_of("the", region) == 3  # a tie goes to the lowest
    with pytest.raises(ValueError, match="'church' is not a word of the stream"):
        words.region_of("church", region)


def test_pairs_are_of_common_words_that_are_no_class():
    tokens = [" dog"] * 3 + [" cat"] * 2 + ["bird"] * 9 + [" The", " the", " 12", " tree", " fish"]
    words = words_of(tokens)
    pairs = words.draw_pairs(2, seed=1)
    assert sorted(word for pair in pairs for word in pair) == ["cat", "dog", "fish", "tree"]
    assert pairs == words.draw_pairs(2, seed=1)
    assert {tuple(words.draw_pairs(2, seed=s)) for s in range(9)} != {tuple(pairs)}
    assert len(words.draw_pairs(9)) == 2
    assert words_of(["a", "b"]).draw_pairs(2) == []


@pytest.mark.parametrize(
    ("tokens", "before", "form"),
    [
        ([" dog"] * 4, None, "dog"),
        ([" 1", " 23", " 4", " 5"], None, "[number]"),
        ([" dog", " cat", " tree", " sky"], [" small"] * 4, "after 'small'"),
        ([" dog", " Dog", " cat", " tree", " sky", " sea"], list("abcdef"), "≈ dog | "),
    ],
)
def test_a_form_is_what_members_share(tokens, before, form):
    words = words_of(tokens, before)
    assert words.form(np.arange(len(tokens))).startswith(form)


def test_a_form_needs_members():
    assert words_of(TOKENS).form(np.array([], int)) == "(no members among those read)"


def test_names_have_the_number_the_form_and_what_is_promoted():
    d, model = partition(200, 16, 5, 1), tiny_llama()
    region = d.assign(d.exemplars + d.centre)[0].numpy()
    words = words_of([" dog"] * len(d))
    name = partial(RegionNames(model, words).of, d, region)
    assert name([2])[0].startswith("2: ≈ dog\n→ ")
    assert [n.split(" → ")[0] for n in name([1, 0], " ")] == ["1: ≈ dog", "0: ≈ dog"]
    assert name([1, 0]) == [*name([1]), *name([0])]
    nobody = RegionNames(model, words).of(d, np.full(len(d), -1), [0])
    assert nobody[0].startswith("0: (no members")


def test_the_words_of_a_stream(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    model = tiny_llama()
    texts = ["a cat sat", "the dog sat on a mat"]
    stream = cached(ActivationStream(model, texts, [1], context=8), 20, show_progress=False)
    words = StreamWords.of(stream, model.tokenizer)
    assert len(words.token) == len(words.document) == stream.n == 20
    read = "".join(words.token[words.document == 0])
    assert read == texts[0][-len(read) :]
    assert "".join(words.token[words.document == 1]) in texts[1]
    for i in range(1, stream.n):
        assert words.before[i] in ("", words.token[i - 1])
    assert words.before[0] == ""


def test_anchors_are_the_regions_that_hold_their_words_at_every_percentile():
    words = words_of([" dog", " cat", " dog", " tree"])
    region = {4: np.array([0, 1, 0, 1]), 2: np.array([3, 2, 3, 0])}
    found = words.anchors([("dog", "cat"), ("tree", "dog")], region)
    assert found == {
        ("dog", "cat"): {4: (0, 1), 2: (3, 2)},
        ("tree", "dog"): {4: (1, 0), 2: (0, 3)},
    }
    with pytest.raises(ValueError, match="'bird' is not a word of the stream"):
        words.anchors([("bird", "dog")], region)
