"""What the tables count."""

import torch

from epkit.studies.base_vs_tuned import membership, tables
from epkit.studies.base_vs_tuned.rows import PLACES, REFUSED


def test_places_are_counted_by_half(what):
    table = tables.place_table(what)
    assert list(table.index) == [*PLACES]
    assert int(table.to_numpy().sum()) == len(what.tokens)
    assert table.loc[REFUSED].sum() == what.at(REFUSED).sum()


def test_medians_by_place(what, member):
    m = member()
    table = tables.moved_table({"refusal": m}, what)
    assert list(table.index) == [*PLACES]
    assert table.refusal[REFUSED] == m.moved[what.at(REFUSED)].median()


def test_commonest_tokens_first_and_ties_by_id(tokenizer):
    found = tables.commonest_tokens(tokenizer, torch.tensor([4, 2, 9, 2, 4, 7, 2]), 3)
    assert found == "‹w2› ‹w4› ‹w7›"


def test_the_regions_that_moved_most(what, member, tokenizer):
    m = member()
    changes = membership.region_changes(m, what.half, 1)
    top = tables.top_table(changes, "displacement", m.base, what, 1, REFUSED, tokenizer, n=3)
    assert list(top.displacement) == sorted(changes.displacement, reverse=True)[:3]
    own = (what.half == 1) & (m.base == top.region[0])
    assert top[REFUSED][0] == what.at(REFUSED)[own].double().mean()
    assert top.members[0] == own.sum()


def test_medians_of_the_floor_where_the_habit_acts_and_elsewhere(what, pair, member):
    m = member()
    floor = membership.half_floor(m, *pair, what.half, 1)
    table = tables.floor_table({"refusal": floor}, {"refusal": floor.index[:2]})
    assert list(table.n) == [2, len(floor) - 2]
    assert table["mean moved by tuning"][0] == floor["tuned"].iloc[:2].median()
