"""What another model's regions are compared with: partitions of the same words, no model needed.

- k-means of the TF-IDF of the texts: pieces of a few words, each word belongs to its piece's
  cluster, after the control that was published for matched regions.
- k-means of the TF-IDF of each word with those just before it: what a model reads last.
- the word itself.
- the other model's regions after a permutation: of all words, or among the occurrences of a word,
  which leaves what each region holds of each word as it is and takes away where.

And as a ceiling the same model's dictionary of the same stream in another order.

Does not know: models, which rows words are of.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.feature_extraction.text import TfidfVectorizer

from epkit.studies.across_models.alignment import AlignedWords


def text_clusters(words: AlignedWords, k: int, length: int, seed: int) -> np.ndarray:
    """Clusters of pieces of `length` words of one document, for each word its piece's: (W,)."""
    start = np.flatnonzero(np.diff(words.document, prepend=-1))
    within = np.arange(len(words)) - np.repeat(start, np.diff([*start, len(words)]))
    piece = np.unique(np.stack([words.document, within // length]), axis=1, return_inverse=True)[1]
    pieces = np.split(words.word, np.flatnonzero(np.diff(piece)) + 1)
    return _kmeans([list(p) for p in pieces], k, seed)[piece]


def context_clusters(words: AlignedWords, k: int, seed: int) -> np.ndarray:
    """Clusters of each word with the words before it: (W,)."""
    rows = zip(words.word, words.before, strict=True)
    return _kmeans([[word, *filter(None, before)] for word, before in rows], k, seed)


def _kmeans(documents: list[list[str]], k: int, seed: int) -> np.ndarray:
    """k-means of the TF-IDF of lists of words, into k clusters or as many as there are lists."""
    rows = TfidfVectorizer(analyzer=list, min_df=1).fit_transform(documents).astype(np.float32)
    k = min(k, len(documents))
    found = MiniBatchKMeans(k, random_state=seed, n_init=1, batch_size=4096, max_iter=30)
    return found.fit_predict(rows)


def word_numbers(words: AlignedWords) -> np.ndarray:
    """The word itself as a cluster: (W,)."""
    return np.unique(words.word.astype(str), return_inverse=True)[1]


def shuffled_regions(region: np.ndarray, among: np.ndarray | None, seed: int) -> np.ndarray:
    """Regions (W,) given to other words at random: to any, or to those equal in `among`."""
    rng = np.random.default_rng(seed)
    if among is None:
        return rng.permutation(region)
    order = np.argsort(among, kind="stable")
    shuffled = np.lexsort((rng.random(len(among)), among))
    found = np.empty_like(region)
    found[order] = region[shuffled]
    return found
