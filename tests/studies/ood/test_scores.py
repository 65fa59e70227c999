"""Scores of strangeness against formulas, and intervals that cover."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from tiny_models import tiny_gemma2, tiny_gpt2, tiny_llama, tiny_tokenizer

from epkit.lm.activations import ActivationStream
from epkit.lm.corpora import UniformTokens
from epkit.studies.ood.scores import (
    bootstrap_texts,
    equal_texts,
    mahalanobis,
    neighbour_distance,
    next_token_scores,
    wins,
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


def test_wins_by_hand():
    found = wins(torch.tensor([[1.0, 3.0], [2.0, 2.0]]), torch.tensor([[0.0, 2.0], [5.0, 2.0]]))
    # against (0, 2): 1 beats one of two and 3 both; 2 beats 0 and ties with 2
    assert found.tolist() == [[0.75, 0.25], [0.75, 0.25]]


def test_the_mean_of_wins_is_the_auroc():
    rng = np.random.default_rng(1)
    scores, reference = rng.integers(0, 30, (7, 11)), rng.integers(0, 25, (5, 11))
    truth = np.r_[np.ones(77), np.zeros(55)]
    expected = roc_auc_score(truth, np.r_[scores.ravel(), reference.ravel()])
    found = wins(torch.tensor(scores).float(), torch.tensor(reference).float())
    assert found.shape == (7, 5)
    assert float(found.mean()) == pytest.approx(expected)
    order = torch.tensor(rng.permutation(7))
    assert torch.equal(wins(torch.tensor(scores)[order], torch.tensor(reference)), found[order])


def texts_of(rng, n, tokens, shift):
    """(n, tokens): a shift, an effect of the text, an effect of the token; variance 1 in all."""
    text = rng.normal(0, math.sqrt(0.3), size=(n, 1))
    return torch.tensor(shift + text + rng.normal(0, math.sqrt(0.7), size=(n, tokens)))


def test_the_interval_covers_the_auroc_of_dependent_tokens():
    rng = np.random.default_rng(2)
    truth = norm.cdf(0.5 / math.sqrt(2))
    inside = 0
    for _ in range(150):
        found = bootstrap_texts(
            wins(texts_of(rng, 30, 12, 0.5), texts_of(rng, 30, 12, 0)), draws=400
        )
        inside += found.low <= truth <= found.high
    assert 0.88 <= inside / 150 <= 0.99


def test_tokens_of_a_text_do_not_count_as_independent():
    rng = np.random.default_rng(3)
    a, b = texts_of(rng, 30, 40, 0.5), texts_of(rng, 30, 40, 0)
    by_text = bootstrap_texts(wins(a, b))
    by_token = bootstrap_texts(wins(a.reshape(-1, 1), b.reshape(-1, 1)), draws=300)
    assert by_text.value == pytest.approx(by_token.value)
    assert by_text.high - by_text.low > 2 * (by_token.high - by_token.low)


def test_a_paired_difference_cancels_what_texts_share():
    rng = np.random.default_rng(4)
    a, b = texts_of(rng, 40, 10, 0.5), texts_of(rng, 40, 10, 0)
    better = wins(a + 0.1, b)
    difference = bootstrap_texts(better - wins(a, b))
    assert 0 < difference.low < difference.high < 0.08
    assert bootstrap_texts(wins(a, b) - wins(a, b)) == (0, 0, 0)


def test_arrays_that_share_reference_texts_are_averaged():
    a, b = torch.full((4, 3), 0.75), torch.full((9, 3), 0.25)
    assert bootstrap_texts([a, b]) == (0.5, 0.5, 0.5)
    assert bootstrap_texts(torch.ones(48, 48)) == (1, 1, 1)
    rng = np.random.default_rng(5)
    one, two = torch.tensor(rng.random((4, 3))), torch.tensor(rng.random((9, 3)))
    found = bootstrap_texts([one, two])
    assert found.value == pytest.approx(float(one.mean() + two.mean()) / 2)
    assert found == bootstrap_texts([one, two])
    assert found.low < found.value < found.high
