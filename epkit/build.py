"""The main job: one pass over a stream of activations -> {(layer, percentile): Dictionary}.

1. The first `n_calibration` activations of every layer are held, and give its centre and all its
   thresholds. They are then clustered like the rest, as if the stream were read again from its
   start.
2. Every chunk of the stream goes to every dictionary: directions and one matrix product per layer.
   Token ids and selected members are kept on the way.
3. The pass ends at `n_activations`, at the end of the stream, or by the saturation rule: when every
   dictionary has founded no region for `saturation_window` activations in a row (looked at after
   each chunk).

From time to time the state is written to the cache; a build that was interrupted at any point,
SIGKILL included, goes on from there when it is asked for again, and ends with the same bytes. A
finished atlas is kept in the cache: asking again loads it.

Does not know: models and texts beyond handing them to `ActivationStream`; what a region means.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from epkit import atlas as atlases
from epkit import checks
from epkit.atlas import Atlas
from epkit.build_state import BuildState, Checkpoint
from epkit.calibration import Calibration, calibrate, check_percentiles
from epkit.checks import whole
from epkit.files import cache_dir
from epkit.lm.chunks import Chunk
from epkit.lm.room import cap
from epkit.lm.store import ActivationSet, cached
from epkit.progress import progress

if TYPE_CHECKING:
    from epkit.lm.activations import ActivationStream

Steps = Callable[["Request", BuildState], Iterator[dict[str, object]]]
"""What takes a stream into a state, a step at a time, and yields facts for the progress line."""

FORMAT = 3
"""Raised when the same request gives another atlas than before: what was kept is then ignored."""


def build(
    model,
    texts,
    layers: Sequence[int],
    percentiles: Sequence[float],
    n_activations: int,
    *,
    seed: int = 0,
    context: int = 128,
    positions: str = "all",
    **options,
) -> Atlas:
    """Build dictionaries of a model's activations on texts: many layers and percentiles, one pass.

    Parameters
    ----------
    model : of `load_model`.
    texts : of `load_corpus`, or a list of documents.
    layers : blocks whose output is read, counted from 0.
    percentiles : each in (0, 100); one dictionary per layer and percentile.
    n_activations : length of the stream.
    seed : of the calibration subset and of the random members.
    context, positions : see `ActivationStream`.
    options : of `build_from`.

    Returns
    -------
    {(layer, percentile): Dictionary}, with members, and how it was made as metadata.

    Raises
    ------
    TypeError, ValueError : bad layers, percentiles, numbers; an empty stream; unusable activations;
        a threshold of zero.
    """
    from epkit.lm.activations import ActivationStream  # here: `import epkit` loads no model library

    _checked_percentiles(percentiles)  # before anything is tokenised
    whole("n_activations", n_activations, 2)
    stream = ActivationStream(model, texts, layers, context=context, positions=positions)
    return build_from(stream, percentiles, n_activations, seed=seed, **options)


def build_from(
    stream: ActivationStream | ActivationSet,
    percentiles: Sequence[float],
    n_activations: int,
    *,
    seed: int = 0,
    n_calibration: int = 20_000,
    calibrations: dict[int, Calibration] | None = None,
    saturation_window: int | None = None,
    checkpoint: str | os.PathLike | bool = True,
    checkpoint_every: float = 30.0,
    keep: bool = True,
    cache: bool = False,
    device: str | torch.device | None = None,
    show_progress: bool = True,
    steps: Steps | None = None,
) -> Atlas:
    """`build` for a stream that exists already, live or cached.

    An atlas that was built before, by the same request, is loaded instead, and a line says so.

    Parameters
    ----------
    n_calibration : activations at the start of the stream that calibrate it.
    calibrations : {layer: Calibration} to use instead, to compare streams in one frame.
    saturation_window : end the pass when no dictionary has founded a region for this many
        activations; None reads all `n_activations`.
    checkpoint : where the state of an unfinished build is kept: a file, True for one in the cache,
        False for none.
    checkpoint_every : least seconds between two writes of it (more, where a write takes long).
    keep : keep the atlas in the cache under the hash of everything that decides it, and load one
        that is there; False does neither.
    cache : keep the activations of a live stream on disk (`cached`), for later passes.
    device : where to cluster, and where the dictionaries are; CUDA where there is one, else the
        CPU.
    steps : what takes the stream into the state, a step at a time; by default `one_by_one`.
    """
    job = Request(
        _checked_stream(stream),
        _checked_percentiles(percentiles),
        whole("n_activations", n_activations, 2),
        checks.seed(seed),
        whole("n_calibration", n_calibration, 2),
        _checked_calibrations(calibrations),
        None if saturation_window is None else whole("saturation_window", saturation_window, 1),
        checks.device(device),
    )
    key = job.key()
    every = checks.number("checkpoint_every", checkpoint_every, 0)
    file = Checkpoint(_checkpoint_path(checkpoint, key), key, every)
    if keep:
        cap()  # a bad EPKIT_CACHE_GB is told now, not after the work
    if keep and (found := atlases.kept(key, job.wanted(), **job.about())):
        print(f"loaded the {len(found)} dictionaries that this very build made before")
        return {at: d.to(job.device) for at, d in found.items()}
    if cache and not isinstance(stream, ActivationSet):
        job.stream = cached(stream, job.n_activations, show_progress=show_progress)
    made = _run(job, file, steps or one_by_one, show_progress)
    if keep:
        atlases.keep(key, made)
    file.remove()
    return made


def one_by_one(job: Request, state: BuildState) -> Iterator[dict[str, object]]:
    """Take the rest of the stream, chunk by chunk; yields facts for the line of progress."""
    for chunk in job.chunks(state):
        state.take(chunk)
        yield {}


def _run(job: Request, file: Checkpoint, steps: Steps, show: bool) -> Atlas:
    new = BuildState(job.n_activations, job.percentiles, job.seed, job.device)
    state = file.restore(new, job.stream.layers)
    with progress(job.n_activations, "activations", "build", start=state.n, show=show) as update:
        for facts in steps(job, state):
            update(state.n, **facts, regions=state.regions_line())
            if state.n >= job.n_activations or job.saturated(state):
                break
            file.write(state)
    if not state.n:
        raise ValueError("the stream has no activations: are the texts empty?")
    if state.n < job.n_activations and not job.saturated(state):
        print(f"the stream ended after {state.n:,} of {job.n_activations:,} activations")
    return state.dictionaries(**job.stream.about, **job.about())


@dataclass
class Request:
    """What was asked for."""

    stream: ActivationStream | ActivationSet
    percentiles: list[float]
    n_activations: int
    seed: int
    n_calibration: int
    calibrations: dict[int, Calibration] | None
    saturation_window: int | None
    device: torch.device

    def key(self) -> str:
        """Hash of everything that decides the result."""
        given = {
            str(layer): [
                cal.centre.tolist(), list(cal.thresholds.items()),
                list(cal.threshold_errors.items()), cal.n,
            ]
            for layer, cal in (self.calibrations or {}).items()
        }  # fmt: skip
        parts = [
            FORMAT, self.stream.fingerprint, list(self.stream.layers), self.percentiles,
            self.n_activations, self.seed, self.n_calibration, given, self.saturation_window,
            self.device.type,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]

    def wanted(self) -> list[tuple[int, float]]:
        """The keys of the atlas."""
        return [(layer, p) for layer in self.stream.layers for p in self.percentiles]

    def about(self) -> dict[str, object]:
        """What the dictionaries' metadata say of the job, beside what the stream says of itself."""
        about = {"stream": self.stream.fingerprint, "build": self.key()}
        about["saturation_window"] = self.saturation_window
        return about | ({"calibration": "given"} if self.calibrations else {})

    def chunks(self, state: BuildState) -> Iterator[Chunk]:
        """The rest of the stream; calibrates `state` first where it is new."""
        chunks = self.stream.chunks(start=state.cursor)
        held = self.begin(state, chunks)
        while held:
            yield held.pop(0)
        yield from chunks

    def begin(self, state: BuildState, chunks: Iterator[Chunk]) -> list[Chunk]:
        """Calibrate `state` where it is new; the chunks that this took, none of them taken in."""
        if state.parts:
            return []
        held, n = [], 0
        for chunk in chunks:
            held.append(chunk)
            n += int(chunk.clustered.sum())
            if n >= self.n_calibration or n >= self.n_activations:
                break
        if n:
            state.start(self.stream.layers, self.calibrations or self._calibrate(held))
        return held if n else []

    def _calibrate(self, held: list[Chunk]) -> dict[int, Calibration]:
        n = min(self.n_calibration, self.n_activations)
        return {
            layer: calibrate(
                torch.cat([chunk.activations[layer].float() for chunk in held])[:n],
                self.percentiles, seed=self.seed, device=self.device,
            )
            for layer in self.stream.layers
        }  # fmt: skip

    def saturated(self, state: BuildState) -> bool:
        return self.is_quiet(state.n, [part.last_founded for part in state.parts.values()])

    def is_quiet(self, n: int, last_founded: Sequence[int]) -> bool:
        """Whether the saturation rule ends a pass after n activations."""
        window = self.saturation_window
        return window is not None and all(n - last > window for last in last_founded)


