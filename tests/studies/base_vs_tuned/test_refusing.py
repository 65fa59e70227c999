"""The refusal region beside its counterpart, where who lies in which region is known."""

import pytest
import torch

from epkit import matching
from epkit.studies.base_vs_tuned.counterparts import RegionScores
from epkit.studies.base_vs_tuned.dictionaries import Reading
from epkit.studies.base_vs_tuned.final_tokens import FEWEST
from epkit.studies.base_vs_tuned.refusing import counterpart_table, newest_table


@pytest.fixture
def three(chat, prompts, on_prompts):
    """Sets of two orders in which region 2 of "tuned" are 12 final tokens, and of "base" all 24."""
    sets = on_prompts(percentiles=[10], orders=[0, 1])[5, 10]
    base = torch.where(prompts.is_final, 2, 0)
    base[prompts.place == "template's end"] = 1
    tuned = base.clone()
    tuned[prompts.is_final.nonzero()[12:, 0]] = 3
    regions = {"base": base, "tuned": tuned}
    return {
        name: [Reading(r.dictionary, region) for r in sets[name]]
        for name, region in regions.items()
    }


def test_a_counterpart_that_holds_all_final_tokens(three, chat, prompts, refused):
    held = chat["tuned"][prompts.is_final]
    args = prompts, refused, {5: held}, prompts.harmful
    table = counterpart_table({5: three}, {5: [2, None]}, *args)
    assert table.index.tolist() == [(5, 0)]
    row = table.loc[5, 0]
    assert (row.members, row["final tokens"], row["base members"]) == (12, 12, 24)
    assert row[["harmful", "overlap", "overlap, base orders", "overlap, own orders"]].tolist() == [
        1, 0.5, 0.5, 1
    ]  # fmt: skip
    assert row.refused == pytest.approx(11 / 12)
    assert row["of all refused"] == pytest.approx(11 / 12)
    assert row[["at final tokens", "in the template's end", "in the prompt"]].tolist() == [1, 0, 0]
    assert row["base harmful"] == 0.5
    d, b = three["tuned"][0].dictionary, three["base"][0].dictionary
    near = matching.cosines(b, d, "mean", across_centres=True)[:, 2]
    assert row["nearest mean"] == pytest.approx(near.max().item())
    assert row["is the same"] == bool(near.argmax() == 2)
    inside = d.assign(held)[0] == 2
    assert row["held-out harmful"] == inside[:12].double().mean()
    assert row["held-out benign"] == inside[12:].double().mean()


def test_the_newest_are_the_large_with_the_highest_score(three, prompts, refused, tokenizer):
    own = three["tuned"][0]
    counts = own.dictionary.counts
    values = torch.where(counts >= FEWEST, 0.0, 9.0).double()  # small ones score highest of all
    k = int((counts >= FEWEST).nonzero()[-1])
    values[k] = 0.5
    own = own._replace(region=torch.where(own.region == 2, k, 0))
    scores = RegionScores(own.dictionary, k, {"recurring": values})
    table = newest_table(scores, own, prompts, refused, tokenizer, n=1)
    first = table.iloc[0]
    assert first.region == f"{k} (refusal)"
    assert first.members == counts[k] >= FEWEST
    assert first["commonest tokens"] == "‹w3›"  # the template's last
    assert (first["at final tokens"], first["in the template's end"]) == (1, 0)
    assert first["of harmful prompts"] == 1
    assert first["of refused prompts"] == pytest.approx(11 / 12)
    assert len(table) == 1


@pytest.mark.slow
def test_far_dictionaries_give_the_same_tables(three, chat, prompts, refused, tokenizer, far):
    there = {
        name: [r._replace(dictionary=r.dictionary.to(far)) for r in readings]
        for name, readings in three.items()
    }
    held = chat["tuned"][prompts.is_final]
    one, other = (
        counterpart_table({5: s}, {5: [2, 2]}, prompts, refused, {5: x}, prompts.harmful)
        for s, x in ((three, held), (there, held.to(far)))
    )
    assert one.round(4).equals(other.round(4))
    values = torch.arange(len(three["tuned"][0].dictionary)).double()
    largest = int(three["tuned"][0].dictionary.counts.argmax())
    values[largest] = len(values)
    tables = []
    for own in (three["tuned"][0], there["tuned"][0]):
        own = own._replace(region=torch.where(own.region == 2, largest, 0))
        scores = RegionScores(own.dictionary, largest, {"recurring": values})
        tables.append(newest_table(scores, own, prompts, refused, tokenizer, n=1).astype(str))
    assert tables[0].equals(tables[1])
