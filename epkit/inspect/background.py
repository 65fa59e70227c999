"""Random activations of the stream, the background that a region's distances stand against.

A region is worth a name only where its members lie nearer to the exemplar than activations do in
general. `Background` draws activations at random, once for all regions of a dictionary.

Does not know: HTML, widgets, members.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from epkit.dictionary import Dictionary
from epkit.geometry import distances
from epkit.inspect.evidence import BINS, FromModel, FromSet
from epkit.lm.text import StreamText

DRAWN = 2000
"""Activations drawn from a set on disk."""

WINDOWS, TOKENS = 24, 64
"""Windows drawn where the model has to be run, and tokens read of each."""

REACH = 3
"""The background is drawn up to this many thresholds."""


class Drawn(NamedTuple):
    """Distances of the drawn activations to an exemplar.

    bars : in bins as wide as those of the members, up to `REACH` thresholds; farther ones are left
        out. median. inside : share within the threshold.
    """

    bars: list[int]
    median: float
    inside: float


class Background:
    """Directions of activations drawn at random (seed 0) from a dictionary's stream.

    Attributes
    ----------
    directions : (S, D) float32 unit rows, None until `steps` is through.
    """

    def __init__(
        self, dictionary: Dictionary, source: FromSet | FromModel | None, text: StreamText
    ) -> None:
        self._dictionary, self._source, self._text = dictionary, source, text
        self.directions: torch.Tensor | None = None
        if isinstance(source, FromSet):
            self._set(list(self._draw()))

    @property
    def pending(self) -> bool:
        """Whether `steps` has anything to do."""
        return self._source is not None and self.directions is None

    def steps(self) -> Iterator[None]:
        """Fetch what was drawn, a window a step."""
        parts = []
        for places in self._draw() if self.pending else ():
            parts.append(places)
            self._source.fetch(places)
            yield
        if parts and self.pending:
            self._set(parts)

    def _draw(self) -> Iterator[np.ndarray]:
        rng, text = np.random.default_rng(0), self._text
        if isinstance(self._source, FromSet):
            n = len(self._source.x)
            yield text.places[np.sort(rng.choice(n, min(DRAWN, n), replace=False))]
            return
        windows = rng.permutation(len(text.start))[:WINDOWS]
        for w in np.sort(windows):
            places = np.arange(text.start[w], min(text.end[w], text.start[w] + TOKENS))
            if (own := places[text.row[places] >= 0]).size:
                yield own

    def _set(self, parts: list[np.ndarray]) -> None:
        x = self._source.fetch(np.concatenate(parts))
        self.directions = self._dictionary.directions(x[x.isfinite().all(dim=1)]).cpu()

    def of(self, region: int) -> Drawn | None:
        """What the drawn activations are to an exemplar; None where nothing is drawn."""
        if self.directions is None:
            return None
        exemplar = self._dictionary.exemplars[region : region + 1].cpu()
        gap, threshold = distances(self.directions, exemplar)[:, 0], self._dictionary.threshold
        slot = (gap / max(threshold, 1e-9) * BINS).long()
        bars = slot.bincount(minlength=REACH * BINS)[: REACH * BINS].tolist()
        return Drawn(bars, float(gap.median()), float((gap <= threshold).float().mean()))

    def bars(self, region: int) -> list[int]:
        """`Drawn.bars`, empty where nothing is drawn."""
        drawn = self.of(region)
        return [] if drawn is None else drawn.bars

    def said(self, region: int) -> str:
        """How far they lie, in a sentence."""
        drawn = self.of(region)
        if drawn is None:
            return "" if self._source is None else "random activations are being drawn …"
        return (
            f"grey: {len(self.directions):,} random activations, median {drawn.median:.2f}, "
            f"{drawn.inside:.1%} within θ"
        )
