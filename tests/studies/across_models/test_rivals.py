"""Partitions made of texts alone, permutations, and the same model again."""

import numpy as np
from across_examples import made_words

from epkit.studies.across_models import rivals
from epkit.studies.across_models.alignment import AlignedWords

WORDS = made_words()


def test_a_piece_of_a_document_is_in_one_cluster():
    found = rivals.text_clusters(WORDS, 7, 10, seed=0)
    assert found.shape == (len(WORDS),)
    pieces = found.reshape(-1, 10)  # documents have 50 words
    assert (pieces == pieces[:, :1]).all()
    assert 1 < len(np.unique(found)) <= 7
    assert np.array_equal(found, rivals.text_clusters(WORDS, 7, 10, seed=0))


def test_no_piece_reaches_into_another_document():
    word = np.array(list("aaabbbbb"), dtype=object)
    rows = np.arange(8)
    words = AlignedWords(rows, rows, np.array([0] * 3 + [2] * 5), word, np.full((8, 3), ""))
    found = rivals.text_clusters(words, 2, 5, seed=0)
    assert len(set(found[:3])) == len(set(found[3:])) == 1
    assert found[0] != found[3]


def test_contexts_that_are_equal_are_in_one_cluster():
    found = rivals.context_clusters(WORDS, 12, seed=0)
    key = [(w, *b) for w, b in zip(WORDS.word, WORDS.before, strict=True)]
    for same in {k for k in key if key.count(k) > 1}:
        assert len({found[i] for i, k in enumerate(key) if k == same}) == 1
    assert len(np.unique(found)) > 1


def test_more_clusters_than_texts_are_as_many_as_texts():
    assert rivals.text_clusters(WORDS, 10_000, 50, seed=0).max() < 60


def test_permutations_keep_regions_and_within_words_what_they_hold_of_each():
    region = np.random.default_rng(0).integers(9, size=len(WORDS))
    number = rivals.word_numbers(WORDS)
    anywhere = rivals.shuffled_regions(region, None, 0)
    inside = rivals.shuffled_regions(region, number, 0)
    for found in (anywhere, inside):
        assert not np.array_equal(found, region)
        assert np.array_equal(np.bincount(found), np.bincount(region))
    for n in range(5):
        assert sorted(inside[number == n]) == sorted(region[number == n])
    assert not np.array_equal(inside, rivals.shuffled_regions(region, number, 1))
