"""What activations say by their tokens: their words, the region of a word, the name of a region.

A region is named by what a few random members of it share (`group_name`) and by the next tokens
that its mean promotes (logit lens).

Does not know: distances, thresholds; which regions are near.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from epkit.dictionary import Dictionary
from epkit.inspect.names import token_class
from epkit.inspect.naming import group_name
from epkit.lm.lens import logit_lens, token_texts
from epkit.lm.models import LanguageModel
from epkit.lm.text import StreamText, TokenTexts, label_of
from epkit.plots.labels import drawable

SAMPLE = 8
"""Members that name a region."""

COMMONEST = 80
"""Words from which pairs are drawn."""


@dataclass(frozen=True, eq=False)
class StreamWords:
    """The words of the n activations of a stream, and their traits as whole numbers.

    Attributes
    ----------
    token, before : (n,) str objects, the text of the token and of the one before it in its window,
        "" where it is the first.
    document : (n,) int, the text it is of.
    word : (n,) int, the token without outer spaces and without case, numbered in order of
        appearance; -1 where nothing is left.
    word_class : (n,) int, its `token_class`; -1 where it has none.
    """

    token: np.ndarray
    before: np.ndarray
    document: np.ndarray
    word: np.ndarray
    word_class: np.ndarray

    @classmethod
    def of(cls, stream, tokenizer) -> "StreamWords":
        """The words of a stream that was read (`cached`), decoded once each."""
        text = StreamText(stream, TokenTexts(tokenizer))
        document = stream.documents.cpu().numpy()[text.window(text.places)]
        return cls.from_texts(*text.with_before(np.arange(stream.n)), document)

    @classmethod
    def from_texts(
        cls, token: Sequence[str], before: Sequence[str], document: Sequence[int]
    ) -> "StreamWords":
        """The words of n tokens, the texts before them and the documents they are of."""
        token, before = (np.array(texts, dtype=object) for texts in (token, before))
        word = _numbered(t.strip().casefold() for t in token)
        classes = _numbered(token_class(t) for t in token)
        return cls(token, before, np.asarray(document), word, classes)

    def region_of(self, spelled: str, region: np.ndarray) -> int:
        """The region that holds most activations of a word as it is spelled (ties: the lowest).

        region : (n,) region of every activation. Raises ValueError for a word that is not there.
        """
        own = np.array([t.strip() == spelled for t in self.token], dtype=bool)
        holds = np.bincount(region[own])
        if not len(holds):
            raise ValueError(f"{spelled!r} is not a word of the stream; give another anchor")
        return int(holds.argmax())

    def anchors(
        self, pairs: Sequence[tuple[str, str]], region: Mapping[float, np.ndarray]
    ) -> dict[tuple[str, str], dict[float, tuple[int, int]]]:
        """Per pair of words and percentile, the two regions that hold them; see `region_of`.

        region : per percentile, (n,) region of every activation.
        """
        return {
            (a, b): {p: (self.region_of(a, at), self.region_of(b, at)) for p, at in region.items()}
            for a, b in pairs
        }

    def draw_pairs(self, n: int, *, seed: int = 0) -> list[tuple[str, str]]:
        """Random pairs of the commonest words that follow a space and are of no `token_class`.

        n pairs, or as many as there are words for: some tokenizers have no word tokens.
        """
        plain = (t for t in self.token[self.word_class < 0] if t.startswith(" "))
        counted = Counter(t.strip().casefold() for t in plain)
        counted = {word: count for word, count in counted.items() if word.isalpha()}
        common = sorted(counted, key=lambda word: (-counted[word], word))[:COMMONEST]
        n = min(n, len(common) // 2)
        drawn = np.random.default_rng(seed).choice(common, (n, 2), replace=False) if n else []
        return [(str(a), str(b)) for a, b in drawn]

    def form(self, members: np.ndarray, *, seed: int = 0) -> str:
        """What up to eight random members of a region evidently share, short and drawable.

        members : (m,) positions in the stream.
        """
        some = np.random.default_rng(seed).permutation(members)[:SAMPLE]
        if not len(some):
            return "(no members among those read)"
        return drawable(group_name(self.token[some].tolist(), self.before[some].tolist()), 48)


def _numbered(traits: Iterable[str | None]) -> np.ndarray:
    """Traits as whole numbers in order of appearance, those that are empty or None as -1."""
    return pd.factorize(np.array([trait or None for trait in traits], dtype=object))[0]


@dataclass(frozen=True, eq=False)
class RegionNames:
    """Names regions: by the words of their members and by what their means promote.

    model : whose stream `words` are of; seed : of the members that name a region.
    """

    model: LanguageModel
    words: StreamWords
    seed: int = 0

    def of(
        self, dictionary: Dictionary, region: np.ndarray, which: Sequence[int], between: str = "\n"
    ) -> list[str]:
        """Names of some regions of a dictionary, with their numbers.

        region : (n,) region of every activation, -1 for those that shall not name any.
        between : stands before the arrow to the tokens promoted.
        """
        names = []
        means = dictionary.means[torch.as_tensor(which, device=dictionary.means.device)]
        for r, ids in zip(which, logit_lens(self.model, means, 2).promoted, strict=True):
            texts = token_texts(self.model.tokenizer, ids)
            tokens = "  ".join(drawable(label_of(text), 12) for text in texts)
            form = self.words.form(np.flatnonzero(region == r), seed=self.seed)
            names.append(f"{r}: {form}{between}→ {tokens}")
        return names
