"""Plain files that need no code of ours: vectors as `.npz`, cards as JSON.

A table of the regions is `Dictionary.to_frame()`, which pandas writes as CSV or anything else.

Does not know: how cards are made or shown.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from epkit import checks
from epkit.dictionary import Dictionary
from epkit.files import write_bytes, write_text

if TYPE_CHECKING:
    from epkit.inspect.regions import Regions

VECTORS = ("centre", "exemplars", "means", "counts", "coherence")


def save_vectors(d: Dictionary, path: str | os.PathLike) -> Path:
    """A dictionary's numbers as an `.npz`, for `numpy.load` and most other languages.

    Arrays
    ------
    centre : (D,) float32, subtracted from an activation before its direction is taken.
    exemplars, means : (K, D) float32, rows of length 1.
    counts : (K,) int64, members.
    coherence : (K,) float32, in [0, 1].
    threshold : float64, a number.

    Raises
    ------
    ValueError : a path that does not end in .npz.
    OSError : it cannot be written; what was there before still is.
    """
    path = _path(path, ".npz")
    arrays = {name: getattr(d, name).cpu().numpy() for name in VECTORS}
    file = io.BytesIO()
    np.savez(file, **arrays, threshold=np.float64(d.threshold))
    write_bytes(path, file.getvalue())
    return path


def save_cards(
    regions: Regions, path: str | os.PathLike, which: Iterable[int] | None = None
) -> Path:
    """Cards of regions as JSON: a list of objects with the attributes of `inspect.card.Card`.

    Each has region, label, count, share, coherence, threshold, distance_mean, distance_std and
    position (of the exemplar in the stream). exemplar, and members under "closest", "random" and
    "farthest" (or "all"), are contexts: tokens, at (the member among them), distance, cosines.
    promoted and suppressed next tokens are [token, value]; further histogram, nearest and
    competitors. What is not known is null. Texts are those on the card, not escaped: escape them
    before they meet HTML.

    Parameters
    ----------
    regions : `inspect.regions.Regions` of a dictionary.
    path : ends in .json.
    which : regions to take, by default all; on a model this takes a forward pass for every card.

    Raises
    ------
    ValueError : a path that does not end in .json, a region that is not there.
    OSError : it cannot be written; what was there before still is.
    """
    path = _path(path, ".json")
    chosen = range(len(regions)) if which is None else checks.several("which", which)
    cards = (asdict(regions.card(k)) for k in chosen)
    lines = (json.dumps(_finite(card), ensure_ascii=False, allow_nan=False) for card in cards)
    write_text(path, "[\n" + ",\n".join(lines) + "\n]\n")
    return path


def _path(path: str | os.PathLike, suffix: str) -> Path:
    path = checks.path("path", path)
    if path.suffix != suffix:
        raise ValueError(f"path must end in {suffix}, got {path.name!r}")
    return path


def _finite(value: object) -> object:
    """The value with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