# ---- arguments ----------------------------------------------------------------------------------


def _checked_stream(stream: object) -> object:
    if not all(hasattr(stream, name) for name in ("chunks", "layers", "fingerprint", "about")):
        raise TypeError(
            f"stream must be an ActivationStream or ActivationSet, got {type(stream).__name__}; "
            "make one with epkit.ActivationStream(model, texts, layers)"
        )
    return stream


def _checked_percentiles(percentiles: object) -> list[float]:
    """Whole ones as int, so that 1 and 1.0 are one job."""
    values = check_percentiles(checks.several("percentiles", percentiles))
    return [int(p) if float(p).is_integer() else float(p) for p in values]


def _checked_calibrations(given: object) -> dict[int, Calibration] | None:
    sound = isinstance(given, dict) and all(isinstance(c, Calibration) for c in given.values())
    if given is not None and not sound:
        raise TypeError(
            "calibrations must be {layer: Calibration}, got "
            f"{type(given).__name__}; make them with epkit.calibrate"
        )
    return given


def _checkpoint_path(checkpoint: object, key: str) -> Path | None:
    if checkpoint is False:
        return None
    if checkpoint is True:
        return cache_dir() / "builds" / f"{key}.safetensors"
    if not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(f"checkpoint must be a file, True or False, got {checkpoint!r}")
    return Path(checkpoint)
