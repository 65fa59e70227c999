"""The main job: one pass over a stream of activations -> {(layer, percentile): Dictionary}.

1. The first `n_calibration` activations of every layer are held, and give its centre and all its
   thresholds. They are then clustered like the rest, as if the stream were read again from its
   start.
2. Every chunk of the stream goes to every dictionary: directions once per layer, one matrix product
   per dictionary. Token ids and selected members are kept on the way.
3. The pass ends at `n_activations`, at the end of the stream, or by the saturation rule: when every
   dictionary has founded no region for `saturation_window` activations in a row (looked at after
   each chunk).

From time to time the state is written beside the cache; a build that was interrupted at any point,
SIGKILL included, goes on from there when it is asked for again, and ends with the same bytes.

Does not know: models and texts beyond handing them to `ActivationStream`; what a region means.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from epkit import checks
from epkit.build_state import Atlas, BuildState
from epkit.calibration import Calibration, calibrate, check_percentiles
from epkit.dictionary import Dictionary
from epkit.files import cache_dir
from epkit.lm.chunks import Chunk
from epkit.lm.store import ActivationSet, cached
from epkit.progress import progress

if TYPE_CHECKING:
    from epkit.lm.activations import ActivationStream


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
    cache: bool = False,
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
    cache : keep the activations on disk (`cached`), for later passes over the same ones.
    options : of `build_from`.

    Returns
    -------
    {(layer, percentile): Dictionary}, with members, and how it was made as metadata.

    Raises
    ------
    ValueError : bad layers, percentiles, numbers; an empty stream; unusable activations; a
        threshold of zero.
    """
    from epkit.lm.activations import ActivationStream  # here: `import epkit` loads no model library

    check_percentiles(percentiles)
    _check_count("n_activations", n_activations, 2)
    stream = ActivationStream(model, texts, layers, context=context, positions=positions)
    if cache:
        stream = cached(stream, n_activations, show_progress=options.get("show_progress", True))
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
    device: str | torch.device | None = None,
    show_progress: bool = True,
) -> Atlas:
    """`build` for a stream that exists already, live or cached.

    Parameters
    ----------
    n_calibration : activations at the start of the stream that calibrate it.
    calibrations : {layer: Calibration} to use instead, to compare streams in one frame.
    saturation_window : end the pass when no dictionary has founded a region for this many
        activations; None reads all `n_activations`.
    checkpoint : where the state of an unfinished build is kept: a file, True for one in the cache,
        False for none.
    checkpoint_every : least seconds between two writes of it (more, where a write takes long).
    device : where to cluster; CUDA where there is one, else the CPU.
    """
    percentiles = check_percentiles(percentiles)
    _check_count("n_activations", n_activations, 2)
    _check_count("n_calibration", n_calibration, 2)
    if saturation_window is not None:
        _check_count("saturation_window", saturation_window, 1)
    job = _Job(
        stream, percentiles, n_activations, seed, n_calibration, calibrations, saturation_window,
        checks.device(device),
    )  # fmt: skip
    path = _checkpoint_path(checkpoint, job.key())
    state = _restore(job, path)
    written, took = time.monotonic(), 0.0
    with progress(
        n_activations, "activations", "build", start=state.n, show=show_progress
    ) as update:
        for chunk in job.chunks(state):
            state.take(chunk)
            update(state.n, regions=state.regions_line())
            if state.n >= n_activations or job.saturated(state):
                break
            if path and time.monotonic() - written > max(checkpoint_every, 20 * took):
                began = time.monotonic()
                state.write(path)
                written, took = time.monotonic(), time.monotonic() - began
    if not state.n:
        raise ValueError("the stream has no activations: are the texts empty?")
    if state.n < n_activations and not job.saturated(state):
        print(f"the stream ended after {state.n:,} of {n_activations:,} activations")
    atlas = state.dictionaries(
        **stream.about, stream=stream.fingerprint, saturation_window=saturation_window
    )
    if path:
        path.unlink(missing_ok=True)
    return atlas


def save_atlas(atlas: Atlas, folder: str | os.PathLike) -> list[Path]:
    """Save every dictionary as `folder/layer<L>_p<p>.safetensors`. Returns the paths."""
    return [
        d.save(Path(folder) / f"layer{layer}_p{p:g}.safetensors") for (layer, p), d in atlas.items()
    ]


def load_atlas(folder: str | os.PathLike) -> Atlas:
    """The dictionaries `save_atlas` wrote, by layer and percentile.

    Raises
    ------
    FileNotFoundError : the folder holds none.
    """
    atlas = {}
    for path in Path(folder).glob("layer*_p*.safetensors"):
        layer, p = path.stem.removeprefix("layer").split("_p")
        atlas[int(layer), int(p) if p.isdigit() else float(p)] = Dictionary.load(path)
    if not atlas:
        raise FileNotFoundError(f"no dictionaries in {folder}; run notebook 01_build first")
    return dict(sorted(atlas.items()))


@dataclass
class _Job:
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
            layer: [cal.centre.tolist(), list(cal.thresholds.items())]
            for layer, cal in (self.calibrations or {}).items()
        }
        parts = [
            1, self.stream.fingerprint, self.percentiles, self.n_activations, self.seed,
            self.n_calibration, given, self.saturation_window, self.device.type,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]

    def chunks(self, state: BuildState) -> Iterator[Chunk]:
        """The rest of the stream; calibrates `state` first where it is new."""
        chunks = self.stream.chunks(start=state.cursor)
        if not state.parts:
            held, n = [], 0
            for chunk in chunks:
                held.append(chunk)
                n += int(chunk.clustered.sum())
                if n >= self.n_calibration or n >= self.n_activations:
                    break
            if not n:
                return
            state.start(self.stream.layers, self.calibrations or self._calibrate(held))
            while held:
                yield held.pop(0)
        yield from chunks

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
        window = self.saturation_window
        return window is not None and all(
            part.n_activations - part.last_founded > window for part in state.parts.values()
        )


def _restore(job: _Job, path: Path | None) -> BuildState:
    """The state of an interrupted build of the same job, or a new one."""
    new = BuildState(job.n_activations, job.percentiles, job.seed, job.device)
    if path is None or not path.exists():
        return new
    try:
        state = BuildState.read(path, new)
    except ValueError as error:
        print(f"the interrupted build cannot be used, starting again: {error}")
        return new
    print(f"going on with an interrupted build at {state.n:,} of {job.n_activations:,} activations")
    return state


def _checkpoint_path(checkpoint: str | os.PathLike | bool, key: str) -> Path | None:
    if checkpoint is False:
        return None
    if checkpoint is True:
        return cache_dir() / "builds" / f"{key}.safetensors"
    return Path(checkpoint)


def _check_count(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
