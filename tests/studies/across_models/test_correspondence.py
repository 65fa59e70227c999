"""Pairs, round trips and their chance level by hand."""

import numpy as np
import pytest
from across_examples import K, made_regions, made_words

from epkit.stats import jackknife
from epkit.studies.across_models import correspondence as c
from epkit.studies.across_models.rivals import shuffled_regions

WORDS = made_words()
SECOND = c.halves(WORDS.document, 0)


def test_halves_are_of_whole_documents():
    assert not set(WORDS.document[SECOND]) & set(WORDS.document[~SECOND])
    assert len(set(WORDS.document[SECOND])) == 30


def test_partners_are_chosen_on_one_half_and_tested_on_the_other():
    a = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    b = np.array([1, 1, 0, 0, 1, 0, 0, 1])
    second = np.arange(8) >= 4
    pairs = c.pairs_of(a, b, second, 2)
    assert pairs.partner.tolist() == [1, 0]
    assert pairs.chosen_by.tolist() == [1, 1]
    assert pairs.overlap.tolist() == pytest.approx([1 / 3, 1 / 3])
    with pytest.raises(ValueError, match="no region has 3 words"):
        c.pairs_of(a, b, second, 3)


def test_a_round_trip_goes_back_on_the_second_half():
    a = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    b = np.array([0, 0, 1, 1, 1, 1, 0, 0])
    second = np.arange(8) >= 4
    assert c.pairs_of(a, a, second, 1).returns.tolist() == [True, True]
    assert c.pairs_of(a, b, second, 1).returns.tolist() == [False, False]


def test_regions_that_correspond_are_found_beyond_permutations():
    a, b = made_regions(WORDS)
    pairs = c.pairs_of(a, b, SECOND, 5)
    assert pairs.partner.tolist() == [(i + 3) % K for i in range(K)]
    assert pairs.returns.all()
    overlaps, returns = c.chance_overlaps(a, lambda i: shuffled_regions(b, None, i), SECOND, 5, 39)
    assert overlaps.shape == returns.shape == (39, K)
    assert c.beyond_chance(pairs, overlaps).all()
    lucky = pairs._replace(overlap=overlaps[0])
    assert c.beyond_chance(lucky, overlaps[1:]).mean() < 0.5


def test_agreement_and_its_jackknife():
    a, b = made_regions(WORDS)
    assert c.ami(a, a, SECOND) == pytest.approx(1)
    value, left_out = c.ami(a, b, SECOND), c.ami_left_out(a, b, SECOND, WORDS.document, 0)
    assert left_out.shape == (c.GROUPS,)
    interval = jackknife(value, left_out)
    assert interval.low < value < interval.high
    assert interval.high - interval.low < 0.2
