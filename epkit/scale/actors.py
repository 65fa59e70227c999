"""Ray actors that hold a shard each, and are made again when they are lost.

What a lost actor knew can all be made again: the exemplars before the epoch are the driver's, and
so are the rows of the running epoch. A new actor gets both and does its part of the epoch again, on
whatever machine has a place for it. Where none has, the job ends and says so.

Does not know: how an epoch is decided, what is clustered.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor

from epkit.clustering import LeaderClustering
from epkit.scale.connection import connected, ray
from epkit.scale.epochs import UNKNOWN, new_speeds
from epkit.scale.shard import Founded, Key, Settled, Shard, known_of

RayTaskError = ray.exceptions.RayTaskError
LOST = tuple(
    getattr(ray.exceptions, name)
    for name in ("RayActorError", "ActorDiedError", "ActorUnavailableError", "ObjectLostError")
)

FULL = (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError)

PATIENCE = 5
"""Losses of one worker in one step of an epoch, after which the job ends."""

WAIT = 30
"""Seconds without an answer after which the cluster is looked at: it may have lost machines."""


class RayCrew:
    """`workers` actors; a context, which stops the actors and the Ray that it started.

    Parameters
    ----------
    parts : {(layer, p): LeaderClustering} as taken in so far; read again when an actor is lost.
    workers : actors.
    gpu : whether each has a GPU; by default where the cluster has one for each.
    seed : of random members, None to keep no members.
    reader : makes, in each actor, what turns what it is given into {layer: activations}.

    Attributes
    ----------
    size : int, workers.
    speeds : of the workers, see `epochs.new_speeds`.
    losses : int, actors that were made again.
    """

    def __init__(
        self,
        parts: Mapping[Key, LeaderClustering],
        workers: int,
        *,
        gpu: bool | None = None,
        seed: int | None = None,
        reader: Callable[[], Callable[[object], dict]] | None = None,
    ) -> None:
        self.size, self.losses, self.speeds = workers, 0, [UNKNOWN] * workers
        self._parts, self._gpu, self._seed, self._reader = parts, gpu, seed, reader
        self._actors: list = []
        self._given: list[tuple] = []
        self._open = ExitStack()

    def __enter__(self) -> "RayCrew":
        with ExitStack() as opened:
            opened.enter_context(connected(self.size))
            gpus = int(ray.cluster_resources().get("GPU", 0))
            if self._gpu and gpus < self.size:
                raise ValueError(f"workers is {self.size}, but the Ray cluster has {gpus} GPUs")
            self._gpu = gpus >= self.size if self._gpu is None else self._gpu
            opened.callback(self._stop)
            self._actors = [self._made() for _ in range(self.size)]
            self._open = opened.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._open.__exit__(*raised)

    def find(self, starts: Sequence[int], parts: Sequence[object]) -> list[dict[Key, Founded]]:
        """`Shard.find` by every worker; their speeds are measured."""
        with _room():
            rows = [ray.put(packed(part)) for part in parts]
        self._given = list(zip(starts, rows, strict=True))
        found = self._each(lambda i: self._actors[i].find.remote(*self._given[i]), again=False)
        self.speeds = new_speeds(self.speeds, [(n, seconds) for n, seconds, _ in found])
        return [misses for _, _, misses in found]

    def settle(self, founders: dict[Key, Founded], end: int) -> list[dict[Key, Settled]]:
        """`Shard.settle` by every worker."""
        with _room():
            sent = ray.put(packed(founders))
        settled = self._each(lambda i: self._actors[i].settle.remote(sent, end), again=True)
        self._given = []  # the rows leave the object store before the next come
        return settled

    def _each(self, call: Callable[[int], object], again: bool) -> list:
        """Results of a call to every worker, in their order; lost workers are made and asked again.

        again : whether a new worker needs to find before it is called.
        """
        running = {call(i): i for i in range(self.size)}
        results, lost = [None] * self.size, [0] * self.size
        while running:
            ended, _ = ray.wait(list(running), timeout=WAIT)
            if not ended:
                self._check_machines()
                continue
            i = running.pop(ended[0])
            try:
                with _room():
                    results[i] = unpacked(ray.get(ended[0]))
            except LOST as error:
                self.losses, lost[i] = self.losses + 1, lost[i] + 1
                if lost[i] == PATIENCE:
                    raise RuntimeError(
                        f"worker {i} was lost {PATIENCE} times in one epoch; see Ray's log, and "
                        "give each worker more memory or start fewer"
                    ) from error
                ray.kill(self._actors[i])
                self._actors[i] = self._made()
                if again:  # calls of an actor run in the order they are made
                    self._actors[i].find.remote(*self._given[i])
                running[call(i)] = i
        return results

    def _check_machines(self) -> None:
        """RuntimeError where lost machines took the places of workers with them."""
        left = ray.cluster_resources()
        for kind in ("CPU", "GPU") if self._gpu else ("CPU",):
            if left.get(kind, 0) < self.size:
                raise RuntimeError(
                    f"{self.size} workers need a {kind} each, and the Ray cluster has "
                    f"{left.get(kind, 0):g} left: it has lost machines; add some, or start fewer "
                    "workers"
                )

    def _made(self) -> object:
        actor = ray.remote(num_cpus=1, num_gpus=int(self._gpu))(_Actor)
        device = "cuda" if self._gpu else "cpu"
        shard = (*packed(known_of(self._parts)), device, self._seed)
        return actor.remote(shard, self._reader)

    def _stop(self) -> None:
        for actor in self._actors:
            ray.kill(actor)


class _Actor:
    """A `Shard` behind numpy arrays, which Ray moves without a copy, and what reads its rows."""

    def __init__(self, shard: tuple, reader: Callable | None) -> None:
        self._shard = Shard(*unpacked(shard))
        self._read = reader() if reader else unpacked

    def find(self, start: int, given: object) -> tuple[int, float, dict]:
        """Rows, seconds, and the misses."""
        began = time.perf_counter()
        rows = self._read(given)
        misses = packed(self._shard.find(start, rows))
        return len(next(iter(rows.values()))), time.perf_counter() - began, misses

    def settle(self, founders: dict, end: int) -> dict:
        return packed(self._shard.settle(unpacked(founders), end))


@contextmanager
def _room() -> Iterator[None]:
    """What a worker raised, as it raised it; a full object store as one sentence."""
    try:
        yield
    except FULL as error:
        full = error
    except RayTaskError as error:
        if not isinstance(error.cause, FULL):
            raise error.cause from None
        full = error.cause
    else:
        return
    raise RuntimeError(
        "Ray's object store is full, and the disk that it spills to as well: start Ray with more "
        "object_store_memory, make room on the disk, or take fewer layers and percentiles at once"
    ) from full


def packed(value: object) -> object:
    """Dictionaries and tuples of tensors as arrays, which travel without what they are views of."""
    return _mapped(value, Tensor, lambda x: x.cpu().numpy())


def unpacked(value: object) -> object:
    """What was `packed`, in memory of its own."""
    return _mapped(value, np.ndarray, torch.tensor)


def _mapped(value: object, kind: type, change: Callable) -> object:
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(x, kind, change) for key, x in value.items()}
    if isinstance(value, tuple):
        parts = [_mapped(x, kind, change) for x in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value
