"""The verdict in each of its wordings, on made-up tables."""

import numpy as np
import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.inspecting.matched import WEIGHTED
from epkit.studies.inspecting.tables import CHANCE, EP, HELD, RANDOM, SHARE
from epkit.studies.inspecting.verdict import against, evidence_verdict, exemplar_frequencies


def around(value, width=0.05):
    return Interval(value, value - width, value + width)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [(0.6, 0.4, "more than"), (0.4, 0.6, "less than"), (0.5, 0.54, "as"), (0.5, 0.5, "as")],
)
def test_values_differ_by_more_than_both_intervals_explain(a, b, said):
    assert against(around(a), around(b)) == said


def test_half_widths_are_added_as_independent_errors():
    # half widths .03 and .04: the difference's is .05
    assert against(around(0.551, 0.03), around(0.5, 0.04)) == "more than"
    assert against(around(0.549, 0.03), around(0.5, 0.04)) == "as"


def say(ep, rand, held=(0.6, 0.6), matched=(0.4, 0.6, 0.5)):
    evidence = pd.DataFrame(
        {
            "n": [1769, 900, 1769], SHARE: [around(ep), around(rand), Interval(0, 0, 0)],
            HELD: [*map(around, held), "–"],
        },
        index=[EP, RANDOM, CHANCE],
    )  # fmt: skip
    lens = pd.DataFrame(
        {"own region": [around(0.0312, 0.002)], "another region": [around(0.01, 0.001)]},
        index=["mean"],
    )
    return evidence_verdict(
        evidence, lens, where="layer 20, p = 1", min_members=5, n_drawn=20, n_evident=13,
        chance=np.array([0, 1, 2]), frequencies=(6.0, 1032.5),
        matched=pd.DataFrame({SHARE: map(around, matched)}, index=[EP, RANDOM, WEIGHTED]),
    )  # fmt: skip


def test_the_numbers_stand_in_the_sentences():
    regions, drawn, compared, _, lens = say(0.42, 0.6)
    assert regions == (
        "Of all 1,769 regions of 5 members or more at layer 20, p = 1, 42% [37%, 47%] have members "
        "that evidently share a token, a form or a class, of random groups 0% [0%, 0%], and of the "
        "regions around as many random exemplars 60% [55%, 65%]. Such regions hold 60% [55%, 65%] "
        "of all activations, and around random exemplars 60% [55%, 65%]."
    )
    assert drawn.endswith(
        "it is 13; of as many random groups of the same sizes 1.0 (95 %: 0 to 2)."
    )
    assert "occurs 6 times among these activations, of the random ones 1,032 times" in compared
    assert "of 3.1% [2.9%, 3.3%] of members among its ten, that of another region 1.0%" in lens


@pytest.mark.parametrize(
    ("ep", "rand", "words", "merit"),
    [
        (0.4, 0.6, "less often than those around random exemplars", True),
        (0.5, 0.5, "no more and no less often than those around random exemplars", True),
        (0.52, 0.5, "no more and no less often than those around random exemplars", False),
        (0.6, 0.4, "more often than those around random exemplars", False),
    ],
)
def test_the_comparison_by_regions(ep, rand, words, merit):
    compared = say(ep, rand)[2]
    assert f"about one evident thing {words}, counted by regions" in compared
    assert ("no merit of EP's choice" in compared) == merit


@pytest.mark.parametrize(
    ("held", "words"),
    [((0.3, 0.6), "less often than"), ((0.9, 0.6), "more often than"),
     ((0.6, 0.6), "no more and no less often than")],
)  # fmt: skip
def test_the_comparison_by_activations(held, words):
    assert f"and {words} those, counted by activations" in say(0.5, 0.5, held)[2]


@pytest.mark.parametrize(
    ("matched", "words", "reason"),
    [
        ((0.4, 0.6, 0.6), "less often than", "rarer tokens are not all of the reason"),
        ((0.4, 0.6, 0.41), "no more and no less often than", "without the weights it was less"),
        ((0.4, 0.6, 0.2), "more often than", "without the weights it was less often than"),
        ((0.4, 0.4, 0.4), "no more and no less often than", "as before"),
    ],
)
def test_the_comparison_at_equal_frequency(matched, words, reason):
    sentence = say(0.5, 0.5, matched=matched)[3]
    assert "it is 40% [35%, 45%] of EP's regions" in sentence
    assert f"about one evident thing {words} theirs ({reason}" in sentence


def test_frequencies_of_the_median_exemplars():
    ids = np.array([3, 3, 3, 1, 1, 2])
    assert exemplar_frequencies(ids, np.array([2, 9, 1]), np.array([3, 3, 2])) == (1, 3)
