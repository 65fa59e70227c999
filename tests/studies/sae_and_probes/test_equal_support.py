"""Members against top tokens: overlaps by hand, equal support, ties, small features, chance."""

import numpy as np
import pytest
import torch

from epkit.studies.sae_and_probes.equal_support import Overlap, match_members, ranked_latents


def latents(*sets, n=40):
    """Latents that are on at the given tokens, the first the most active."""
    x = torch.zeros(n, len(sets))
    for column, tokens in enumerate(sets):
        for rank, token in enumerate(tokens):
            x[token, column] = 100 - rank
    return ranked_latents(lambda rows: rows, x, block=7)


def features(*sets, n=40):
    """Every token's feature: the one whose set it is in, -1 for none."""
    given = np.full(n, -1)
    for number, tokens in enumerate(sets):
        given[list(tokens)] = number
    return given


def test_tokens_are_ranked_within_a_latent_and_ties_go_to_the_earliest():
    x = torch.tensor([[1.0, 0.0], [3.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    for block in (1, 3, 4):
        found = ranked_latents(lambda rows: rows, x, block=block)
        assert found.latent.tolist() == [0, 0, 0, 1]
        assert found.token.tolist() == [1, 2, 0, 1]
        assert found.rank.tolist() == [0, 1, 2, 0]
        assert found.active.tolist() == [3, 1]
        assert found.top.tolist() == [0, 0, 0, -1]
        assert found.tokens_of(0, 2).tolist() == [1, 2]
    assert (len(found), found.n_tokens) == (2, 4)


def test_a_latent_stands_with_as_many_tokens_as_the_feature_has():
    # Ten tokens are on, but beside five members only the five most active count.
    on = latents([*range(5, 10), *range(5)])
    low = match_members(features(range(5)), 1, on)
    high = match_members(features(range(5, 10)), 1, on)
    assert (low.latent.tolist(), low.f1.tolist()) == ([-1], [0])
    assert (high.latent.tolist(), high.f1.tolist()) == ([0], [1])


def test_f1_by_hand_and_the_best_latent():
    on = latents([0, 1, 2, 30, 31, 32], [0, 1, 2], [20, 21, 22, 23, 24])
    found = match_members(features(range(6), range(20, 25)), 2, on)
    # Six members: three of the first latent's six, or all of the second's three.
    assert found.members.tolist() == [6, 5]
    assert found.latent.tolist() == [1, 2]
    assert found.f1.tolist() == pytest.approx([2 * 3 / 9, 1])
    assert found.matched.tolist() == [True, True]
    assert found.token_matched.nonzero()[0].tolist() == [*range(6), *range(20, 25)]


def test_ties_go_to_the_lowest_latent_and_one_half_is_no_match():
    found = match_members(
        features(range(6)), 1, latents([0, 1, 2, 9, 10, 11], [3, 4, 5, 12, 13, 14])
    )
    assert found.latent.tolist() == [0]
    assert found.f1.tolist() == [0.5]
    assert not found.token_matched.any()
    assert found.token_f1[:6].tolist() == [0.5] * 6


def test_small_features_and_tokens_of_none_have_no_match():
    found = match_members(features(range(4), range(10, 15)), 3, latents(range(4), range(10, 15)))
    assert found.latent.tolist() == [-1, 1, -1]
    assert np.isnan(found.f1).tolist() == [True, False, True]
    assert found.token_matched.sum() == 5
    assert (found.token_f1[:10] == 0).all()


def test_a_partition_into_the_latents_themselves_matches_where_they_do_not_compete():
    on = latents(range(10), range(20, 30), n=40)
    found = match_members(on.top, len(on), on)
    assert found.f1.tolist() == [1, 1]
    assert found.latent.tolist() == [0, 1]


def test_shuffled_tokens_match_no_more_than_chance():
    rng = np.random.default_rng(0)
    x = torch.rand(2000, 10, generator=torch.Generator().manual_seed(0))
    found = match_members(rng.integers(20, size=2000), 20, ranked_latents(lambda rows: rows, x))
    assert found.token_f1.mean() < 0.15
    assert not found.matched.any()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no tokens"):
        ranked_latents(lambda rows: rows, torch.zeros(0, 2))
    with pytest.raises(ValueError, match="finite"):
        ranked_latents(lambda rows: rows, torch.tensor([[torch.nan]]))
    with pytest.raises(ValueError, match="same tokens"):
        match_members(np.zeros(3, dtype=int), 1, latents([1]))
    with pytest.raises(ValueError, match="5 members"):
        match_members(features(range(4)), 1, latents([1]))


def test_an_overlap_says_what_its_tokens_have():
    one = Overlap(np.array([0, 1, -1, 1]), np.array([1, 2]), np.array([-1, 3]), np.array([0, 0.8]))
    assert one.token_matched.tolist() == [False, True, False, True]
    assert one.token_f1.tolist() == [0, 0.8, 0, 0.8]


@pytest.mark.slow
def test_on_a_device(far):
    x = torch.rand(300, 6, generator=torch.Generator().manual_seed(0)) - 0.5
    near, there = (ranked_latents(torch.relu, rows, block=64) for rows in (x, x.to(far)))
    for name in ("latent", "token", "rank", "active", "top"):
        assert (getattr(near, name) == getattr(there, name)).all()
