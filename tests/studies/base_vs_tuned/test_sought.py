"""The rank of a habit's region, and what was chosen where."""

import numpy as np
import pytest

from epkit.studies.base_vs_tuned import membership, sought
from epkit.studies.base_vs_tuned.rows import ANSWER, END, REFUSED


@pytest.mark.parametrize("score", membership.SCORES[:2])
def test_the_habit_that_was_taught_is_found(what, member, score):
    s = sought.sought(member(), what, 1, REFUSED, score)
    assert s.rank == 1
    assert s.p == 1 / s.n
    assert s.share > 0.5
    assert s.value >= s.needed


def test_ranks_and_thresholds_by_hand(what, member):
    m = member()
    changes = membership.region_changes(m, what.half, 1)
    s = sought.sought(m, what, 1, END, "displacement")
    scores = np.sort(changes.displacement)[::-1]
    assert s.n == len(changes)
    assert scores[s.rank - 1] == s.value
    assert s.needed == scores[max(0, int(0.05 * s.n) - 1)]


def test_a_place_that_nothing_stands_at_is_an_error(what, member):
    with pytest.raises(ValueError, match="no region of half 0 holds tokens at the place 'nowhere'"):
        sought.sought(member(), what, 0, "nowhere", "displacement")


def test_the_choice_is_the_score_that_ranks_highest_over_all_dictionaries(what, member):
    m = member()
    table, choice = sought.choose_score({(3, 10): m, (5, 10): m}, what, 0, REFUSED)
    assert len(table) == 2 * len(membership.SCORES)
    assert (choice.layer, choice.p) == (3, 10)  # the first of equals
    means = table.groupby("score")["p of the rank"].mean()
    assert means[choice.score] == means.min()


def test_the_table_looks_for_every_habit(what, member):
    looked = [("refusal", "refusal", 0, REFUSED), ("refusal", "answer", 1, ANSWER)]
    table = sought.sought_table(looked, {"refusal": member()}, what, "displacement")
    assert list(table.half) == ["A", "B"]
    assert list(table["looked for"]) == ["refusal", "answer"]
    one = sought.sought(member(), what, 1, ANSWER, "displacement")
    assert table["rank"][1] == one.rank
