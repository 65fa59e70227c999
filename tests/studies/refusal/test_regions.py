import numpy as np
import pytest
import torch
from refusal_examples import blobs
from tiny_models import tiny_llama

import epkit
from epkit.lm.activations import ActivationStream
from epkit.lm.models import wrap_model
from epkit.studies.refusal import regions as refusal

PROMPTS = ["How do tides work?", "Hi", "Name a fruit that is not red.", "What is a kite?"]


@pytest.fixture
def found():
    """A dictionary of three blobs of which the first refuses always, the second now and then."""
    x, blob = blobs()
    refused = (blob == 0) | ((blob == 1) & (torch.arange(120) % 4 == 0))
    d = epkit.partition(x, [40], order=0)[40]
    return d, x, blob, refused, refusal.refusal_table(d, x, refused)


def test_final_rows_are_those_of_a_stream_of_final_positions():
    model = tiny_llama()
    acts = refusal.prompt_activations(model, PROMPTS, [1, 3], context=100)
    (chunk,) = ActivationStream(
        model, refusal.chats(PROMPTS), [1, 3], context=100, positions="final"
    ).chunks()
    for layer in (1, 3):
        torch.testing.assert_close(acts.final[layer], chunk.activations[layer])
        assert torch.equal(acts.every[layer][acts.is_final], acts.final[layer])
    assert len(acts.every[1]) > len(PROMPTS)


def test_a_prompt_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="raise context"):
        refusal.prompt_activations(tiny_llama(), PROMPTS, [1], context=30)


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


def test_null_regions_answer_and_match_best_over_all_percentiles(found):
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


def test_directions_of_a_region(found):
    d, x, blob, _, table = found
    k = refusal.pick_region(table)
    directions = refusal.region_directions(d, x, table, k, top_k=1)
    u = d.directions(x)
    assert torch.equal(directions["exemplar"], d.exemplars[k])
    assert torch.equal(directions["span"], d.exemplars[[k]])
    assert (directions["re-anchored"] @ d.means[k]) == (u[blob == 0] @ d.means[k]).max()
    means = torch.stack([x[blob == b].mean(0) for b in range(3)])
    torch.testing.assert_close(directions["contrast"], means[0] - means[2])


@pytest.mark.slow
def test_activations_of_prompts_stay_with_their_model(far):
    here = refusal.prompt_activations(tiny_llama(), PROMPTS, [1], context=100)
    model = tiny_llama()
    model = wrap_model(model.module.to(far), model.tokenizer, name=model.name)
    there = refusal.prompt_activations(model, PROMPTS, [1], context=100)
    for x, near in ((there.every[1], here.every[1]), (there.final[1], here.final[1])):
        assert x.device.type == "cuda"
        torch.testing.assert_close(x.cpu(), near, atol=1e-4, rtol=1e-4)
