"""Members as groups of tokens: by hand on two windows, by definition on a partition."""

import numpy as np
import pytest
import torch
from conftest import mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from plot_examples import partition
from region_examples import WordTokenizer

from epkit.lm.text import StreamText, TokenTexts
from epkit.members import KEPT, Members
from epkit.studies.inspecting.members import (
    MEMBERS,
    MemberTokens,
    group_members,
    member_tokens,
    random_groups,
)

WORDS = ["<bos>", " the", " cat", " dog", "7"]


def stream_text(tokens, lengths):
    none = torch.zeros(0, KEPT)
    members = Members(
        torch.tensor(tokens).int(), torch.tensor(lengths).int(), torch.tensor(tokens) > 0,
        *[none.long(), none] * 3,
    )  # fmt: skip
    return StreamText(members, TokenTexts(WordTokenizer(WORDS)))


def test_what_stands_around_members_ends_with_their_window():
    found = member_tokens(stream_text([0, 1, 2, 0, 1, 3, 4], [3, 4]), 5)
    assert found.ids.tolist() == [1, 2, 1, 3, 4]
    assert found.token.tolist() == [" the", " cat", " the", " dog", "7"]
    assert found.before.tolist() == ["", " the", "", " the", " dog"]
    assert found.following.tolist() == [2, -1, 3, 4, -1]


def test_only_the_first_activations_are_told_with_what_follows_them():
    found = member_tokens(stream_text([0, 1, 2, 0, 1, 3, 4], [3, 4]), 3)
    assert found.token.tolist() == [" the", " cat", " the"]
    assert found.following.tolist() == [2, -1, 3]


def test_windows_without_bos_do_not_run_into_each_other():
    found = member_tokens(stream_text([1, 2, 3, 4], [2, 2]), 4)
    assert found.before.tolist() == ["", " the", "", " dog"]
    assert found.following.tolist() == [2, -1, 4, -1]


@pytest.fixture
def tokens():
    text = [" a", " a", " a", "7", "8", "9", " x", "y"]
    words = np.array(text, dtype=object)
    before = np.array([""] * 8, dtype=object)
    return MemberTokens(np.arange(8), words, before, np.array([1, 2, 1, -1, 5, 5, -1, -1]))


def test_kinds_of_groups(tokens):
    groups = [np.arange(3), np.arange(3, 6), np.array([2, 3, 6])]
    assert tokens.kinds(groups).tolist() == ["token", "class", "none"]
    assert [str(found) for found in tokens.shared(groups)[:2]] == ["' a' (100%)", "'number' (100%)"]


def test_the_share_of_members_followed_by_a_promoted_token(tokens):
    promoted = torch.tensor([[1, 9], [5, 9], [5, 1], [0, 3]])
    groups = [np.arange(3), np.arange(3, 6), np.array([6, 7]), np.array([4])]
    # 1, 2, 1; then two that are followed, both by 5; none that is followed; and 5, not promoted
    assert tokens.promoted_shares(groups, promoted) == pytest.approx([2 / 3, 1, 0])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.integers(1, 30), st.integers(20, 300))
def test_groups_are_of_their_region_and_no_larger_than_allowed(seed, least, n):
    d, x = partition(300, 12, 5, 1), mixture(300, 12)[:n]
    found = group_members(d, x, least, seed=seed)
    counts = torch.tensor(found.region).bincount(minlength=len(d))
    assert found.region.tolist() == d.assign(x)[0].tolist()
    assert [len(g) for g in found.members] == counts.clamp(max=MEMBERS).tolist()
    for region, group in enumerate(found.members):
        assert (found.region[group] == region).all()
        assert len(set(group.tolist())) == len(group)
    assert found.large.tolist() == (counts >= least).nonzero()[:, 0].tolist()
    assert len(found.large_members) == len(found.large)
    evident = np.arange(len(found.large)) % 2 == 0
    inside = np.isin(found.region, found.large[evident]).mean()
    assert found.held(evident).mean() == pytest.approx(inside)


def test_members_are_drawn_by_the_seed():
    d, x = partition(300, 12, 20, 1), mixture(300, 12)
    one, same, other = (group_members(d, x, 5, seed=seed) for seed in (0, 0, 1))
    drawn = [np.concatenate(g.members).tolist() for g in (one, same, other)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.slow
@pytest.mark.parametrize("given_", ["far", "near"])
def test_a_far_dictionary_groups_alike(far, given_):
    d, x = partition(300, 12, 20, 1), mixture(300, 12)
    near = group_members(d, x, 5)
    found = group_members(d.to(far), x.to(far) if given_ == "far" else x, 5)
    np.testing.assert_array_equal(found.region, near.region)
    np.testing.assert_array_equal(np.concatenate(found.members), np.concatenate(near.members))


def test_random_groups_have_their_sizes_and_no_position_twice():
    groups = random_groups(30, [5, 30, 1], np.random.default_rng(0))
    assert [len(np.unique(g)) for g in groups] == [5, 30, 1]
    assert max(g.max() for g in groups) == 29
