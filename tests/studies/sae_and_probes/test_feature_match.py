"""Matching features by their tokens: constructed overlaps, ties, features left out, chance."""

import numpy as np
import pytest
import torch

from epkit.studies.sae_and_probes.feature_match import (
    TopTokens,
    match_features,
    one_to_one,
    share_above,
    share_difference,
    token_identity,
    top_tokens,
)


def features(*sets, n=40, top=10):
    """Features that are on at the given tokens, the first the most active."""
    x = torch.zeros(n, len(sets))
    for column, tokens in enumerate(sets):
        for rank, token in enumerate(tokens):
            x[token, column] = 100 - rank
    return top_tokens([x], top=top, min_active=2)


def test_top_tokens_by_hand():
    x = torch.tensor([[1.0, -1.0], [3.0, 0.5], [2.0, -2.0], [0.0, 0.0]])
    found = top_tokens([x], top=2, min_active=1)
    assert found.index.tolist() == [[1, 2], [1, -1]]
    assert found.active.tolist() == [3, 1]
    assert found.sizes.tolist() == [2, 1]
    assert found.n_tokens == 4


def test_features_with_few_active_tokens_are_left_out():
    x = torch.tensor([[1.0, -1.0], [3.0, 0.5], [2.0, -2.0]])
    found = top_tokens([x], top=2, min_active=2)
    assert found.kept.tolist() == [True, False]
    assert found.index[1].tolist() == [-1, -1]
    assert found.active.tolist() == [3, 1]


@pytest.mark.parametrize("cut", [1, 3, 7, 50])
def test_any_cut_into_blocks_gives_the_same_tokens_and_ties_go_to_the_earliest(cut):
    x = torch.randint(-3, 4, (50, 6), generator=torch.Generator().manual_seed(0)).float()
    found = top_tokens(x.split(cut), top=8, min_active=1)
    for column in range(6):
        on = [t for t in range(50) if x[t, column] > 0]
        expected = sorted(on, key=lambda t: (-float(x[t, column]), t))[:8]
        assert found.index[column].tolist() == expected + [-1] * (8 - len(expected))


def test_matching_of_known_overlaps_in_both_directions():
    a = features([0, 1, 2, 3], [10, 11, 12, 13], [30, 31])
    b = features([12, 13, 14, 15], [0, 1, 2, 3], [2, 3, 10, 20, 21, 22])
    m = match_features(a, b)
    assert m.shared.tolist() == [[0, 4, 2], [2, 0, 1], [0, 0, 0]]
    assert m.match_of_a.tolist() == [1, 0, -1]
    assert m.f1_of_a.tolist() == pytest.approx([1, 0.5, 0])
    assert m.match_of_b.tolist() == [1, 0, 0]
    assert m.f1_of_b.tolist() == pytest.approx([0.5, 1, 2 * 2 / 10])


def test_equal_overlaps_are_decided_by_f1_then_by_the_lowest_index():
    a = features([0, 1, 2, 3])
    b = features([0, 1, 7, 8, 9], [2, 3], [0, 1])
    m = match_features(a, b)
    assert m.shared.tolist() == [[2, 2, 2]]
    assert m.match_of_a.tolist() == [1]
    assert m.f1_of_a[0] == pytest.approx(2 * 2 / 6)


def test_left_out_features_match_nothing_and_are_not_counted():
    x = torch.zeros(30, 2)
    x[:5, 0] = 1
    x[:1, 1] = 1
    a = top_tokens([x], top=5, min_active=2)
    m = match_features(a, a)
    assert m.match_of_a.tolist() == [0, -1]
    assert np.isnan(m.f1_of_a[1])
    assert share_above(m.f1_of_a) == (1, 1, 1)


def test_one_to_one_takes_each_feature_once():
    f1 = np.array([[0.9, 0.8, 0.0], [0.85, 0.1, 0.0]], dtype=np.float32)
    a, b = one_to_one(f1)  # .8 + .85 beats .9 + .1
    assert list(zip(a.tolist(), b.tolist(), strict=True)) == [(0, 1), (1, 0)]
    assert one_to_one(np.zeros((2, 2)))[0].tolist() == []


def test_share_above_is_strict_and_has_an_interval():
    share = share_above(np.array([0.5, 0.6, 0.4, np.nan, 0.9]))
    assert share.value == 0.5
    assert share.low < 0.5 < share.high


def test_share_difference_by_hand():
    a, b = np.array([0.9] * 60 + [0.1] * 40), np.array([0.9] * 30 + [0.1] * 70 + [np.nan])
    found = share_difference(a, b)
    assert found.value == pytest.approx(0.3)
    deviation = np.sqrt(0.6 * 0.4 / 100 + 0.3 * 0.7 / 100)
    assert found.low == pytest.approx(0.3 - 1.96 * deviation, abs=0.015)
    assert found.high == pytest.approx(0.3 + 1.96 * deviation, abs=0.015)
    assert share_difference(a, a).low < 0 < share_difference(a, a).high


def test_random_features_share_no_more_than_chance():
    generator = torch.Generator().manual_seed(0)
    a, b = (
        top_tokens([torch.rand(2000, 30, generator=generator)], top=100, min_active=20)
        for _ in range(2)
    )
    m = match_features(a, b)
    assert m.f1.mean() == pytest.approx(100 / 2000, abs=0.005)
    assert share_above(m.f1_of_a).value == 0


def test_the_same_features_in_another_order_match_perfectly():
    x = torch.rand(500, 12, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    m = match_features(top_tokens([x], top=20), top_tokens([x[:, order]], top=20))
    assert order[m.match_of_a].tolist() == list(range(12))
    assert (m.f1_of_a == 1).all()
    assert (m.f1_of_b == 1).all()


def test_token_identity():
    tokens = torch.tensor([7, 5, 7, 7, 9, 5])
    found = token_identity(tokens, top=2, min_active=2)
    assert found.active.tolist() == [2, 3, 1]  # ids 5, 7, 9
    assert sorted(found.index[0].tolist()) == [1, 5]
    assert set(found.index[1].tolist()) < {0, 2, 3}
    assert found.kept.tolist() == [True, True, False]
    assert (token_identity(tokens, top=2, min_active=2).index == found.index).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no tokens"):
        top_tokens([])
    with pytest.raises(ValueError, match="at least 1"):
        top_tokens([torch.ones(3, 2)], top=0)
    with pytest.raises(ValueError, match="one F for all"):
        top_tokens([torch.ones(3, 2), torch.ones(3, 4)])
    with pytest.raises(ValueError, match="finite"):
        top_tokens([torch.tensor([[torch.nan]])])
    with pytest.raises(ValueError, match="same tokens"):
        match_features(features([1, 2], n=10), features([1, 2], n=11))
    empty = TopTokens(np.full((1, 3), -1), np.zeros(1, dtype=np.int64), 5)
    with pytest.raises(ValueError, match="left out"):
        share_above(match_features(empty, empty).f1_of_a)
    with pytest.raises(ValueError, match="left out"):
        share_difference(np.ones(2), np.full(2, np.nan))
