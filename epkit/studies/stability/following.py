"""Tokens followed through all layers: from a model's texts to regions, endings and pairs.

`follow_tokens` assigns the first activations of a stream at every layer, and notes with each token
its document, how it ends (the last tokens up to it) and what the model predicts next;
`kinds_of_pairs` pairs positions of different documents that end alike. `final_tokens` does it for
single prompts.

Regions leave the device as they are found, since what `trajectories` counts is counted on the host;
activations stay where the model is.

Does not know: how regions were made, what becomes of the pairs (`trajectories`).
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import Chunk, places, truncate
from epkit.lm.lens import logit_lens
from epkit.lm.models import LanguageModel
from epkit.studies.stability.trajectories import LayerRegions, pairs_ending_alike

LONGEST = 4
"""Tokens of an ending at most."""

SAID = "same prediction,\nother last token"
"""The kind of pairs that say the same next and do not end alike."""


class Followed(NamedTuple):
    """T tokens: regions (L, T), and of each its id, document, ending and the model's prediction.

    endings : up to `LONGEST` ids, the token's own last, of its window alone.
    """

    regions: LayerRegions
    tokens: list[int]
    documents: list[int]
    endings: list[tuple[int, ...]]
    predicted: list[int]


def follow_tokens(
    model: LanguageModel, stream: ActivationStream, dictionaries: Sequence[Dictionary], n: int
) -> Followed:
    """The first n activations of a stream, by the dictionary of every layer.

    dictionaries : one for each of `stream.layers`, the last of which must be the model's last.
    """
    parts: list[Followed] = []
    left = n
    for chunk in stream.chunks():
        chunk = truncate(chunk, left)
        at = places(chunk)
        tokens = at.token.tolist()
        parts.append(Followed(
            regions_by_layer(chunk, dictionaries), tokens, at.document.tolist(),
            endings_of(tokens, at.window), _top_token(model, chunk),
        ))  # fmt: skip
        left -= len(tokens)
        if not left:
            break
    regions, *lists = zip(*parts, strict=True)
    return Followed(np.concatenate(regions, axis=1), *(list(chain(*some)) for some in lists))


def regions_by_layer(chunk: Chunk, dictionaries: Sequence[Dictionary]) -> LayerRegions:
    """The regions of a chunk's n activations at every layer, (L, n), on the host."""
    pairs = zip(dictionaries, chunk.activations.values(), strict=True)
    return torch.stack([d.assign(x)[0].cpu() for d, x in pairs]).numpy()


def endings_of(tokens: Sequence[int], window: Tensor) -> list[tuple[int, ...]]:
    """The last `LONGEST` ids up to each of T tokens, within its window.

    window : (T,) ascending, the window of every token.
    """
    first = torch.searchsorted(window, window).tolist()
    return [tuple(tokens[max(f, i + 1 - LONGEST) : i + 1]) for i, f in enumerate(first)]


def kinds_of_pairs(followed: Followed, *, seed: int) -> dict[str, np.ndarray]:
    """Pairs (P, 2) of positions of different documents, {kind: pairs}, without empty kinds.

    Pairs that agree in the last n tokens do not agree in n + 1, but for the longest endings.
    """
    documents, endings, tokens = followed.documents, followed.endings, followed.tokens

    def end_alike(n: int) -> np.ndarray:
        keys = [e[-n:] if len(e) >= n else None for e in endings]
        a, b = pairs = pairs_ending_alike(keys, documents, seed=seed).T
        ends = [e[-n - 1 :] for e in endings]
        other = [ends[i] != ends[j] for i, j in zip(a, b, strict=True)]
        return pairs.T if n == LONGEST else pairs.T[np.array(other, dtype=bool)]

    said = pairs_ending_alike(followed.predicted, documents, seed=seed)
    other = np.array([tokens[i] != tokens[j] for i, j in said], dtype=bool)
    kinds = {
        "last four tokens": end_alike(4), "last two": end_alike(2), "last token": end_alike(1),
        SAID: said[other],
        "random pairs": pairs_ending_alike([0] * len(tokens), documents, seed=seed),
    }  # fmt: skip
    return {kind: pairs for kind, pairs in kinds.items() if len(pairs)}


def final_tokens(
    model: LanguageModel, prompts: Sequence[str], dictionaries: Sequence[Dictionary]
) -> tuple[LayerRegions, list[str]]:
    """Regions of every prompt's final token by layer, (L, P), and the next token as a word."""
    layers = list(range(model.n_layers))
    (chunk,) = ActivationStream(model, prompts, layers, positions="final").chunks()
    words = model.tokenizer.batch_decode([[token] for token in _top_token(model, chunk)])
    return regions_by_layer(chunk, dictionaries), [word.strip() for word in words]


def _top_token(model: LanguageModel, chunk: Chunk) -> list[int]:
    """What the model predicts after each of n activations of the last layer."""
    last = list(chunk.activations.values())[-1]
    return logit_lens(model, last, k=1).promoted[:, 0].tolist()
