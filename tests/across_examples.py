"""Words and partitions whose correspondence is known, for the tests of the study across models."""

import numpy as np

from epkit.studies.across_models import tables
from epkit.studies.across_models.alignment import AlignedWords
from epkit.studies.across_models.rivals import shuffled_regions

N, K = 3000, 8


def made_words(n=N, seed=0):
    """n words of 40 kinds in documents of 50."""
    rng = np.random.default_rng(seed)
    word = np.array([f"w{i}" for i in rng.integers(40, size=n)], dtype=object)
    before = np.array([[word[i - j] if i >= j else "" for j in (1, 2, 3)] for i in range(n)])
    rows = np.arange(n)
    return AlignedWords(rows, rows * 2, rows // 50, word, before.astype(object))


def made_regions(words, seed=0, noise=0.2):
    """Two partitions that follow a hidden kind of the word in its place, with noise."""
    rng = np.random.default_rng(seed + 100)  # not the numbers that made the words
    kind = (np.unique(words.word, return_inverse=True)[1] + rng.integers(3, size=len(words))) % K
    other = np.where(
        rng.random(len(words)) < noise, rng.integers(K, size=len(words)), (kind + 3) % K
    )
    return kind, other


def made_partitions(words):
    a, b = made_regions(words)
    rng = np.random.default_rng(1)
    numbers = np.unique(words.word, return_inverse=True)[1]
    return {
        tables.CEILING: (a, a), tables.OTHER: (a, b),
        tables.WITHIN: (a, shuffled_regions(b, numbers, 0)), tables.CONTEXT: (a, numbers % K),
        tables.WORDS: (a, numbers), tables.TEXTS: (a, words.document % K),
        tables.ANY: (a, shuffled_regions(b, None, 0)),
        tables.DRAWN: (rng.integers(K + 1, size=len(a)), rng.integers(K, size=len(a))),
    }  # fmt: skip
