"""Comparison at equal frequency of exemplars' tokens."""

import numpy as np
import pytest

from epkit.studies.inspecting import matched
from epkit.studies.inspecting.members import Grouping, MemberTokens
from epkit.studies.inspecting.tables import EP, RANDOM, SHARE


def world(ep_frequent, random_frequent, k=400, first=0):
    """Exemplars on a frequent token (evident) or on a rare one (mixed), so many of each of k.

    Token 0 occurs 1,024 times, every other token 4 times.
    """
    ids = np.concatenate([np.zeros(1024, int), np.repeat(np.arange(1, 501), 4)])
    before = np.full(len(ids), "a", object)
    before[1024 : 1024 + first] = ""
    tokens = MemberTokens(ids, ids.astype(str), before, ids)
    groupings, exemplars, kinds = {}, {}, {}
    for name, frequent in ((EP, ep_frequent), (RANDOM, random_frequent)):
        at = np.concatenate([np.arange(frequent), 1024 + np.arange(k - frequent)])
        groupings[name] = Grouping(np.zeros(1), [np.arange(1)] * k, np.arange(k))
        exemplars[name] = at
        kinds[name] = np.where(at < 1024, "token", "none")
    return tokens, groupings, exemplars, kinds


def test_what_frequency_alone_makes_is_gone_at_equal_frequency():
    table = matched.matched_table(*world(100, 300))
    assert table.loc[EP, SHARE].value == pytest.approx(0.25)
    assert table.loc[RANDOM, SHARE].value == pytest.approx(0.75)
    weighted = table.loc[matched.WEIGHTED, SHARE]
    assert weighted.value == pytest.approx(0.25)
    assert weighted.low < 0.25 < weighted.high


def test_a_difference_at_equal_frequency_stays():
    tokens, groupings, exemplars, kinds = world(200, 200)
    kinds[EP] = np.full(400, "none")
    table = matched.matched_table(tokens, groupings, exemplars, kinds)
    assert table.loc[EP, SHARE].value == 0
    assert table.loc[matched.WEIGHTED, SHARE].low > 0.4


def test_first_places_of_windows_are_left_out():
    table = matched.matched_table(*world(100, 300, first=50))
    assert table.n.tolist() == [350, 350, 350]


def test_without_a_common_octave_it_says_so():
    with pytest.raises(ValueError, match="no octave of frequency"):
        matched.matched_table(*world(400, 0))
