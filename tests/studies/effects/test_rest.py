"""The later blocks alone against the model run whole, as it is and under an edit."""

import nnsight
import pytest
import torch
from tiny_models import tiny_gemma2, tiny_gpt2, tiny_llama

from epkit.interventions import steer
from epkit.lm.models import blocks
from epkit.studies.effects.rest import RestOfModel, streams_after

MODELS = {"llama": tiny_llama, "gemma2": tiny_gemma2, "gpt2": tiny_gpt2}
TOKENS = torch.tensor([5, 3, 200])


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.fixture
def ids():
    return torch.randint(0, 250, (40, 12), generator=torch.Generator().manual_seed(0))


def whole(model, ids):
    with torch.no_grad():
        return model.module(input_ids=ids, use_cache=False).logits


def test_it_gives_the_logits_of_the_model_run_whole(model, ids):
    for layer in range(model.n_layers):
        rest = RestOfModel(model, layer, ids[7], TOKENS)
        logits = rest(streams_after(model, layer, ids))
        assert logits.shape == (40, 12, 3)
        torch.testing.assert_close(logits, whole(model, ids)[..., TOKENS], atol=1e-4, rtol=1e-4)


def test_an_edit_does_what_it_does_inside_the_model(model, ids):
    direction = torch.randn(16, generator=torch.Generator().manual_seed(1))
    edit = steer(direction, 2, 1.0, [0])[0]
    with torch.no_grad(), model.nnsight.trace(input_ids=ids, use_cache=False):
        block = blocks(model)[0]
        hidden = block.output
        if isinstance(hidden, tuple):
            block.output = (edit(hidden[0]), *hidden[1:])
        else:
            block.output = edit(hidden)
        inside = nnsight.save(model.nnsight.output.logits)
    streams = streams_after(model, 0, ids)
    outside = RestOfModel(model, 0, ids[0], TOKENS)(edit(streams))
    torch.testing.assert_close(outside, inside[..., TOKENS], atol=1e-4, rtol=1e-4)
    assert (outside - whole(model, ids)[..., TOKENS]).abs().max() > 0.1
