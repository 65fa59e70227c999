"""Trajectories on labels whose company is known by hand, and chance on shuffled ones."""

import numpy as np
import pytest

from epkit.studies.stability.trajectories import (
    co_membership,
    followed,
    half_life,
    merged_from,
    merging,
    one_step,
    pairs_ending_alike,
    pairs_sharing,
    persistence,
    shuffled,
    step_table,
    steps_by_documents,
    survival,
)

BY_HAND = np.array([
    [0, 0, 0, 1, 1, 2],  # pairs: 01 02 12 34
    [5, 5, 6, 7, 7, 7],  # pairs: 01 34 35 45
    [3, 3, 3, 3, 3, 4],  # pairs: all ten of the first five
])  # fmt: skip


def random_regions(layers=3, tokens=4000, k=10, seed=0):
    return np.random.default_rng(seed).integers(k, size=(layers, tokens))


def test_co_membership_by_hand():
    assert co_membership(BY_HAND) == pytest.approx(np.array([4, 4, 10]) / 15)


def test_persistence_by_hand():
    expected = np.array([[4, 2, 4], [2, 4, 2], [4, 2, 10]]) / np.array([[4], [4], [10]])
    assert persistence(BY_HAND) == pytest.approx(expected)


def test_survival_by_hand():
    # pairs 01 02 12 34 at layer 0; of them 01 and 34 share at layer 1, and both still at layer 2
    assert survival(BY_HAND, 0) == pytest.approx([1, 0.5, 0.5])
    assert survival(BY_HAND, 1) == pytest.approx([1, 0.5])  # 35 and 45 part at layer 2
    assert survival(BY_HAND, 2) == pytest.approx([1])


def test_names_of_regions_do_not_count():
    renamed = np.stack([np.unique(row, return_inverse=True)[1][::1] * 7 + 3 for row in BY_HAND])
    assert persistence(renamed) == pytest.approx(persistence(BY_HAND))
    assert survival(renamed, 0) == pytest.approx(survival(BY_HAND, 0))
    assert followed(BY_HAND[0], renamed[0]) == 1


def test_what_stays_the_same_persists():
    regions = np.repeat(random_regions(1), 4, axis=0)
    assert persistence(regions) == pytest.approx(np.ones((4, 4)))
    assert survival(regions, 0) == pytest.approx(np.ones(4))


def test_shuffled_labels_are_at_chance():
    regions = np.repeat(random_regions(1), 3, axis=0)
    control = shuffled(regions, seed=1)
    assert np.array_equal(np.sort(control), np.sort(regions))  # sizes stay
    chance = co_membership(regions)[0]
    assert persistence(control)[0, 1] == pytest.approx(chance, rel=0.05)
    assert survival(control, 0)[1] == pytest.approx(chance, rel=0.05)
    assert survival(control, 0)[2] == pytest.approx(chance**2, rel=0.25)
    assert followed(control[0], control[1]) < 0.2
    assert np.array_equal(control, shuffled(regions, seed=1))
    assert not np.array_equal(control, shuffled(regions, seed=2))


def test_a_layer_at_which_none_share_has_no_persistence():
    regions = np.array([[0, 1, 2], [0, 0, 1]])
    assert np.isnan(persistence(regions)[0]).all()
    assert np.isnan(survival(regions, 0)).all()


def test_followed_by_hand():
    # best one-to-one matching: 0–1 (2 tokens), 1–0 (2); 2 has no partner left but 2 (1)
    a = np.array([0, 0, 0, 1, 1, 2, 2])
    b = np.array([1, 1, 0, 0, 0, 2, 0])
    assert followed(a, b) == pytest.approx(5 / 7)
    assert followed(b, a) == pytest.approx(5 / 7)


def test_pairs_ending_alike_by_hand():
    keys = ["x", "y", "x", "x", None, None, "y", "y"]
    documents = [0, 0, 1, 0, 2, 3, 0, 0]
    pairs = pairs_ending_alike(keys, documents)
    # the y are all in document 0; of the x, only 2 is in another document than 0 and 3
    assert len(pairs) == 1
    assert 2 in pairs[0]
    assert set(pairs[0]) <= {0, 2, 3}


