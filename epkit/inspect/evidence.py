"""What is known of a region beyond its dictionary: activations, counts, promoted tokens.

A dictionary keeps tokens, not activations. They come back from the set on disk it was built from
(`FromSet`) or by feeding the windows to the model again (`FromModel`). A causal model gives a token
the same activation whatever follows, so a window is fed up to the last token that is asked for.

`NearestCounts` assigns a whole stream to its nearest exemplars, with the second nearest of every
activation.

Does not know: HTML, what a card says.
"""

import threading
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.geometry import distances
from epkit.lm.activations import ActivationStream
from epkit.lm.models import LanguageModel
from epkit.lm.store import ActivationSet
from epkit.lm.text import StreamText
from epkit.lm.tokens import Window
from epkit.progress import progress

BINS = 24
"""Bars of a histogram of distances, from 0 to the threshold."""

BLOCK = 512
"""Activations counted in a step: short enough to answer a click between two."""


def activations_of(
    dictionary: Dictionary,
    text: StreamText,
    model: LanguageModel | None,
    activations: ActivationSet | None,
) -> "FromSet | FromModel | None":
    """Where the activations of a dictionary's stream come from, if from anywhere."""
    if activations is not None:
        return FromSet(dictionary, activations, text)
    if model is not None and "layer" in dictionary.metadata:
        return FromModel(dictionary, model, text)
    return None


class FromSet:
    """Activations looked up in the set that the dictionary was built from."""

    def __init__(self, dictionary: Dictionary, activations: ActivationSet, text: StreamText):
        made_of = dictionary.metadata.get("stream")
        if activations.fingerprint != made_of:
            raise ValueError(
                "these activations are not of the stream the dictionary was built from; "
                "give the set of the same model, texts, layers and context"
            )
        self.x = activations.layer(dictionary.metadata["layer"])[: len(text.places)]
        self._text = text

    def rows(self, places: np.ndarray) -> np.ndarray:
        """Rows of the set: (P,) places -> (P,) int64, -1 where a token has none."""
        row = self._text.row[places]
        return np.where(row < len(self.x), row, -1)

    def fetch(self, places: np.ndarray) -> Tensor:
        """Activations of tokens: (P,) ascending places -> (P, D) float32, nan where none."""
        row = torch.from_numpy(self.rows(places))
        there = row >= 0
        out = torch.full((len(places), self.x.shape[1]), torch.nan)
        out[there] = self.x[row[there]].float()
        return out

    def forget(self) -> None:
        """Nothing is held."""


class FromModel:
    """Activations computed by feeding windows again; those of the last windows are held."""

    def __init__(self, dictionary: Dictionary, model: LanguageModel, text: StreamText):
        self._model = model
        self._layer = dictionary.metadata["layer"]
        self._text = text
        self._held: dict[int, tuple[np.ndarray, Tensor]] = {}

    def fetch(self, places: np.ndarray) -> Tensor:
        """As `FromSet.fetch`."""
        window = self._text.window(places)
        last = {int(w): int(p) for w, p in zip(window, places, strict=True)}
        self._feed({w: p for w, p in last.items() if w not in self._held or self._ends(w) < p})
        out = torch.full((len(places), self._model.d_model), torch.nan)
        for w in last:
            own, x = self._held[w]
            wanted = np.nonzero(window == w)[0]
            slot = own.searchsorted(places[wanted])
            known = (slot < len(own)) & (own[np.minimum(slot, len(own) - 1)] == places[wanted])
            out[wanted[known]] = x[slot[known]]
        return out

    def forget(self) -> None:
        """Let go of what is held."""
        self._held.clear()

    def _ends(self, window: int) -> int:
        return int(self._held[window][0][-1])

    def _feed(self, last: dict[int, int]) -> None:
        """Run windows up to a place of each: {window: place}."""
        windows, places = [], []
        bos = self._model.tokenizer.bos_token_id
        for w, place in last.items():
            start = int(self._text.start[w])
            first = int(self._text.tokens[start] == bos)
            windows.append(Window(w, self._text.tokens[start : place + 1].tolist(), first))
            places.append(np.arange(start + first, place + 1))
        if not windows:
            return
        longest = max(2, *(len(w.tokens) for w in windows))
        stream = _Windows(self._model, windows, self._layer, longest)
        rows = torch.cat([c.activations[self._layer].float().cpu() for c in stream.chunks()])
        for w, own, x in zip(last, places, rows.split([len(p) for p in places]), strict=True):
            self._held[w] = (own, x)


class _Windows(ActivationStream):
    """A stream of windows that are tokens already."""

    def __init__(self, model: LanguageModel, windows: list[Window], layer: int, context: int):
        super().__init__(model, ["(windows)"], [layer], context=context)
        self._fed = windows

    def windows(self) -> Iterator[Window]:
        return iter(self._fed)


