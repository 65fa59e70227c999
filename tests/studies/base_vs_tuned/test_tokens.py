"""Places in prompts, the commonest tokens, and how far a token moved."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_models import tiny_llama

from epkit.lm.activations import ActivationStream
from epkit.studies.base_vs_tuned.tokens import (
    commonest_tokens,
    moved_table,
    prompt_places,
    stream_activations,
)


def made(*prompts):
    """A set of prompts given as token ids, the first of each no activation."""
    return SimpleNamespace(
        tokens=torch.tensor([t for p in prompts for t in p], dtype=torch.int32),
        lengths=torch.tensor([len(p) for p in prompts], dtype=torch.int32),
        clustered=torch.tensor([i > 0 for p in prompts for i in range(len(p))]),
    )


def test_places_in_prompts():
    x = made([0, 5, 6, 8, 9], [0, 7, 8, 9])
    found = prompt_places(x, torch.tensor([True, False]))
    assert found.tokens.tolist() == [5, 6, 8, 9, 7, 8, 9]
    assert found.prompt.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert found.is_final.tolist() == [False] * 3 + [True] + [False] * 2 + [True]
    end = ["template's end", "final token"]
    assert found.place.tolist() == ["prompt", "prompt", *end, "prompt", *end]
    assert found.template.tolist() == [8, 9]
    region = torch.arange(7)
    assert found.at_final(region).tolist() == [3, 6]
    assert found.at_final(region[:2]).tolist() == [0, 1]  # of the final tokens already


def test_the_template_is_no_longer_than_the_shortest_prompt():
    x = made([0, 8, 9], [0, 8, 9], [4, 0, 8, 9])
    assert prompt_places(x, torch.ones(3) > 0).template.tolist() == [0, 8, 9]


def test_a_prompt_that_was_cut_is_an_error():
    with pytest.raises(ValueError, match="3 prompts gave 2 windows: raise the stream's context"):
        prompt_places(made([0, 1], [0, 2]), torch.ones(3) > 0)


def test_commonest_tokens_first_and_ties_by_id(tokenizer):
    assert commonest_tokens(tokenizer, torch.tensor([4, 2, 9, 2, 4, 7, 2]), 3) == "‹w2› ‹w4› ‹w7›"


class Layers:
    def __init__(self, x):
        self.x = x

    def layer(self, layer):
        return self.x[layer]


@pytest.mark.parametrize("place", ["cpu", pytest.param("far", marks=pytest.mark.slow)])
def test_how_far_tokens_moved(request, prompts, place):
    device = "cpu" if place == "cpu" else request.getfixturevalue("far")
    x = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)) + 3
    centre, n = x[:50].mean(0), len(prompts.prompt)
    still = {5: x.to(device)}
    web = {"base": Layers({5: torch.cat([x, x]).to(device)}), "tuned": Layers(still)}
    y = torch.randn(n, 8, generator=torch.Generator().manual_seed(1))
    moved = y.clone()
    harmful_ends = prompts.is_final.nonzero()[prompts.harmful, 0]
    moved[harmful_ends] = 2 * centre - y[harmful_ends]  # to the other side of the centre
    chat = {"base": Layers({5: y.to(device)}), "tuned": Layers({5: moved.to(device)})}
    row = moved_table(web, chat, prompts, [5], 50).loc[5]
    expected = {"web": 0, "prompt": 0, "template's end": 0}
    expected |= {"final token, benign": 0, "final token, harmful": 2}
    assert row.to_dict() == pytest.approx(expected, abs=1e-3)
    assert list(row.index) == list(expected)


def test_all_activations_are_read_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    model, texts = tiny_llama(), ["one two three", "four five six seven"]
    n = sum(int(c.clustered.sum()) for c in ActivationStream(model, texts, [1], context=8).chunks())
    x = stream_activations(model, texts, [1], context=8)
    assert x.n == n
    assert np.isfinite(x.layer(1).float().numpy()).all()
    assert stream_activations(model, texts, [1], 3, context=8).n == 3
