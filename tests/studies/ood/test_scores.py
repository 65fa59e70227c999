"""Scores of strangeness against formulas, and intervals that cover."""

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from tiny_models import tiny_gemma2, tiny_gpt2, tiny_llama, tiny_tokenizer

from epkit.lm.activations import ActivationStream
from epkit.lm.corpora import UniformTokens
from epkit.studies.ood.scores import (
    equal_texts,
    mahalanobis,
    neighbour_distance,
    next_token_scores,
)


def test_texts_are_cut_to_the_same_number_of_tokens():
    tokenizer = tiny_tokenizer()
    texts = equal_texts(["long enough", "short", "also long"], tokenizer, 6, 5)
    assert texts == ["long e", "also l"]
    assert equal_texts(["long enough", "also long"], tokenizer, 6, 1) == ["long e"]


def test_a_cut_inside_a_character_is_passed_over():
    # é is two tokens here: cut after one of them, the text tokenises to another number
    assert equal_texts(["abcé!", "abcde"], tiny_tokenizer(), 4, 2) == ["abcd"]
    assert equal_texts(["abcé!"], tiny_tokenizer(), 5, 2) == ["abcé"]


def test_random_tokens_are_cut_by_their_length():
    documents = [UniformTokens(0, 20), UniformTokens(1, 5), UniformTokens(2, 9)]
    cut = equal_texts(documents, tiny_tokenizer(), 9, 5)
    assert cut == [UniformTokens(0, 9), UniformTokens(2, 9)]
    assert cut[0].ids(272) == documents[0].ids(272)[:9]


def test_what_cannot_be_cut_is_named():
    with pytest.raises(ValueError, match="no document holds 9 tokens"):
        equal_texts(["short", ""], tiny_tokenizer(), 9, 2)
    with pytest.raises(ValueError, match="a chat cannot be cut"):
        equal_texts([[{"role": "user", "content": "hi"}]], tiny_tokenizer(), 2, 1)


@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma2, tiny_gpt2])
def test_uncertainty_is_that_of_the_models_own_logits(make):
    model = make()
    texts, length = ["some text", "and other"], 9
    last = model.n_layers - 1
    (chunk,) = ActivationStream(model, texts, [last]).chunks()
    tokens = chunk.tokens.view(2, -1)
    hidden = chunk.activations[last].view(2, length, -1)
    entropy, surprisal = next_token_scores(model, hidden, tokens[:, 1:])
    with torch.no_grad():
        log_p = model.module(tokens.long()).logits.float().log_softmax(-1)
    expected = torch.distributions.Categorical(logits=log_p).entropy()
    torch.testing.assert_close(entropy, expected[:, 1:], atol=1e-4, rtol=1e-4)
    own = -log_p[:, :-1].gather(2, tokens[:, 1:, None].long())[..., 0]
    torch.testing.assert_close(surprisal, own[:, 1:], atol=1e-4, rtol=1e-4)


def test_mahalanobis_by_its_formula():
    rng = np.random.default_rng(0)
    build = rng.normal(size=(400, 5)) * [1, 2, 3, 4, 5] + 7
    x = rng.normal(size=(6, 5))
    fitted = LedoitWolf().fit(build)
    off = x - build.mean(0)
    expected = np.sqrt(np.einsum("nd,de,ne->n", off, np.linalg.inv(fitted.covariance_), off))
    found = mahalanobis(torch.tensor(x).float(), torch.tensor(build).float())
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_kth_neighbour_by_hand():
    build = torch.eye(3)
    u = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0]])
    assert neighbour_distance(u, build, 1).tolist() == pytest.approx([0, 0.2])
    assert neighbour_distance(u, build, 2).tolist() == pytest.approx([1, 0.4])