class NearestCounts:
    """Voronoi cells of a stream: (n, D) activations, each counted for its nearest exemplar.

    The nearest two come from the float32 product alone, without the exact decision of near ties
    that `Dictionary.assign` makes: these counts are for looking.

    Attributes
    ----------
    histogram : (K, BINS) int64, distances to the exemplar in equal bins of [0, threshold].
    nearest : (n,) int32, region of every activation; -1 where it is not counted yet.
    counted, total : activations counted so far, and all of them.
    done : whether all activations are counted.
    """

    def __init__(self, dictionary: Dictionary, x: Tensor) -> None:
        self.histogram = torch.zeros(len(dictionary), BINS, dtype=torch.int64)
        self.done = False
        self._dictionary = dictionary
        self.counted, self.total = 0, len(x)
        self.nearest = np.full(len(x), -1, dtype=np.int32)
        self._second: list[Tensor] | Tensor = []
        self._rest = iter(x.split(BLOCK))
        self._lock = threading.Lock()

    def steps(self) -> Iterator[None]:
        """Count block by block; may be left and taken up again, also by another thread."""
        while not self.done:
            with self._lock:
                self._count(next(self._rest, None))
            yield

    def finish(self, show: bool) -> None:
        """Count all that is left."""
        with progress(self.total, "activations", "count", show=show) as update:
            for _ in self.steps():
                update(self.counted)

    def _count(self, block: Tensor | None) -> None:
        d, k = self._dictionary, len(self._dictionary)
        if block is None:
            if not self.done:
                none = torch.zeros(0, dtype=torch.int64)
                self._second = torch.cat([none, *self._second]).sort()[0]
                self.done = True
            return
        near = distances(d.directions(block), d.exemplars).topk(min(2, k), largest=False)
        region, gap = near.indices[:, 0].cpu(), near.values[:, 0].cpu()
        self.nearest[self.counted : self.counted + len(block)] = region.numpy()
        self.counted += len(block)
        bins = (gap / max(d.threshold, 1e-9) * BINS).long().clamp_(0, BINS - 1)
        self.histogram += (region * BINS + bins).bincount(minlength=k * BINS).view(k, BINS)
        if k > 1:
            self._second.append(region * k + near.indices[:, 1].cpu())

    def second(self, region: int, most: int) -> list[tuple[int, int]]:
        """(region, members): what comes second for a region's members, the most frequent first."""
        k = len(self._dictionary)
        edges = torch.tensor([region * k, (region + 1) * k])
        low, high = torch.searchsorted(self._second, edges).tolist()
        return frequent(self._second[low:high] - region * k, most)


def frequent(values: Tensor, most: int) -> list[tuple[int, int]]:
    """(value, how often) of the most frequent values; ties go to the lowest value."""
    value, n = values.unique(return_counts=True)
    order = n.argsort(descending=True, stable=True)[:most]
    return list(zip(value[order].tolist(), n[order].tolist(), strict=True))


def context_cosines(
    dictionary: Dictionary,
    source: FromSet | FromModel,
    region: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> list[np.ndarray]:
    """u·e of every token of spans with the exemplar of the region each span is shown for.

    Parameters
    ----------
    region, low, high : (S,) regions and the places [low, high) of their contexts.

    Returns
    -------
    S float32 arrays of high - low cosines, nan for tokens that are no activations.
    """
    places = np.unique(np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)]))
    x = source.fetch(places)
    known = x.isfinite().all(dim=1)
    u = torch.full_like(x, torch.nan)
    u[known] = dictionary.directions(x[known]).cpu()
    out = []
    exemplars = dictionary.exemplars.cpu()
    for r, a, b in zip(region, low, high, strict=True):
        first = places.searchsorted(a)
        out.append((u[first : first + b - a] @ exemplars[r]).numpy())
    return out


def context_regions(
    dictionary: Dictionary,
    source: FromSet | FromModel,
    counts: NearestCounts | None,
    low: np.ndarray,
    high: np.ndarray,
) -> list[np.ndarray] | None:
    """Regions that the tokens of spans lie in: S int64 arrays, -1 for tokens that are in none.

    Taken from the counts where activations are counted; else found out among all exemplars, where
    the model was run anyway; None while the count goes on.
    """
    spans = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    places = np.unique(np.concatenate(spans)) if spans else np.zeros(0, dtype=np.int64)
    region = np.full(len(places), -1, dtype=np.int64)
    if counts is not None:
        if not counts.done:
            return None
        row = source.rows(places)
        region[row >= 0] = counts.nearest[row[row >= 0]]
    elif len(places):
        x = source.fetch(places)
        known = x.isfinite().all(dim=1)
        region[known.numpy()] = dictionary.distances(x[known]).argmin(dim=1).cpu().numpy()
    return [region[places.searchsorted(span)] for span in spans]


def nearest_exemplars(dictionary: Dictionary, most: int) -> tuple[Tensor, Tensor]:
    """Distances and indices of the nearest other exemplars: (K, L) each, L = min(most, K - 1)."""
    e, parts = dictionary.exemplars, []
    for first in range(0, len(e), BLOCK):
        gap = distances(e[first : first + BLOCK], e)
        own = torch.arange(len(gap), device=gap.device)
        gap[own, own + first] = torch.inf
        parts.append(gap.topk(min(most, len(e) - 1), dim=1, largest=False))
    return torch.cat([p.values for p in parts]).cpu(), torch.cat([p.indices for p in parts]).cpu()
