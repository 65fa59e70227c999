"""What is worth a look: a score for regions, and the dictionary of an atlas to begin with.

The score, `interest`, is a product of numbers between 0 and 1:

- *alike*: the mean cosine of two different members, `(n c^2 - 1) / (n - 1)` for n members whose
  mean direction has length c (coherence). Unlike coherence it does not grow where n is small.
- *varied*: the chance that two kept members drawn at random are different words, capitals and outer
  spaces aside. A region of one token scores 0: its token says all there is.
- *spread*: the chance that two of them stand in different windows of text, since activations of one
  text are alike for being of that text.
- *inner*: the share of them that are not the first of their window, which are alike for that.

Does not know: HTML, widgets, what regions mean.
"""

from collections.abc import Mapping

import numpy as np

from epkit.atlas import Atlas
from epkit.inspect.regions import Regions

MIN_MEMBERS = 5
"""Members from which a region is listed, unless somebody says otherwise."""

FILLED = 100
"""Regions with `MIN_MEMBERS` members that make a dictionary well filled."""


def interest(regions: Regions) -> np.ndarray:
    """Interest of every region, in [0, 1]: (K,) float32, as the module says."""
    d, text = regions.dictionary, regions.text
    n = d.counts.cpu().numpy().astype(np.float64)
    coherence = d.coherence.cpu().numpy().astype(np.float64)
    alike = np.where(n > 1, (n * coherence**2 - 1) / np.maximum(n - 1, 1), 0).clip(0, 1)
    index = d.members.random_index.numpy()
    there = index >= 0
    places = text.places[np.where(there, index, 0)]
    window = text.window(places)
    first = text.start[window]
    inner = (places > first + (text.row[first] < 0)) & there
    kept = np.maximum(there.sum(1), 1)
    varied = _differ(_words(regions)[text.tokens[places]], there)
    spread = _differ(window, there)
    return (alike * varied * spread * inner.sum(1) / kept).astype(np.float32)


def most_interesting(counts: np.ndarray, score: np.ndarray, min_members: int) -> int:
    """The region to begin with: the most interesting that is large enough, else the largest.

    counts, score : (K,) members and `interest`.
    """
    score = np.where(counts >= min_members, score, -1)
    best = int(score.argmax())
    return best if score[best] > 0 else int(counts.argmax())


def _words(regions: Regions) -> np.ndarray:
    """A number for the word of every token id of the stream, capitals and outer spaces aside."""
    ids = np.unique(regions.text.tokens)
    words = [text.strip().casefold() for text in regions.texts(ids)]
    number = np.zeros(int(ids.max()) + 1, dtype=np.int64)
    number[ids] = np.unique(words, return_inverse=True)[1]
    return number


def _differ(what: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(K, M) values and which of them count -> (K,) chance that two are different."""
    pairs = there[:, :, None] & there[:, None, :] & ~np.eye(what.shape[1], dtype=bool)
    different = what[:, :, None] != what[:, None, :]
    return (different & pairs).sum((1, 2)) / np.maximum(pairs.sum((1, 2)), 1)


def dictionary_to_open(
    atlas: Atlas, layer: int | None = None, percentile: float | None = None
) -> tuple[int, float]:
    """The (layer, percentile) to begin with: the coarsest dictionary that is well filled.

    Of the deepest layer (or the one asked for) the largest percentile at which at least `FILLED`
    regions have `MIN_MEMBERS` members; where none has so many, the one with most such regions.
    Raises TypeError for no atlas, ValueError for an empty one or a dictionary that is not in it.
    """
    if not isinstance(atlas, Mapping):
        raise TypeError(
            f"atlas must be {{(layer, percentile): Dictionary}}, got a {type(atlas).__name__}"
        )
    if not atlas:
        raise ValueError("the atlas is empty: build or load at least one dictionary")
    wanted = [k for k in atlas if layer in (None, k[0]) and percentile in (None, k[1])]
    if not wanted:
        raise ValueError(
            f"the atlas has no dictionary of layer {layer} and percentile {percentile}; "
            f"it has {sorted(atlas)}"
        )
    deepest = max(at for at, _ in wanted)
    keys = sorted((key for key in wanted if key[0] == deepest), reverse=True)
    filled = {key: int((atlas[key].counts >= MIN_MEMBERS).sum()) for key in keys}
    return next((k for k in keys if filled[k] >= FILLED), max(keys, key=filled.__getitem__))
