"""A build by several workers, on Ray: the same bytes as `epkit.build`.

The driver tokenises, and its own model calibrates on the start of the stream. Then it deals the
windows of an epoch to actors that own a replica of the model each; what they read goes to their
shards, and only misses and sums come back. Windows are put into the same batches as in a build.

Does not know: how an epoch is decided (`epochs`), how workers are kept alive (`actors`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from epkit import checks
from epkit.atlas import Atlas
from epkit.build import Request, build_from
from epkit.build_state import BuildState
from epkit.lm.chunks import Chunk, chunk_of, truncate
from epkit.scale.epochs import FIRST, deal, next_length, run_epoch, slowest
from epkit.scale.shard import Key

if TYPE_CHECKING:
    from epkit.lm.activations import ActivationStream
    from epkit.lm.models import LanguageModel
    from epkit.lm.tokens import Window


def build(
    model: str | LanguageModel,
    texts,
    layers: Sequence[int],
    percentiles: Sequence[float],
    n_activations: int,
    *,
    workers: int = 2,
    source: str = "auto",
    context: int = 128,
    positions: str = "all",
    **options,
) -> Atlas:
    """`epkit.build` by `workers` Ray actors with a replica of the model each; see `cluster`.

    Byte-identical on machines that compute alike: a forward pass on another card may differ.

    Parameters
    ----------
    model : a name for `load_model`, or a model that it loaded.
    workers : actors, of one CPU each, and of one GPU where the model is on one.
    source : of the model, as in `load_model`.
    options : of `epkit.build`, but for `cache`.

    Raises
    ------
    ModuleNotFoundError : Ray is not installed.
    ValueError : as `epkit.build`; a model that cannot be loaded again by its name; more workers
        than the cluster has CPUs or GPUs.
    RuntimeError : a worker was lost too often or has no machine left; Ray's object store is full.
        Asked for again, the build goes on from its checkpoint.
    """
    from epkit.lm.activations import ActivationStream  # here: `cluster` needs no model library
    from epkit.lm.models import load_model

    if options.pop("cache", None):
        raise ValueError(
            "epkit.scale.build takes no cache, since activations stay where they are read: use "
            "epkit.build"
        )
    workers = checks.whole("workers", workers, 1)
    model = load_model(model, source=source) if isinstance(model, str) else model
    stream = ActivationStream(model, texts, layers, context=context, positions=positions)
    if model.origin == "in memory":
        raise ValueError(
            f"{model.name} is in memory alone, where workers cannot load it: save it to a folder "
            "and load that"
        )
    steps = partial(_in_epochs, workers=workers, source=source)
    return build_from(stream, percentiles, n_activations, steps=steps, **options)


def _in_epochs(
    job: Request, state: BuildState, *, workers: int, source: str
) -> Iterator[dict[str, object]]:
    from epkit.scale.actors import RayCrew  # here: Ray is optional

    stream = job.stream
    for chunk in job.begin(state, stream.chunks(start=state.cursor)):
        state.take(chunk)
        yield {}
    if not state.parts:
        return
    reader = partial(_Reader.of, _Replica.like(stream, source))
    gpu = stream.model.device.type == "cuda"
    windows = itertools.islice(stream.windows(), state.cursor, None)
    length = FIRST
    with RayCrew(state.parts, workers, gpu=gpu, seed=job.seed, reader=reader) as crew:
        while chunks := _gathered(windows, stream.bucket, state, length):
            cuts = deal(len(chunks), crew.speeds)
            parts = [chunks[a:b] for a, b in itertools.pairwise(cuts)]
            sizes = [sum(int(c.clustered.sum()) for _, c in part) for part in parts]
            given = [[(bucket, c.cursor) for bucket, c in part] for part in parts]
            given = [(buckets, size) for buckets, size in zip(given, sizes, strict=True)]
            stop = partial(_end_of, job, state, [chunk for _, chunk in chunks])
            epoch = run_epoch(crew, state.parts, state.n, given, sizes, stop)
            _keep(state, epoch.settled, [chunk for _, chunk in chunks])
            facts = {"workers": workers, "misses": f"{epoch.misses:,} of {sum(sizes):,}"}
            yield facts | slowest(crew.speeds)
            length = next_length(sum(sizes), epoch.misses, workers, epoch.driver, epoch.waited)


def _gathered(
    windows: Iterator[Window], bucket: int, state: BuildState, length: int
) -> list[tuple[list[Window], Chunk]]:
    """The buckets of the next epoch, and their chunks without activations, cut at the limit."""
    found, n, cursor = [], 0, state.cursor
    wanted, left = min(length, state.limit - state.n), state.limit - state.n
    while n < wanted and (some := list(itertools.islice(windows, bucket))):
        cursor += len(some)
        chunk = truncate(chunk_of(some, cursor, {}), left - n)
        found.append((some, chunk))
        n += int(chunk.clustered.sum())
    return found


def _end_of(
    job: Request, state: BuildState, chunks: list[Chunk], founded: dict[Key, Tensor]
) -> int:
    """Stream position after the first chunk at which the build is saturated, else after the last.

    founded : positions of the epoch's founders.
    """
    end = state.n
    for chunk in chunks:
        end += int(chunk.clustered.sum())
        last = [
            max(part.last_founded, int(index[index < end].max(initial=-1)))
            for (key, part) in state.parts.items()
            for index in [founded[key].numpy()]
        ]
        if job.is_quiet(end, last):
            break
    return end


def _keep(state: BuildState, settled: list, chunks: list[Chunk]) -> None:
    """Members and tokens of an epoch that the partitions have taken in."""
    for key, collector in state.collectors.items():
        for one in settled:  # in the order of the stream: ties go to the earlier
            collector.merge(one[key].region, one[key].members, state.parts[key].n_regions)
    end = next(iter(state.parts.values())).n_activations
    for chunk in chunks:
        if state.n < end:
            state.keep_tokens(chunk)


@dataclass(frozen=True)
class _Replica:
    """What a worker needs to read windows as the driver would."""

    name: str
    source: str
    revision: str
    device: str
    dtype: torch.dtype
    layers: tuple[int, ...]
    context: int
    positions: str
    threads: int

    @classmethod
    def like(cls, stream: ActivationStream, source: str) -> _Replica:
        model = stream.model
        return cls(
            model.name, source, model.revision, model.device.type, model.dtype, stream.layers,
            stream.context, stream.positions, torch.get_num_threads(),
        )  # fmt: skip


class _Reader:
    """A model in a worker, which turns windows into activations."""

    def __init__(self, stream: ActivationStream) -> None:
        self._stream = stream

    @classmethod
    def of(cls, like: _Replica) -> Callable[[object], dict[int, Tensor]]:
        from epkit.lm.activations import ActivationStream
        from epkit.lm.models import load_model

        torch.set_num_threads(like.threads)  # products may differ in the last bit with others
        model = load_model(like.name, source=like.source, device=like.device, dtype=like.dtype)
        if model.revision != like.revision:
            raise ValueError(
                f"{like.name} has other weights on a worker ({model.revision}) than here "
                f"({like.revision}): give the same source, and the same files to all machines"
            )
        options = {"context": like.context, "positions": like.positions}
        return cls(ActivationStream(model, ["-"], like.layers, **options))

    def __call__(self, given: tuple[list[tuple[list[Window], int]], int]) -> dict[int, Tensor]:
        buckets, n = given
        chunks = [self._stream.run(bucket, cursor) for bucket, cursor in buckets]
        if not chunks:
            return {layer: torch.zeros(0, self._stream.d_model) for layer in self._stream.layers}
        return {
            layer: torch.cat([chunk.activations[layer] for chunk in chunks])[:n]
            for layer in self._stream.layers
        }
