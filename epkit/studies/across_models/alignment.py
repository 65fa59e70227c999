"""The words that two streams of the same texts both read: a row of each, where the word ends.

A word is a run of letters, digits and apostrophes. Its activation is that of the token that ends
where the word does, which every tokenizer has for nearly all words, however it cuts them. Left out
are words whose last token goes on beyond them, that one of the streams did not reach, or whose
token is the first of a window (its activation is like that of no other position).

Does not know: models, regions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from epkit.lm.chunks import places
from epkit.lm.store import ActivationSet

WORD = re.compile(r"\w(?:[\w'’]*\w)?")


@dataclass(frozen=True, eq=False)
class AlignedWords:
    """W words in the order of the texts.

    a, b : (W,) rows of the first and of the second stream. document : (W,) numbers of documents.
    word : (W,) str objects, without case. before : (W, BEFORE) the words before it, the nearest
    first, "" where the document begins.
    """

    a: np.ndarray
    b: np.ndarray
    document: np.ndarray
    word: np.ndarray
    before: np.ndarray

    def __len__(self) -> int:
        return len(self.word)


BEFORE = 3
"""Words before a word that are kept with it."""


def aligned_words(
    texts: Iterable[str], a: ActivationSet, b: ActivationSet, tokenizer_a, tokenizer_b
) -> AlignedWords:
    """The words that both streams read; ValueError where the texts are not those of a stream."""
    ends_a, ends_b = (_Ends(*pair) for pair in ((a, tokenizer_a), (b, tokenizer_b)))
    rows: list[tuple] = []
    for document, text in enumerate(islice(texts, min(ends_a.documents, ends_b.documents))):
        found = list(WORD.finditer(text))
        if not found:
            continue
        at = np.array([m.end() for m in found])
        row_a, row_b = (ends.rows(document, text, at) for ends in (ends_a, ends_b))
        words = ["" for _ in range(BEFORE)] + [m.group().casefold() for m in found]
        for i in np.flatnonzero((row_a >= 0) & (row_b >= 0)):
            there = i + BEFORE
            rows.append(
                (row_a[i], row_b[i], document, words[there], words[there - BEFORE : there][::-1])
            )
    if not rows:
        raise ValueError("the two streams have no word in common: read more of the same texts")
    row_a, row_b, document, word, before = zip(*rows, strict=True)
    return AlignedWords(
        np.array(row_a), np.array(row_b), np.array(document),
        np.array(word, dtype=object), np.array(before, dtype=object),
    )  # fmt: skip


class _Ends:
    """Where the words of a document end among the activations of a stream."""

    def __init__(self, stream: ActivationSet, tokenizer):
        self._tokenizer = tokenizer
        at = places(stream)
        self._token, window = at.token.numpy(), at.window.numpy()
        self._opens = np.diff(window, prepend=-1) > 0
        counts = np.bincount(at.document.numpy())
        self.documents = len(counts)
        self._start = np.concatenate([[0], counts.cumsum()])

    def rows(self, document: int, text: str, ends: np.ndarray) -> np.ndarray:
        """The row of the token that ends at every place of a text, -1 where there is none."""
        found = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False,
            return_offsets_mapping=True,
        )  # fmt: skip
        first, last = self._start[document : document + 2]
        n = last - first
        if not np.array_equal(found["input_ids"][:n], self._token[first:last]):
            raise ValueError(
                f"document {document} is not what the stream was read from: give the same corpus, "
                "split and seed, as plain text"
            )
        offsets = np.array(found["offset_mapping"]).reshape(-1, 2)[:n]
        place = np.searchsorted(offsets[:, 0], ends, side="left") - 1  # the last to begin before
        row = first + place.clip(0)
        sound = (
            (place >= 0) & (offsets[place.clip(0), 1] == ends) if n else np.zeros(len(ends), bool)
        )
        return np.where(sound & ~self._opens[row.clip(max=len(self._opens) - 1)], row, -1)
