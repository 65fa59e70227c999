"""Followed tokens: endings by hand, pairs that are what they are called, a tiny model."""

import numpy as np
import pytest
import torch
from region_examples import TEXTS
from tiny_models import tiny_llama

import epkit
from epkit.lm.chunks import places
from epkit.studies.stability.following import (
    SAID,
    Followed,
    endings_of,
    final_tokens,
    follow_tokens,
    kinds_of_pairs,
)


def test_endings_stay_within_their_window():
    window = torch.tensor([0, 0, 0, 0, 0, 2, 2])
    assert endings_of([5, 6, 7, 8, 9, 1, 2], window) == [
        (5,), (5, 6), (5, 6, 7), (5, 6, 7, 8), (6, 7, 8, 9), (1,), (1, 2),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made():
    model = tiny_llama()
    layers = list(range(model.n_layers))
    stream = epkit.ActivationStream(model, TEXTS, layers, context=64)
    options = {"n_calibration": 200, "checkpoint": False, "keep": False, "show_progress": False}
    walk = epkit.build_from(stream, [5], 400, **options)
    return model, stream, [walk[i, 5] for i in layers]


@pytest.mark.parametrize("n", [7, 150, 900])
def test_the_first_tokens_of_a_stream_at_every_layer(made, n):
    model, stream, walk = made
    followed = follow_tokens(model, stream, walk, n)
    (chunk,) = [c for i, c in enumerate(stream.chunks()) if i == 0]
    assert len(places(chunk).token) >= n
    assert followed.tokens == places(chunk).token[:n].tolist()
    assert followed.documents == places(chunk).document[:n].tolist()
    assert [e[-1] for e in followed.endings] == followed.tokens
    assert len(followed.predicted) == n
    for layer, d in enumerate(walk):
        alone = d.assign(chunk.activations[layer][:n])[0]
        assert followed.regions[layer].tolist() == alone.tolist()


def test_tokens_of_several_chunks_follow_one_another(made):
    model, _, walk = made
    stream = epkit.ActivationStream(model, TEXTS, list(range(model.n_layers)), context=64)
    stream.bucket = 2
    parts = [places(chunk) for chunk in stream.chunks()]
    followed = follow_tokens(model, stream, walk, 200)
    assert sum(len(p.token) for p in parts[:2]) > 200 > len(parts[0].token)
    assert followed.tokens == torch.cat([p.token for p in parts])[:200].tolist()
    assert followed.documents == torch.cat([p.document for p in parts])[:200].tolist()
    assert followed.regions.shape == (model.n_layers, 200)
    assert len(followed.endings) == len(followed.predicted) == 200


def test_a_stream_that_ends_early_is_followed_to_its_end(made):
    model, _, walk = made
    short = epkit.ActivationStream(model, TEXTS[:1], list(range(model.n_layers)), context=64)
    n = sum(int(c.clustered.sum()) for c in short.chunks())
    followed = follow_tokens(model, short, walk, 10_000)
    assert followed.regions.shape == (model.n_layers, n)
    assert len(followed.endings) == n


def test_final_tokens_and_what_comes_next(made):
    model, _, walk = made
    regions, words = final_tokens(model, ["a cat", "the dog sat"], walk)
    assert regions.shape == (model.n_layers, 2)
    assert len(words) == 2
    assert words == [word.strip() for word in words]


def random_followed(n=600, seed=0):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(4, size=n).tolist()
    documents = (np.arange(n) // 60).tolist()
    endings = endings_of(tokens, torch.tensor(documents))
    said = rng.integers(5, size=n).tolist()
    return Followed(np.zeros((2, n), dtype=int), tokens, documents, endings, said)


def test_pairs_of_every_kind_are_what_they_are_called():
    followed = random_followed()
    kinds = kinds_of_pairs(followed, seed=1)
    assert list(kinds) == ["last four tokens", "last two", "last token", SAID, "random pairs"]
    ends = followed.endings
    for kind, n in (("last four tokens", 4), ("last two", 2), ("last token", 1)):
        assert len(kinds[kind]) > 5
        for i, j in kinds[kind]:
            assert ends[i][-n:] == ends[j][-n:]
            assert len(ends[i][-n:]) == n
            assert n == 4 or ends[i][-n - 1 :] != ends[j][-n - 1 :]
    for i, j in kinds[SAID]:
        assert followed.predicted[i] == followed.predicted[j]
        assert followed.tokens[i] != followed.tokens[j]
    for pairs in kinds.values():
        assert pairs.dtype == np.int64
        assert len(np.unique(pairs)) == pairs.size
        assert all(followed.documents[i] != followed.documents[j] for i, j in pairs)


def test_kinds_without_a_pair_are_left_out():
    followed = Followed(np.zeros((1, 2), dtype=int), [1, 2], [0, 1], [(1,), (2,)], [7, 8])
    kinds = kinds_of_pairs(followed, seed=0)
    assert list(kinds) == ["random pairs"]
    assert kinds["random pairs"].shape == (1, 2)
