"""How far a build has come: clusterings, members and tokens of every dictionary, and their file.

The state changes by whole chunks of the stream, so that what is written is always consistent; read
back, it goes on to the same bytes. The file names its job; one of another job, or with anything
that `write` would not have written, is not gone on with.

Does not know: when to stop, where chunks come from.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from epkit.atlas import Atlas
from epkit.calibration import Calibration
from epkit.checks import as_activations, number, whole
from epkit.clustering import LeaderClustering, fit_together
from epkit.files import read_tensors, write_tensors
from epkit.geometry import directions
from epkit.lm.chunks import Chunk, truncate
from epkit.members import MemberCollector
from epkit.sums import UNIT

PAUSE = 20
"""Least time between two writes of a state, in times that one took."""

_TOKENS = ("tokens", "lengths", "clustered")


@dataclass
class BuildState:
    """`n` of at most `limit` activations, and `cursor` windows of the stream, taken in."""

    limit: int
    percentiles: Sequence[float]
    seed: int
    device: torch.device
    n: int = 0
    cursor: int = 0
    calibrations: dict[int, Calibration] = field(default_factory=dict)
    parts: dict[tuple[int, float], LeaderClustering] = field(default_factory=dict)
    collectors: dict[tuple[int, float], MemberCollector] = field(default_factory=dict)
    tokens: list[Tensor] = field(default_factory=list)
    lengths: list[Tensor] = field(default_factory=list)
    clustered: list[Tensor] = field(default_factory=list)

    def start(self, layers: Sequence[int], calibrations: dict[int, Calibration]) -> None:
        """Empty regions for every layer and percentile."""
        for layer in layers:
            if layer not in calibrations:
                raise ValueError(f"calibrations has none for layer {layer}")
            cal = self.calibrations[layer] = calibrations[layer]
            for p in self.percentiles:
                if p not in cal.thresholds:
                    raise ValueError(f"the calibration of layer {layer} has no percentile {p:g}")
            thresholds = [cal.thresholds[p] for p in self.percentiles]
            parts = LeaderClustering.several(cal.centre, thresholds, self.device)
            for p, part in zip(self.percentiles, parts, strict=True):
                self.parts[layer, p] = part
                self.collectors[layer, p] = MemberCollector(self.seed, self.device)

    def take(self, chunk: Chunk) -> None:
        """Cluster a chunk, cut at the limit."""
        chunk = truncate(chunk, self.limit - self.n)
        for layer, cal in self.calibrations.items():
            keys = [key for key in self.parts if key[0] == layer]
            parts = [self.parts[key] for key in keys]
            x = as_activations(chunk.activations[layer], len(cal.centre), self.device)
            found = fit_together(parts, directions(x, parts[0].centre))
            for key, part, (region, distance) in zip(keys, parts, found, strict=True):
                self.collectors[key].update(self.n, region, distance, part.n_regions)
        self.keep_tokens(chunk)

    def keep_tokens(self, chunk: Chunk) -> None:
        """Count a chunk, whose activations have been taken in, and keep its tokens."""
        self.n += int(chunk.clustered.sum())
        self.cursor = chunk.cursor
        for name in _TOKENS:
            getattr(self, name).append(getattr(chunk, name))

    def regions_line(self) -> str:
        """Regions so far, for a line of progress."""
        return " ".join(f"{layer}/p{p:g}:{c.n_regions}" for (layer, p), c in self.parts.items())

    def dictionaries(self, **metadata: object) -> Atlas:
        """The regions so far, on the device of the clustering, with their members."""
        tokens = [torch.cat(getattr(self, name)) for name in _TOKENS]
        atlas = {}
        for (layer, p), part in self.parts.items():
            cal = self.calibrations[layer]
            d = part.dictionary(
                **metadata, layer=layer, percentile=p, seed=self.seed, n_activations=self.n,
                n_calibration=cal.n, threshold_error=cal.threshold_errors.get(p, 0.0),
            )  # fmt: skip
            members = self.collectors[layer, p].members(*tokens)
            atlas[layer, p] = replace(d, members=members)
        return atlas

    def write(self, path: Path, job: str) -> None:
        """Everything, as one checked file that names its job."""
        tensors = {name: torch.cat(getattr(self, name)) for name in _TOKENS}
        for key, part in self.parts.items():
            own = part.state() | self.collectors[key].state()
            tensors |= {_prefix(*key) + name: value for name, value in own.items()}
        for layer, cal in self.calibrations.items():
            tensors[f"{layer}/centre"] = cal.centre
        calibrations = {
            str(layer): [list(cal.thresholds.items()), list(cal.threshold_errors.items()), cal.n]
            for layer, cal in self.calibrations.items()
        }
        about = {"job": job, "n": self.n, "cursor": self.cursor, "calibrations": calibrations}
        write_tensors(path, tensors, about)

    @classmethod
    def read(cls, path: Path, new: "BuildState", layers: Sequence[int], job: str) -> "BuildState":
        """What `write` wrote, for the job that `new` would start.

        Raises
        ------
        ValueError : of another job, damaged, or anything else than what `write` writes.
        OSError : it cannot be read.
        """
        tensors, about = read_tensors(path)
        if not isinstance(about, dict) or about.get("job") != job:
            raise ValueError("it is of another job")
        self = cls(new.limit, new.percentiles, new.seed, new.device)
        try:
            self._fill(tensors, about, layers)
        except (KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            raise ValueError(f"it lacks what it should hold ({error!r})") from error
        return self

    def _fill(self, tensors: dict[str, Tensor], about: dict, layers: Sequence[int]) -> None:
        """Take over the content of a file, piece by piece as it proves sound."""
        self.n = whole("n", about["n"], 1, self.limit)
        self.cursor = whole("cursor", about["cursor"], 1)
        for name, dtype in zip(_TOKENS, (torch.int32, torch.int32, torch.bool), strict=True):
            _check(tensors[name].dtype == dtype and tensors[name].dim() == 1, f"odd {name}")
            getattr(self, name).append(tensors[name])
        tokens, lengths, clustered = (tensors[name] for name in _TOKENS)
        _check(len(clustered) == len(tokens) == int(lengths.sum()), "windows that do not cover")
        _check(len(lengths) == self.cursor and bool((lengths > 0).all()), "odd windows")
        _check(int(clustered.view(torch.uint8).sum()) == self.n, "another number of activations")
        _check(set(about["calibrations"]) == set(map(str, layers)), "other layers")
        self.start(layers, {x: _calibration(x, tensors, about) for x in layers})
        for key, part in self.parts.items():
            names = part.state() | self.collectors[key].state()
            own = {name: tensors[_prefix(*key) + name] for name in names}
            _check_regions(own, names, self.n)
            part.load_state(own)
            self.collectors[key].load_state(own)
        known = {*_TOKENS, *(f"{layer}/centre" for layer in layers)}
        known |= {_prefix(*key) + name for key in self.parts for name in names}
        _check(set(tensors) == known, "more than a build holds")


def _prefix(layer: int, p: float) -> str:
    return f"{layer}/{p!r}/"


def _calibration(layer: int, tensors: dict[str, Tensor], about: dict) -> Calibration:
    thresholds, errors, n = about["calibrations"][str(layer)]
    centre = tensors[f"{layer}/centre"]
    sound = centre.dtype == torch.float32 and centre.dim() == 1 and len(centre)
    _check(sound and centre.isfinite().all(), f"an odd centre of layer {layer}")
    for value in [*dict(thresholds).values(), *dict(errors).values()]:
        number("a threshold or its error", value, 0, 2)
    return Calibration(centre, dict(thresholds), whole("n", n, 0), dict(errors))


def _check_regions(own: dict[str, Tensor], empty: dict[str, Tensor], n: int) -> None:
    """ValueError unless the tensors of a dictionary are like `empty` ones and fit together."""
    k = len(own["exemplars"])
    for name, like in empty.items():
        shape = (k, *like.shape[1:]) if like.dim() else ()
        fits = own[name].dtype == like.dtype and own[name].shape == shape
        _check(fits, f"{name} of another shape or dtype")
    index, counts, exemplars = own["exemplar_index"], own["sums.counts"], own["exemplars"]
    ascending = bool((index.diff() > 0).all()) and k and int(index[0]) == 0 and int(index[-1]) < n
    _check(ascending and int(own["n_activations"]) == n, "exemplars that are not of this stream")
    _check(bool((counts > 0).all()) and int(counts.sum()) == n, "regions without their members")
    _check(bool(((exemplars.norm(dim=1) - 1).abs() < 1e-4).all()), "exemplars that are not unit")
    for name, value in own.items():
        if name.startswith("sums.") and name != "sums.counts":
            most = counts.view(-1, *[1] * (value.dim() - 1)) * int(4 / UNIT)
            _check(bool((value.abs() <= most).all()), f"{name} longer than the members allow")
        if name.endswith(".index"):
            _check(bool(((value >= -1) & (value < n)).all()), "members outside the stream")


def _check(sound: object, what: str) -> None:
    if not sound:
        raise ValueError(f"it holds {what}")


class Checkpoint:
    """The file of an unfinished build. What cannot be written is said once; the build goes on."""

    def __init__(self, path: Path | None, job: str, every: float):
        self._path, self._job, self._every = path, job, every
        self._written, self._took = time.monotonic(), 0.0
        self._writable = path is not None

    def restore(self, new: BuildState, layers: Sequence[int]) -> BuildState:
        """The state of an interrupted build of the same job, or `new`."""
        try:
            if self._path is None or not self._path.exists():
                return new
            state = BuildState.read(self._path, new, layers, self._job)
        except (OSError, ValueError) as error:
            print(f"the interrupted build cannot be used, starting again: {error}")
            return new
        print(f"going on with an interrupted build at {state.n:,} of {new.limit:,} activations")
        return state

    def write(self, state: BuildState) -> None:
        """Write the state, if the last time is long enough ago."""
        began = time.monotonic()
        pause = max(self._every, PAUSE * self._took)
        if not self._writable or began - self._written <= pause:
            return
        try:
            state.write(self._path, self._job)
        except OSError as error:
            print(f"this build goes on, and cannot be resumed: {error.strerror or error}")
            self._writable = False
        self._written = time.monotonic()
        self._took = self._written - began

    def remove(self) -> None:
        """The build is done."""
        try:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            print(f"{self._path} stays ({error.strerror}); remove it when you like")