def test_pairs_ending_alike_are_disjoint_and_fit():
    generator = np.random.default_rng(0)
    keys, documents = generator.integers(20, size=500), generator.integers(6, size=500)
    pairs = pairs_ending_alike(keys.tolist(), documents.tolist(), seed=1)
    assert len(pairs) > 200
    assert len(np.unique(pairs)) == pairs.size
    assert (keys[pairs[:, 0]] == keys[pairs[:, 1]]).all()
    assert (documents[pairs[:, 0]] != documents[pairs[:, 1]]).all()
    again = pairs_ending_alike(keys.tolist(), documents.tolist(), seed=1)
    assert np.array_equal(pairs, again)


def test_no_pairs_is_an_empty_table():
    pairs = pairs_ending_alike([1, 2], [0, 1])
    assert pairs.shape == (0, 2)
    assert pairs_sharing(BY_HAND, pairs).shape == (3, 0)


def test_pairs_sharing_and_where_they_merge():
    shares = pairs_sharing(BY_HAND, np.array([[0, 1], [0, 2], [0, 5], [2, 3]]))
    assert shares.tolist() == [
        [True, True, False, False], [True, False, False, False], [True, True, False, True],
    ]  # fmt: skip
    assert merged_from(shares).tolist() == [0, 2, 3, 2]


def test_one_step_is_beside_the_diagonal_of_persistence():
    regions = random_regions(5, 300)
    beside = np.diag(persistence(regions), 1)
    assert one_step(regions).tolist() == beside.tolist()
    control = shuffled(regions, seed=3)
    table = step_table(regions, control)
    assert table["from"].tolist() == [0, 1, 2, 3]
    assert table["share on"].tolist() == beside.tolist()
    assert table["share on, shuffled"].tolist() == one_step(control).tolist()
    assert table["follow"][2] == followed(regions[2], regions[3])
    assert table["follow, shuffled"][0] == followed(control[0], control[1])


@pytest.mark.parametrize(("n_documents", "groups", "expected"), [(3, 8, 3), (20, 8, 8), (20, 1, 1)])
def test_steps_by_groups_of_documents(n_documents, groups, expected):
    regions = random_regions(3, 400)
    documents = np.arange(400) % n_documents
    steps = steps_by_documents(regions, documents, groups)
    assert len(steps) == expected
    first = np.isin(documents, np.array_split(np.arange(n_documents), expected)[0])
    assert steps[0] == pytest.approx(one_step(regions[:, first]).mean())


def test_half_life_by_hand():
    assert half_life(np.array([1, 0.6, 0.5, 0.4])) == 3
    assert half_life(np.array([1, 0.6])) is None
    assert half_life(np.full(3, np.nan)) is None


def test_merging_by_hand():
    pairs = {"last token": np.array([[0, 1], [0, 2]]), "same,\nother": np.array([[0, 5]])}
    curves, table = merging(BY_HAND, pairs)
    assert curves["last token"].layer.tolist() == [0, 1, 2]
    assert curves["last token"].value.tolist() == [1, 0.5, 1]
    assert list(table.index) == ["last token", "same, other"]
    row = table.loc["last token"]
    assert row.pairs == 2
    assert row["share at the last layer"].value == 1
    assert row["median layer of merging for good"] == 1
    assert (row["highest share"], row["at layer"]) == (1, 0)
    never = table.loc["same, other"]
    assert np.isnan(never["median layer of merging for good"])
    assert never["highest share"] == 0


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="integers of shape"):
        co_membership(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="integers of shape"):
        persistence(np.zeros(5, dtype=int))
    with pytest.raises(ValueError, match="at least two tokens"):
        co_membership(np.zeros((3, 1), dtype=int))
    with pytest.raises(ValueError, match="2 keys and 1 values"):
        pairs_ending_alike([1, 2], [0])
