"""The path of a prompt, against a build's own activations of the same text."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture
from tiny_models import tiny_llama, tiny_tokenizer

import epkit
from epkit.lm.activations import ActivationStream
from epkit.lm.trace import trace_prompt

PROMPT = "a $5 cake"


def partition(x, layer):
    cal = epkit.calibrate(x, [20], device="cpu")
    part = epkit.LeaderClustering(cal.centre, cal.thresholds[20], device="cpu")
    return part.partial_fit(x).dictionary(layer=layer)


@pytest.fixture(scope="module")
def model():
    return tiny_llama()


@pytest.fixture(scope="module")
def dictionaries(model):
    texts = ["the quick brown fox jumps over the lazy dog", "pack my box with five dozen jugs"]
    (chunk,) = ActivationStream(model, texts, [1, 3]).chunks()
    return {layer: partition(chunk.activations[layer], layer) for layer in (3, 1)}


@pytest.fixture(scope="module")
def trace(model, dictionaries):
    return trace_prompt(model, dictionaries, PROMPT)


def test_every_token_is_there_and_bos_is_not_clustered(model, trace):
    assert trace.texts == ["<bos>", *PROMPT]
    assert trace.tokens[0] == model.tokenizer.bos_token_id
    assert trace.clustered.tolist() == [False] + [True] * len(PROMPT)
    assert trace.layers == (1, 3)
    assert trace.region.shape == trace.distance.shape == (2, len(PROMPT) + 1)
    assert (trace.region[:, 0] == -1).all()
    assert trace.distance[:, 0].isnan().all()
    assert not trace.within[:, 0].any()


def test_regions_and_distances_are_the_dictionaries_own(model, dictionaries, trace):
    (chunk,) = ActivationStream(model, [PROMPT], [1, 3]).chunks()
    for i, layer in enumerate(trace.layers):
        region, distance = dictionaries[layer].assign(chunk.activations[layer])
        assert torch.equal(trace.region[i, 1:], region)
        assert torch.equal(trace.distance[i, 1:], distance)
        within = distance <= dictionaries[layer].threshold
        assert torch.equal(trace.within[i, 1:], within)
    assert trace.within[:, 1:].any()
    assert not trace.within[:, 1:].all()


def test_the_table_says_the_same(trace):
    table = trace.table()
    assert table["token", ""].tolist() == trace.texts
    assert list(table.columns.get_level_values(0).unique()) == ["token", "layer 1", "layer 3"]
    assert table["layer 1", "region"].isna().tolist() == [True] + [False] * len(PROMPT)
    assert table["layer 3", "region"].tolist()[1:] == trace.region[1, 1:].tolist()
    np.testing.assert_array_equal(table["layer 3", "distance"], trace.distance[1].numpy())
    assert table["layer 3", "within θ"].tolist()[1:] == trace.within[1, 1:].tolist()
    assert table["layer 3", "within θ"].isna()[0]
    assert isinstance(table, pd.DataFrame)


def test_a_chat_can_be_traced(model, dictionaries):
    trace = trace_prompt(model, dictionaries, [{"role": "user", "content": "hi"}])
    clustered = [t for t, c in zip(trace.texts, trace.clustered, strict=True) if c]
    assert clustered[:2] == ["h", "i"]
    assert not trace.clustered[:2].any()


def test_a_tokenizer_without_bos(dictionaries):
    trace = trace_prompt(tiny_llama(tiny_tokenizer(bos=False)), dictionaries, PROMPT)
    assert trace.texts == list(PROMPT)
    assert trace.clustered.all()


def test_a_prompt_may_fill_the_context_and_no_more(model, dictionaries):
    full = "x" * 9
    assert len(trace_prompt(model, dictionaries, full, context=10).tokens) == 10
    with pytest.raises(ValueError, match="11 tokens, BOS included, and the context is 10"):
        trace_prompt(model, dictionaries, full + "x", context=10)


def test_bad_input_gets_one_sentence(model, dictionaries):
    with pytest.raises(ValueError, match="the prompt is empty"):
        trace_prompt(model, dictionaries, "")
    with pytest.raises(ValueError, match="no dictionary given"):
        trace_prompt(model, {}, PROMPT)
    with pytest.raises(ValueError, match="a layer must be in 0 … 3, got int 9"):
        trace_prompt(model, {9: dictionaries[1]}, PROMPT)
    other = partition(mixture(50, 24), 1)
    with pytest.raises(ValueError, match="built with another model"):
        trace_prompt(model, {1: other}, PROMPT)
    with pytest.raises(ValueError, match="the prompt holds half of a surrogate pair"):
        trace_prompt(model, dictionaries, "a\ud800")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "smollm2"}, "model must be what load_model or wrap_model gives, got str"),
        ({"dictionaries": [1]}, r"dictionaries must be \{layer: dictionary\}, got list"),
        ({"dictionaries": {1: "d"}}, "layer 1 has no Dictionary but a str"),
        ({"dictionaries": {True: 0}}, "a layer must be a whole number, got bool"),
        ({"prompt": 3}, "the prompt is int, not a string or a chat"),
        ({"prompt": {"role": "user", "content": "x"}}, "is a single message"),
        ({"context": 12.0}, "context must be a whole number, got float"),
    ],
)
def test_arguments_of_the_wrong_type(model, dictionaries, change, words):
    given = {"model": model, "dictionaries": dictionaries, "prompt": PROMPT} | change
    with pytest.raises(TypeError, match=words):
        trace_prompt(**given)


def test_numpy_integers_are_integers(model, dictionaries, trace):
    given = {np.int64(layer): d for layer, d in dictionaries.items()}
    again = trace_prompt(model, given, PROMPT, context=np.int32(128))
    assert torch.equal(again.region, trace.region)


def test_a_table_tells_names_where_there_are_some(trace, dictionaries):
    names = {layer: [f"{layer}.{k}" for k in range(len(d))] for layer, d in dictionaries.items()}
    table = trace.table(names)
    for i, layer in enumerate(trace.layers):
        said = [f"{layer}.{k}" if k >= 0 else "" for k in trace.region[i].tolist()]
        assert table[f"layer {layer}", "name"].tolist() == said
    with pytest.raises(ValueError, match="do not cover the regions of layer 3"):
        trace.table({1: names[1]})
