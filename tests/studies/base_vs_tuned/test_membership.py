"""Displacement and exit rate by region, by hand."""

import numpy as np
import pytest
import torch

from epkit.studies.base_vs_tuned import membership
from epkit.studies.base_vs_tuned.rows import REFUSED


def test_what_did_not_move_has_neither_distance_nor_exits(pair, member):
    d = member().dictionary
    same = membership.memberships(d, pair[0], pair[0])
    assert same.moved.max() < 1e-6
    assert not same.left.any()


def test_regions_and_distances_are_those_of_the_dictionary(pair, member):
    m = member()
    base, tuned = pair
    c = m.dictionary.centre
    expected = 1 - torch.cosine_similarity(base - c, tuned - c)
    torch.testing.assert_close(m.moved.float(), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(m.base, m.dictionary.assign(base)[0])
    assert torch.equal(m.tuned, m.dictionary.assign(tuned)[0])


def test_changes_by_hand(what, member):
    m = member()
    changes = membership.region_changes(m, what.half, 1)
    own = what.half == 1
    for k, row in changes.iterrows():
        members = own & (m.base == k)
        assert row.members == members.sum() >= membership.FEWEST
        assert row.displacement == pytest.approx(m.moved[members].mean().item())
        assert row["exit rate"] == pytest.approx(m.left[members].double().mean().item())
        other = m.moved[~own]
        error = other.std(correction=0).item() / np.sqrt(row.members)
        expected = (row.displacement - other.mean().item()) / error
        assert row["displacement by size"] == pytest.approx(expected)
    assert set(membership.SCORES) < set(changes.columns)


def test_the_same_displacement_counts_for_more_in_a_larger_region(what, member):
    m = member()
    changes = membership.region_changes(m, what.half, 1)
    per_root = changes["displacement by size"] / np.sqrt(changes.members)
    ranks = changes.displacement.rank(), per_root.rank()
    assert ranks[0].equals(ranks[1])


def test_holding_regions_hold_nine_tenths_of_the_place(what, member):
    m, own, at = member(), what.half == 1, what.at(REFUSED)
    found = membership.holding_regions(m, own, at)
    counts = m.counts(own & at)
    assert counts[found].sum() >= 0.9 * counts.sum()
    assert counts[found[:-1]].sum() < 0.9 * counts.sum()
    assert membership.holding_regions(m, own, torch.zeros_like(at)) == []


def test_the_mean_moves_by_tuning_where_the_habit_acts_and_no_more_elsewhere(what, pair, member):
    m = member()
    floor = membership.half_floor(m, *pair, what.half, 1)
    planted = membership.holding_regions(m, what.half == 1, what.at(REFUSED))
    there = floor.index.isin(planted)
    assert floor[there]["tuned"].min() > 5 * floor[there]["other half"].max()
    assert floor[~there]["tuned"].median() < 0.1
    same = membership.half_floor(m, pair[0], pair[0], what.half, 1)
    assert same["tuned"].max() < 1e-5
    assert same["other half"].equals(floor["other half"])


@pytest.mark.slow
def test_it_runs_where_the_activations_are(what, pair, member, far):
    here, there = member(), member(far)
    assert there.dictionary.centre.device.type == "cuda"
    assert there.base.device.type == there.moved.device.type == "cpu"
    assert torch.equal(there.base, here.base)
    x = [part.to(far) for part in pair]
    near = membership.half_floor(here, *pair, what.half, 1)
    away = membership.half_floor(there, *x, what.half, 1)
    np.testing.assert_allclose(away.to_numpy(), near.to_numpy(), atol=1e-5)
