"""Splits, purity and agreement by hand, and near nothing where there is nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from epkit.stats import bootstrap_difference
from epkit.studies.neighbourhoods.memberships import (
    REST,
    equal_size_pairs,
    kept_together,
    overlap,
    split_flow,
    trait_agreement,
    trait_agreement_apart_from,
)

# ---- splits -------------------------------------------------------------------------------------


def test_a_split_by_hand():
    coarse = [7, 7, 7, 7, 7, 7, 2, 2]
    middle = [4, 4, 4, 1, 1, 4, 1, 9]
    finest = [0, 0, 3, 3, 5, 6, 5, 5]
    flow = split_flow([coarse, middle, finest], root=7, keep=2)
    assert flow.regions == [[7], [4, 1], [0, 3, REST]]
    assert [m.tolist() for m in flow.members] == [[6], [4, 2], [2, 2, 2]]
    assert flow.links[0].tolist() == [[4, 2]]
    assert flow.links[1].tolist() == [[2, 1, 1], [0, 1, 1]]
    assert flow.rest == [0, 0, 2]


def test_children_stand_below_the_parent_that_gives_most():
    coarse = np.zeros(9, int)
    middle = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])
    finest = np.array([5, 5, 5, 2, 2, 3, 3, 3, 3])
    assert split_flow([coarse, middle, finest], 0).regions == [[0], [0, 1], [5, 2, 3]]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 6)] * 4), min_size=1, max_size=80),
    st.integers(1, 7),
)
def test_flow_conserves_the_members_of_the_root(rows, keep):
    levels = np.array(rows).T
    root = levels[0, 0]
    n = int((levels[0] == root).sum())
    flow = split_flow(list(levels), root, keep)
    assert flow.regions[0] == [root]
    for members in flow.members:
        assert members.sum() == n
    for i, links in enumerate(flow.links):
        assert links.sum(axis=1).tolist() == flow.members[i].tolist()
        assert links.sum(axis=0).tolist() == flow.members[i + 1].tolist()
    for i, shown in enumerate(flow.regions[1:], 1):
        there = np.unique(levels[i][levels[0] == root])
        named = [r for r in shown if r != REST]
        assert len(named) == min(keep, len(there))
        assert len(named) + flow.rest[i] == len(there)
        assert (REST in shown) == (flow.rest[i] > 0)


def test_splits_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="levels of 2, 3"):
        split_flow([[0, 0], [0, 1, 2]], 0)
    with pytest.raises(ValueError, match="region 5 of the coarsest level has no members"):
        split_flow([[0, 0], [0, 1]], 5)
    with pytest.raises(ValueError, match="at least one region"):
        split_flow([[0, 0], [0, 1]], 0, keep=0)


def test_purity_by_hand():
    fine = [0, 0, 0, 1, 1, 2]
    coarse = [5, 5, 6, 6, 6, 5]
    assert kept_together(fine, coarse)[:5].tolist() == [0.5, 0.5, 0.0, 1.0, 1.0]
    assert np.isnan(kept_together(fine, coarse)[5])  # alone in its fine region
    assert np.nanmean(kept_together(fine, fine)) == 1.0


@pytest.mark.parametrize("size", [2, 50])
def test_purity_of_shuffled_regions_does_not_depend_on_their_size(size):
    rng = np.random.default_rng(0)
    n = 40_000
    fine, coarse = np.arange(n) // size, rng.integers(4, size=n)
    assert np.nanmean(kept_together(fine, coarse)) == pytest.approx(0.25, abs=0.02)


def test_purity_is_of_the_same_activations():
    with pytest.raises(ValueError, match="same activations, got 2 and 3"):
        kept_together([0, 1], [0, 1, 2])


# ---- agreement ----------------------------------------------------------------------------------


def test_agreement_by_hand():
    region = np.array([0, 0, 0, 0, 1, 1, 2])
    trait = np.array([3, 3, 8, -1, 3, 8, -1])
    pairs = np.array([[0, 1], [1, 0], [0, 2], [0, 0]])
    # 0: half 3, a quarter 8; 1: half 3, half 8. One below 0 is shared with nothing.
    assert trait_agreement(region, trait, pairs).tolist() == [0.375, 0.375, 0.0, 0.3125]


def test_agreement_apart_from_another_trait_by_hand():
    region = np.array([0, 0, 1, 1])
    word = np.array([1, 2, 1, 3])
    document = np.array([5, 6, 5, 6])
    # Of the four pairs, (0, 2) share word and document; of the other three, one shares a document.
    found = trait_agreement_apart_from(region, document, word, np.array([[0, 1]]))
    assert found == pytest.approx([1 / 3])


def test_nothing_is_left_where_members_never_differ():
    region, word = np.array([0, 1]), np.array([4, 4])
    assert np.isnan(
        trait_agreement_apart_from(region, np.array([1, 1]), word, np.array([[0, 1]]))
    ).all()
    no_word = np.array([-1, -1])
    assert trait_agreement_apart_from(region, np.array([1, 1]), no_word, np.array([[0, 1]])) == [
        1.0
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-1, 3), st.integers(-1, 2)),
        min_size=1, max_size=30,
    )
)  # fmt: skip
def test_agreement_is_the_count_over_pairs_of_members(rows):
    region, trait, other = np.array(rows).T
    there = np.unique(region)
    pairs = np.array([(a, b) for a in there for b in there])
    same = (trait[:, None] == trait[None]) & (trait[:, None] >= 0)
    apart = ~((other[:, None] == other[None]) & (other[:, None] >= 0))
    own = [region == r for r in range(4)]
    plain = [same[np.ix_(own[a], own[b])].mean() for a, b in pairs]
    assert trait_agreement(region, trait, pairs) == pytest.approx(plain)
    for got, (a, b) in zip(
        trait_agreement_apart_from(region, trait, other, pairs), pairs, strict=True
    ):
        cell = np.ix_(own[a], own[b])
        if apart[cell].any():
            assert got == pytest.approx(same[cell][apart[cell]].mean())
        else:
            assert np.isnan(got)


def chain(n_regions=60, seed=0):
    """Regions of unequal size on a chain; each shares its trait with the next one only."""
    rng = np.random.default_rng(seed)
    region = np.repeat(np.arange(n_regions), rng.integers(3, 40, n_regions))
    return region, region // 2, np.array([(r, r ^ 1) for r in range(n_regions)])


def test_neighbours_that_share_are_found_and_shuffled_traits_are_not():
    region, trait, near = chain()
    counts = np.bincount(region)
    far = equal_size_pairs(near, counts, np.arange(60), seed=1)
    assert trait_agreement(region, trait, near) == pytest.approx([1.0] * 60)
    gain = bootstrap_difference(
        trait_agreement(region, trait, near), trait_agreement(region, trait, far)
    )
    assert gain.low > 0.9
    shuffled = np.random.default_rng(2).permutation(trait)
    gain = bootstrap_difference(
        trait_agreement(region, shuffled, near), trait_agreement(region, shuffled, far)
    )
    assert gain.low < 0 < gain.high
    assert abs(gain.value) < 0.01


def test_agreement_refuses_what_has_no_members():
    with pytest.raises(ValueError, match="region 1 has no members"):
        trait_agreement([0, 2], [1, 1], [[0, 1]])
    with pytest.raises(ValueError, match="2 activations and 1 traits"):
        trait_agreement([0, 2], [1], [[0, 2]])


def test_overlap_by_hand():
    tokens = torch.tensor([[1, 2, 3], [3, 2, 9], [7, 8, 9]])
    found = overlap(tokens, np.array([[0, 1], [0, 2], [1, 1]]))
    assert found.tolist() == [2 / 4, 0.0, 1.0]


def test_partners_of_equal_size():
    counts = np.array([100, 10, 11, 9, 12, 1000, 8, 10])
    pairs = np.array([[0, 1]] * 50)
    eligible = np.array([0, 1, 2, 3, 5, 7])
    drawn = equal_size_pairs(pairs, counts, eligible, pool=3)
    assert (drawn[:, 0] == 0).all()
    assert set(drawn[:, 1].tolist()) == {2, 3, 7}
    assert np.array_equal(drawn, equal_size_pairs(pairs, counts, eligible, pool=3))
    small = equal_size_pairs(pairs, counts, np.array([0, 1, 5]), pool=10)
    assert set(small[:, 1].tolist()) == {5}
    with pytest.raises(ValueError, match="a third region is needed"):
        equal_size_pairs(pairs, counts, np.array([0, 1]))
