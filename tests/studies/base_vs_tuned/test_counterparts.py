"""Introducedness: a constructed new region comes first, an unstable one does not."""

import pytest
import torch
from torch.nn.functional import normalize

from epkit import matching
from epkit.stats import rank_test
from epkit.studies.base_vs_tuned.counterparts import (
    GROUPS,
    RegionScores,
    all_but,
    commonest_labels,
    mean_best,
    missing_counterpart,
    refusal_ranks,
    region_examples,
    region_scores,
    region_similarities,
)
from epkit.studies.base_vs_tuned.final_tokens import FEWEST, FINAL, refusal_regions


def gaussian(k: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(k, 32, generator=torch.Generator().manual_seed(seed))


def alike(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cosines of all pairs of rows."""
    return normalize(a, dim=1) @ normalize(b, dim=1).T


def test_a_region_without_counterpart_ranks_first():
    x = gaussian(30)
    base = x[:29] + 0.1 * gaussian(29, seed=4)
    scores = missing_counterpart([alike(base, x)])
    assert int(scores.argmax()) == 29
    assert rank_test(scores, 29) == (1, 30, pytest.approx(1 / 30))


def test_a_region_that_no_order_finds_again_is_not_new_but_unstable():
    x = gaussian(12)
    to_base = [alike(x[:10], x)]  # 10 and 11 are not in the base
    again = [x[:11], torch.cat([x[:11], gaussian(1, seed=9)])]
    plain = missing_counterpart(to_base)
    assert {int(i) for i in plain.topk(2).indices} == {10, 11}
    corrected = missing_counterpart(to_base, [alike(d, x) for d in again])
    assert int(corrected.argmax()) == 10  # 11 does not recur in the model's own other orders
    assert corrected[11] < corrected[10] - 0.3
    assert torch.allclose(corrected[:10], torch.zeros(10, dtype=torch.float64), atol=1e-6)


def test_a_duplicate_of_an_old_region_has_its_counterpart():
    x = gaussian(5)
    assert missing_counterpart([alike(x, torch.cat([x, x[:1]]))]).abs().max() < 1e-5


def test_missing_counterparts_needs_the_same_regions():
    with pytest.raises(ValueError, match="a column per region"):
        missing_counterpart([torch.zeros(3, 4)], [torch.zeros(3, 5)])
    with pytest.raises(ValueError, match="a column per region"):
        missing_counterpart([])


def test_best_matches_are_averaged_over_dictionaries():
    one, two = torch.tensor([[0.2, 0.9], [0.6, 0.1]]), torch.tensor([[0.4, 0.3]])
    assert missing_counterpart([one, two]).tolist() == pytest.approx([0.5, 0.4])
    again = torch.tensor([[0.8, 0.0], [0.1, 0.5]])
    assert missing_counterpart([one, two], [again]).tolist() == pytest.approx([0.3, -0.1])


@pytest.mark.parametrize("by", ["members", "cosine of means"])
def test_similarities_to_itself_are_one_on_the_diagonal(web_sets, by):
    own, other = web_sets(percentiles=[10])[10]["base"][:2]
    itself, next_one = region_similarities(own, [own, other], by)
    held = own.region.bincount(minlength=len(own.dictionary)) > 0
    assert itself.diagonal()[held].tolist() == pytest.approx([1] * int(held.sum()), abs=1e-5)
    assert next_one.shape == (len(other.dictionary), len(own.dictionary))
    assert torch.equal(
        mean_best([itself, next_one]), (itself.double().amax(0) + next_one.double().amax(0)) / 2
    )


def test_without():
    assert [all_but("abc", o) for o in range(3)] == [["b", "c"], ["a", "c"], ["a", "b"]]


def test_labels_name_the_commonest_tokens(web_sets, tokenizer):
    own = web_sets(percentiles=[10])[10]["base"][0]
    empty = own._replace(region=torch.where(own.region == 1, 0, own.region))
    labels = commonest_labels(empty, own.region, tokenizer)  # every token is its region's number
    assert labels[1] == "1"
    assert labels[2] == "2: ‹w2›"
    assert labels[0].startswith("0: ‹w")
    assert len(labels) == len(own.dictionary)


def test_examples_persist_with_the_base_and_are_new_without_it(web_sets, tokenizer):
    sets = web_sets(percentiles=[10])[10]
    tokens = torch.arange(len(sets["base"][0].region)) % 7
    table = region_examples(sets, tokens, tokenizer, n=2, least=5)
    assert table[""].tolist() == ["persisted"] * 2 + ["dropped"] * 2 + ["introduced"] * 2
    assert (table.members >= 5).all()
    again = region_similarities(sets["tuned"][0], sets["tuned"][1:])
    base = region_similarities(sets["tuned"][0], sets["base"][1:])
    new = table[table[""] == "introduced"].iloc[0]
    assert new.recurs == pytest.approx(mean_best(again)[new.region].item())
    assert new["in the other"] == pytest.approx(mean_best(base)[new.region].item())
    kept = table[table[""] == "persisted"]
    dropped = table[table[""] == "dropped"]
    assert kept["in the other"].min() >= dropped["in the other"].max()
    same = region_examples(sets | {"tuned": sets["base"]}, tokens, tokenizer, n=2, least=5)
    assert (same.recurs == same["in the other"]).all()


def scored(on_prompts, prompts, refused):
    made = on_prompts()
    regions = refusal_regions(made, prompts, refused)
    return made, regions, region_scores(made, regions)


def test_scores_are_of_the_same_and_of_the_other_orders(on_prompts, prompts, refused):
    made, regions, found = scored(on_prompts, prompts, refused)
    assert set(found) == {
        (*key, by) for key, ks in regions.items() if None not in ks
        for by in ("members", "cosine of means")
    }  # fmt: skip
    own, base = made[5, 10]["tuned"], made[5, 10]["base"]

    def best(a, b):
        table = matching.contingency(a.region, b.region, len(a.dictionary), len(b.dictionary))
        return matching.jaccard(table).amax(0)

    of = found[5, 10, "tuned", "members"][1]
    assert of.region == regions[5, 10, "tuned"][1]
    torch.testing.assert_close(of.scores["plain"], 1 - best(base[1], own[1]))
    recurs, there = (sum(best(s[o], own[1]) for o in (0, 2)) / 2 for s in (own, base))
    torch.testing.assert_close(of.scores["recurring"], recurs - there)


def test_ranks_are_medians_over_orders(web_sets):
    d = web_sets(percentiles=[10], orders=[0])[10]["base"][0].dictionary
    first, second = (torch.linspace(0, 1, len(d)).double() for _ in range(2))
    first[3], second[3] = 2, 0.999  # the highest, and the second
    orders = [RegionScores(d, 3, {"plain": scores}) for scores in (first, second)]
    table = refusal_ranks({(5, FINAL, "tuned", "members"): orders})
    assert list(table.columns) == [f"{g}: {what}" for g in GROUPS[:2] for what in ("rank", "p")]
    row = table.loc[5, "final", "own", "members", "plain"]
    assert row["all: rank"] == f"1.5 of {len(d)}"
    assert row["all: p"].value == pytest.approx(1.5 / len(d))
    assert row["all: p"][1:] == pytest.approx((1 / len(d), 2 / len(d)))


def test_compared_are_all_the_large_and_the_like(on_prompts, prompts, refused, monkeypatch):
    monkeypatch.setattr("epkit.studies.base_vs_tuned.counterparts.N_LIKE", 3)
    _, _, found = scored(on_prompts, prompts, refused)
    key = (5, 10, "shared", "members")
    table, orders = refusal_ranks({key: found[key]}), found[key]
    row = table.loc[5, "all, p 10", "shared", "members", "recurring"]
    assert row[f"{GROUPS[2]}: rank"].endswith(" of 4")
    large = [int((one.dictionary.counts >= FEWEST).sum()) for one in orders]
    assert row[f"{GROUPS[1]}: rank"].endswith(f" of {sorted(large)[1]}")


@pytest.mark.slow
def test_far_dictionaries_rank_as_near_ones(
    few_prompts, far_prompts, prompts, refused, monkeypatch
):
    monkeypatch.setattr("epkit.studies.base_vs_tuned.counterparts.N_LIKE", 3)
    made, there = few_prompts, far_prompts
    regions = refusal_regions(made, prompts, refused)
    one, other = (refusal_ranks(region_scores(x, regions)).astype(str) for x in (made, there))
    assert one.equals(other)
