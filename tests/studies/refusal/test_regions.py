import numpy as np
import pytest
import torch
from refusal_examples import blobs
from tiny_models import tiny_llama

import epkit
from epkit.lm.activations import ActivationStream
from epkit.lm.models import wrap_model
from epkit.lm.tokens import chats
from epkit.studies.refusal import regions as refusal

PROMPTS = ["How do tides work?", "Hi", "Name a fruit that is not red.", "What is a kite?"]


@pytest.fixture
def found():
    """A dictionary of three blobs of which the first refuses always, the second now and then."""
    x, blob = blobs()
    refused = (blob == 0) | ((blob == 1) & (torch.arange(120) % 4 == 0))
    d = epkit.partition(x, [40], order=0)[40]
    return d, x, blob, refused, refusal.refusal_table(d, x, refused)


def test_final_rows_are_the_last_of_every_prompt():
    model = tiny_llama()
    final = refusal.final_activations(model, PROMPTS, [1, 3], context=100)
    chunks = [*ActivationStream(model, chats(PROMPTS), [1, 3], context=100).chunks()]
    (chunk,) = chunks
    last = torch.zeros(len(chunk.tokens), dtype=torch.bool)
    last[chunk.lengths.long().cumsum(0) - 1] = True
    for layer in (1, 3):
        expected = chunk.activations[layer][last[chunk.clustered]]
        torch.testing.assert_close(final[layer], expected.float(), atol=1e-5, rtol=1e-4)


def test_a_prompt_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="raise context"):
        refusal.final_activations(tiny_llama(), PROMPTS, [1], context=30)


def test_refusal_table_by_hand(found):
    d, x, blob, refused, table = found
    region, _ = d.assign(x)
    assert table.members.sum() == 120
    assert table.refusals.sum() == refused.sum()
    top = table.iloc[0]
    assert (top.members, top.refusals, top.rate) == (40, 40, 1.0)
    assert set(blob[region == table.index[0]].tolist()) == {0}
    assert table.low.between(0, table.rate).all()
    assert table.high.between(table.rate, 1).all()


def test_pick_region_wants_members_and_rate(found):
    *_, table = found
    assert refusal.pick_region(table) == table.index[0]
    assert refusal.pick_region(table, min_members=41) is None
    assert refusal.pick_region(table.iloc[1:]) is None


def test_the_complying_region_is_the_largest_that_complies(found):
    d, x, blob, _, table = found
    k = refusal.complying_region(table)
    assert set(blob[d.assign(x)[0] == k].tolist()) == {2}
    with pytest.raises(ValueError, match="finer percentiles"):
        refusal.complying_region(table.iloc[:1])


def test_null_regions_comply_and_match_best_over_all_percentiles(found):
    d, x, blob, _, _ = found
    refused = blob == 0
    like = refusal.refusal_table(d, x, refused).iloc[0]
    made = epkit.partition(x, [1, 40], order=0)
    nulls = refusal.null_regions(made, x, refused, like, n=2)
    assert all(null.row.rate == 0 for null in nulls)
    assert {null.percentile for null in nulls} == {40}  # at 1 the blobs fall into small pieces
    sizes = [abs(np.log(null.row.members / like.members)) for null in nulls]
    assert sizes[0] <= sizes[1] < 0.5
    again = refusal.null_regions(made, x, refused, like, n=1)[0]
    assert again.region == nulls[0].region
    with pytest.raises(ValueError, match="coarser percentiles"):
        refusal.null_regions(made, x, torch.ones(len(x), dtype=torch.bool), like)


def test_regions_of_the_same_members_are_one_null_region(found):
    d, x, blob, _, _ = found
    refused = blob == 0
    like = refusal.refusal_table(d, x, refused).iloc[0]
    once = refusal.null_regions({40: d}, x, refused, like, n=9)
    twice = refusal.null_regions({40: d, 41: d}, x, refused, like, n=9)
    assert len(once) == len(twice) == 2


@pytest.mark.slow
def test_activations_of_prompts_stay_with_their_model(far):
    here = refusal.final_activations(tiny_llama(), PROMPTS, [1], context=100)
    model = tiny_llama()
    model = wrap_model(model.module.to(far), model.tokenizer, name=model.name)
    there = refusal.final_activations(model, PROMPTS, [1], context=100)
    assert there[1].device.type == "cuda"
    torch.testing.assert_close(there[1].cpu(), here[1], atol=1e-4, rtol=1e-4)
