"""The verdict in each of its wordings, on made-up tables."""

import numpy as np
import pytest
from across_examples import made_partitions, made_words

from epkit.stats import Interval
from epkit.studies.across_models import correspondence, tables, verdict

WORDS = made_words()


def test_the_answer_and_a_line_a_rival():
    second = correspondence.halves(WORDS.document, 0)
    compared = tables.ModelComparison(made_partitions(WORDS), WORDS.document, second, 5, 0)
    beyond = np.array([True] * 15 + [False] * 5)
    random = {8: compared.ami_less(tables.DRAWN), 16: Interval(-0.2, -0.3, -0.1)}
    lines = verdict.across_verdict(
        compared.table(), compared.differences(), random, beyond, ("one", "two"), "p 8, 1,500 words"
    )
    assert lines[0].startswith("one and two, p 8, 1,500 words: AMI 0.")
    assert "round trip 100%" in lines[0]
    assert "the same model in another order has AMI 1.000" in lines[0]
    assert f"More than {', '.join(verdict.RIVALS)}; less than none of the rivals." in lines[0]
    assert len(lines) == 1 + len(verdict.RIVALS) + 1 + 1 + 1
    assert all(": AMI +0." in line and ", more; overlap" in line for line in lines[1:-2])
    assert lines[-2].startswith("AMI less that of random exemplars at every percentile: p 8 +0.")
    assert lines[-2].endswith(", more; p 16 -0.200 [-0.300, -0.100], less.")
    assert lines[-1].startswith("75% [53%, 89%] of 20 regions")
    assert lines[-1].endswith("most pairs share more than the words they hold.")


def test_lists_of_names():
    assert verdict.listed_rivals([]) == "none of the rivals"
    assert verdict.listed_rivals(["a", "b"]) == "a, b"


def test_differences_say_what_could_have_been_shown():
    assert verdict.difference(Interval(0.2, 0.1, 0.3)) == "more"
    assert verdict.difference(Interval(-0.2, -0.3, -0.1)) == "less"
    assert verdict.difference(Interval(0.0, -0.1, 0.1), ".0%") == "not shown (detectable 14%)"
    assert verdict.difference(Interval(0.0, 0.0, 0.0)) == "not shown"


@pytest.mark.parametrize(
    ("share", "words"),
    [((0.8, 0.7, 0.9), "most pairs"), ((0.2, 0.1, 0.3), "some pairs"),
     ((0.06, 0.02, 0.1), "that pairs share more than the words they hold is not shown")],
)  # fmt: skip
def test_beyond_words(share, words):
    assert verdict.beyond_words(Interval(*share)).startswith(words)
