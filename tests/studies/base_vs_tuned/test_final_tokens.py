"""Regions of the final token, and the one in which the tuned model refuses, by hand."""

from types import SimpleNamespace

import pytest
import torch

from epkit.stats import Interval
from epkit.studies.base_vs_tuned.dictionaries import Reading
from epkit.studies.base_vs_tuned.final_tokens import (
    FINAL,
    coarsest_percentile,
    final_token_table,
    kind_label,
    orders_table,
    prompt_occupancy,
    refusal_region,
    refusal_regions,
)


class Regions(SimpleNamespace):
    """A dictionary of which only K counts."""

    def __len__(self):
        return self.k


def lying(prompts, counts):
    """A reading of all positions in which counts[k] final tokens lie in region k, in turn."""
    at = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    region = torch.full((len(prompts.prompt),), len(counts))
    region[prompts.is_final] = at
    return Reading(Regions(k=len(counts) + 1), region)


def test_occupancy_counts_final_tokens_by_harm(prompts):
    table = prompt_occupancy(lying(prompts, [14, 10]).region, prompts)
    assert table.to_dict("list") == {"harmful": [12, 0], "benign": [2, 10]}
    assert table.index.tolist() == [0, 1]  # region 2 has no final token


def test_the_row_of_a_checkpoint(prompts):
    sets = {name: [lying(prompts, [14, 10])] for name in ("base", "shared", "random base")}
    sets |= {name: [lying(prompts, [12, 12])] for name in ("tuned", "random tuned")}
    final = {name: [r._replace(region=r.region[prompts.is_final]) for r in readings]
             for name, readings in sets.items()}  # fmt: skip
    table = final_token_table({(5, 4): sets, (5, FINAL): final}, prompts, 20)
    row = table.loc[5, "all, p 4", "base"]
    assert row.K == 3
    assert row["prompts in the largest"].value == pytest.approx(14 / 24)
    assert row["harmful share there"].value == pytest.approx(12 / 14)
    assert row["regions with final tokens"] == Interval(2, 2, 2)
    tuned = table.loc[5, "all, p 4", "tuned"]
    assert tuned["AMI of region and harm"].value == pytest.approx(1)
    assert tuned["highest harmful share (N ≥ 8)"].value == 1
    assert table.loc[5, "final, p 20"].equals(table.loc[5, "all, p 4"])
    assert table.index.get_level_values("checkpoint")[2] == "tuned, shared centre"


@pytest.mark.parametrize(
    ("counts", "n_refused", "region"),
    [
        ([12, 12], 12, 0),
        ([12, 12], 8, 0),  # two thirds of the first
        ([12, 12], 7, None),
        ([7, 7, 10], 14, None),  # too few in each
        ([8, 16], 24, 1),  # the one with more of them
        ([8, 16], 8, 0),
        ([12, 12], 0, None),
    ],
)
def test_the_refusal_region(prompts, counts, n_refused, region):
    own, refused = lying(prompts, counts), torch.arange(24) < n_refused
    assert refusal_region(own, prompts, refused) == region


def test_refusal_regions_of_all_orders(prompts):
    refused = torch.arange(24) < 12
    yes, no = lying(prompts, [12, 12]), lying(prompts, [24])
    made = {
        (5, 4): {"tuned": [yes, yes], "shared": [no, no]},
        (5, 8): {"tuned": [yes, no], "shared": [yes, yes]},
        (5, FINAL): {"tuned": [no, no], "shared": [no, no]},
    }
    found = refusal_regions(made, prompts, refused)
    assert found[5, 8, "tuned"] == [0, None]
    table = orders_table(found)
    assert table.loc[5].to_dict() == {"orders": 2, "all, p 4": 2, "all, p 8": 1, FINAL: 0}
    assert coarsest_percentile(found, 5, [8, 4]) == 4
    assert coarsest_percentile(found, 5, [8]) == 8  # none has it in every order
    with pytest.raises(ValueError, match="no refusal region at any of prompt_percentiles"):
        refusal_regions({(5, 4): {"tuned": [no], "shared": [no]}}, prompts, refused)


def test_labels():
    assert [kind_label(kind) for kind in (4, 0.5, FINAL)] == ["all, p 4", "all, p 0.5", "final"]


@pytest.mark.slow
def test_far_dictionaries_find_the_same_region(few_prompts, far_prompts, prompts, refused):
    made, there = few_prompts, far_prompts
    one, other = (final_token_table(x, prompts, 20).astype(str) for x in (made, there))
    assert one.equals(other)
    found = refusal_regions(there, prompts, refused)
    assert found == refusal_regions(made, prompts, refused)
    assert None not in found[5, 10, "tuned"]
