"""Matching: on dictionaries whose true pairs are known, memberships counted by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from epkit import Dictionary
from epkit.matching import (
    adjusted_mutual_information,
    between,
    contingency,
    cosines,
    fates,
    jaccard,
    match,
    noise_cutoff,
)


def dictionary(exemplars, centre=None, means=None, counts=None) -> Dictionary:
    exemplars = normalize(torch.as_tensor(exemplars, dtype=torch.float32), dim=1)
    k, dim = exemplars.shape
    ones = torch.ones(k)
    return Dictionary(
        centre=torch.zeros(dim) if centre is None else torch.as_tensor(centre),
        threshold=0.5, exemplars=exemplars,
        means=exemplars if means is None else normalize(torch.as_tensor(means), dim=1),
        counts=ones.long() if counts is None else torch.as_tensor(counts),
        coherence=ones, exemplar_index=torch.arange(k), distance_mean=0 * ones,
        distance_std=0 * ones,
    )  # fmt: skip


def gaussian(k: int, dim: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randn(k, dim, generator=torch.Generator().manual_seed(seed))


# ---- by direction -------------------------------------------------------------------------------


def test_a_permuted_dictionary_is_matched_region_by_region():
    x, order = gaussian(20), torch.randperm(20, generator=torch.Generator().manual_seed(1))
    found = match(dictionary(x), dictionary(x[order]))
    assert torch.equal(order[found.pairs[:, 1]], found.pairs[:, 0])
    assert torch.allclose(found.cosines, torch.ones(20), atol=1e-6)
    assert len(found.unmatched_a) == len(found.unmatched_b) == 0
    assert len(found.persisted(0.99)) == 20


def test_dropped_and_introduced_regions_are_named():
    x = gaussian(12)
    a = dictionary(x[:10])  # 10 and 11 are new in b, 3 and 7 are gone
    kept = [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    found = match(a, dictionary(x[kept]))
    assert found.dropped(0.7).tolist() == [3, 7]
    assert [kept[j] for j in found.introduced(0.7).tolist()] == [10, 11]
    assert len(found.persisted(0.7)) == 8


def test_regions_left_over_count_as_dropped_or_introduced():
    x = gaussian(8)
    fewer = match(dictionary(x), dictionary(x[2:]))
    assert fewer.unmatched_a.tolist() == fewer.dropped(0.7).tolist() == [0, 1]
    more = match(dictionary(x[2:]), dictionary(x))
    assert more.unmatched_b.tolist() == more.introduced(0.7).tolist() == [0, 1]
    assert len(fewer.pairs) == len(more.pairs) == 6


def test_of_a_split_region_only_one_part_can_be_paired():
    x = gaussian(6)
    parts = torch.stack([x[0] + 0.1 * gaussian(1, seed=7)[0], x[0] - 0.3 * gaussian(1, seed=7)[0]])
    found = match(dictionary(x), dictionary(torch.cat([parts, x[1:]])))
    assert found.pairs[0].tolist() == [0, 0]  # the nearer part
    assert found.unmatched_b.tolist() == [1]


def test_the_sum_of_cosines_is_greatest_not_every_single_one():
    a = dictionary([[1.0, 0.0], [0.8, 0.6]])
    b = dictionary([[0.8, 0.6], [0.6, 0.8]])
    # Greedy: a1-b0 (1.0) and a0-b1 (0.6) = 1.6; the best: a0-b0 (0.8) and a1-b1 (0.96).
    found = match(a, b)
    assert found.pairs.tolist() == [[0, 0], [1, 1]]
    assert torch.allclose(found.cosines, torch.tensor([0.8, 0.96]))


def test_noise_lowers_cosines_as_it_must():
    x = gaussian(30, 64)
    x = normalize(x, dim=1)
    medians = []
    for sigma in (0.0, 0.05, 0.2):
        noisy = x + sigma * gaussian(30, 64, seed=3)
        found = match(dictionary(x), dictionary(noisy))
        assert (found.pairs[:, 0] == found.pairs[:, 1]).all()
        medians.append(found.cosines.median().item())
    # |noise|² ≈ σ²·64, so the cosine is about 1 / sqrt(1 + 64 σ²).
    assert medians == pytest.approx([1, 1 / np.sqrt(1.16), 1 / np.sqrt(3.56)], abs=0.03)


def test_the_basis_decides_what_is_compared():
    x, m = gaussian(5), gaussian(5, seed=1)
    a, b = dictionary(x, means=m), dictionary(gaussian(5, seed=2), means=m.flip(0))
    found = match(a, b, basis="mean")
    assert found.pairs[:, 1].tolist() == [4, 3, 2, 1, 0]
    assert found.basis == "mean"
    assert match(a, b).cosines.max() < 0.99


def test_what_cannot_be_compared_is_refused_by_name():
    a = dictionary(gaussian(3))
    with pytest.raises(ValueError, match="32 and 8 dimensions"):
        match(a, dictionary(gaussian(3, 8)))
    with pytest.raises(ValueError, match="is empty"):
        match(a, dictionary(torch.zeros(0, 32)))
    with pytest.raises(ValueError, match="basis must be one of exemplar, mean"):
        match(a, a, basis="median")
    moved = dictionary(gaussian(3), centre=0.01 * torch.ones(32))
    with pytest.raises(ValueError, match="across_centres=True"):
        match(a, moved)
    assert len(match(a, moved, across_centres=True).pairs) == 3


def test_the_noise_cutoff_is_a_quantile_of_all_floors_together():
    x = normalize(gaussian(40, 64), dim=1)
    floor = [
        match(dictionary(x), dictionary(x + s * gaussian(40, 64, seed=5))) for s in (0.01, 0.1)
    ]
    pooled = torch.cat([f.cosines for f in floor])
    cutoff = noise_cutoff(floor, 0.1)
    assert (pooled < cutoff).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert cutoff == noise_cutoff(floor[::-1], 0.1)
    with pytest.raises(ValueError, match="floor is empty"):
        noise_cutoff([])
    with pytest.raises(ValueError, match=r"quantile must be .* in \(0, 1\)"):
        noise_cutoff(floor, 1)


@settings(deadline=None, max_examples=30)
@given(
    k_a=st.integers(1, 12), k_b=st.integers(1, 12), seed=st.integers(0, 10_000),
)  # fmt: skip
def test_matching_does_not_depend_on_the_order_or_the_side(k_a, k_b, seed):
    a, b = dictionary(gaussian(k_a, 16, seed)), dictionary(gaussian(k_b, 16, seed + 1))
    assert torch.allclose(cosines(a, b), cosines(b, a).T, atol=1e-6)
    found = match(a, b)
    there = {tuple(pair) for pair in found.pairs.tolist()}
    assert {(j, i) for i, j in match(b, a).pairs.tolist()} == there
    order = torch.randperm(k_a, generator=torch.Generator().manual_seed(seed))
    shuffled = match(dictionary(a.exemplars[order]), b)
    assert {(int(order[i]), j) for i, j in shuffled.pairs.tolist()} == there
    everyone = torch.cat([found.pairs[:, 0], found.unmatched_a]).sort().values
    assert everyone.tolist() == list(range(k_a))
    for cutoff in (-1.1, 0.0, 0.3):
        assert len(found.persisted(cutoff)) + len(found.dropped(cutoff)) == k_a
        assert len(found.persisted(cutoff)) + len(found.introduced(cutoff)) == k_b


# ---- by members ---------------------------------------------------------------------------------

# 4 regions of a: 0 → 0 whole; 1 → halves in 1 and 2; 2 and 3 → together in 3, with more of 2;
# then 4, scattered over the others, and 5, which nobody joined.
REGION_A = torch.tensor([0] * 6 + [1] * 8 + [2] * 9 + [3] * 4 + [4] * 3)
REGION_B = torch.tensor([0] * 6 + [1] * 4 + [2] * 4 + [3] * 9 + [3] * 4 + [0, 1, 2])


def test_contingency_counted_by_hand():
    table = contingency(REGION_A, REGION_B, 6, 5)
    assert table.tolist() == [
        [6, 0, 0, 0, 0], [0, 4, 4, 0, 0], [0, 0, 0, 9, 0], [0, 0, 0, 4, 0], [1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]  # fmt: skip
    assert table.sum() == len(REGION_A)
    assert torch.equal(table.T, contingency(REGION_B, REGION_A, 5, 6))


def test_fates_by_hand():
    found = fates(contingency(REGION_A, REGION_B, 6, 5))
    assert found.fate.tolist() == ["kept", "split", "kept", "merged", "dissolved", "empty"]
    assert found.members.tolist() == [6, 8, 9, 4, 3, 0]
    assert found["into"].tolist()[:4] == [0, 1, 3, 3]
    assert found.there.tolist() == pytest.approx([1, 0.5, 1, 1, 1 / 3, 0])
    assert found.back.tolist()[:4] == pytest.approx([6 / 7, 4 / 5, 9 / 13, 4 / 13])
    assert found.parts.tolist() == [1, 2, 1, 0, 0, 0]


def test_fates_backwards_name_what_was_put_together():
    found = fates(contingency(REGION_A, REGION_B, 6, 5).T)
    # Half of region 1 fills most of 1 and of 2 each, so both merge into it; 4 has no members.
    assert found.fate.tolist() == ["kept", "merged", "merged", "kept", "empty"]


def test_jaccard_by_hand():
    found = jaccard(contingency(REGION_A, REGION_B, 6, 5))
    assert found[0, 0] == pytest.approx(6 / 7)
    assert found[1, 1] == found[1, 2] == pytest.approx(4 / 9)
    assert found[3, 3] == pytest.approx(4 / 13)
    assert found[5].tolist() == [0] * 5


def test_memberships_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="same activations"):
        contingency(REGION_A, REGION_B[1:], 6, 5)
    with pytest.raises(ValueError, match="at least one activation"):
        contingency(REGION_A[:0], REGION_B[:0], 6, 5)
    with pytest.raises(ValueError, match="region_a is outside 0 … k_a − 1 = 3"):
        contingency(REGION_A, REGION_B, 4, 5)


def test_mutual_information_is_one_for_the_same_and_nothing_by_chance():
    rng = np.random.default_rng(0)
    a = torch.tensor(rng.integers(20, size=2000))
    names = torch.tensor(rng.permutation(20))
    assert adjusted_mutual_information(a, names[a]) == pytest.approx(1)
    other = torch.tensor(rng.integers(20, size=2000))
    assert abs(adjusted_mutual_information(a, other)) < 0.01


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=60))
def test_members_do_not_depend_on_names(rows):
    a, b = torch.tensor(rows).T
    table = contingency(a, b, 6, 5)
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = contingency(a, order[b], 6, 5)
    assert torch.equal(renamed[:, order], table)
    before, after = fates(table), fates(renamed)
    assert before.fate.tolist() == after.fate.tolist()
    assert before.there.tolist() == after.there.tolist()
    assert torch.allclose(jaccard(table).T, jaccard(table.T))
    assert (before.fate == "empty").tolist() == (table.sum(1) == 0).tolist()
    if "kept" in set(before.fate):  # more than half each way makes a one-to-one relation
        kept = before[before.fate == "kept"]["into"]
        assert kept.is_unique


# ---- between ------------------------------------------------------------------------------------


def on_a_circle(*degrees: float) -> torch.Tensor:
    angle = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_between_on_a_circle():
    d = dictionary(on_a_circle(0, 60, 40, 20, 100, -10, 61))
    assert between(d, 0, 1).tolist() == [3, 2]  # from 0 on; 100°, −10° and 61° are outside
    assert between(d, 1, 0).tolist() == [2, 3]
    assert between(d, 3, 2).tolist() == []


def test_between_reads_the_basis_it_is_told():
    d = dictionary(on_a_circle(0, 60, 30), means=on_a_circle(0, 60, 90))
    assert between(d, 0, 1).tolist() == [2]
    assert between(d, 0, 1, basis="mean").tolist() == []


def test_between_refuses_what_is_no_pair():
    d = dictionary(on_a_circle(0, 60, 30))
    with pytest.raises(ValueError, match="itself"):
        between(d, 1, 1)
    with pytest.raises(ValueError, match="b must be in 0 … 2, got int 3"):
        between(d, 0, 3)


@settings(deadline=None, max_examples=30)
@given(k=st.integers(3, 15), seed=st.integers(0, 10_000))
def test_between_is_symmetric_and_keeps_its_definition(k, seed):
    d = dictionary(gaussian(k, 8, seed))
    found = set(between(d, 0, 1).tolist())
    assert found == set(between(d, 1, 0).tolist())
    apart = 1 - (d.exemplars @ d.exemplars.T).double()
    for c in range(2, k):
        margin = apart[0, 1] - max(apart[0, c], apart[1, c])
        if abs(margin) > 1e-5:
            assert (c in found) == bool(margin > 0)
