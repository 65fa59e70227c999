"""Ray actors that hold a shard each, and are made again when they are lost.

What a lost actor knew can all be made again: the exemplars before the epoch are the driver's, and
so are the rows of the running epoch. A new actor gets both, and does its part of the epoch again.

Does not know: how an epoch is decided, what is clustered.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor

from epkit.clustering import LeaderClustering
from epkit.scale.connection import connected, ray
from epkit.scale.shard import Founded, Key, Settled, Shard

RayTaskError = ray.exceptions.RayTaskError
LOST = tuple(
    getattr(ray.exceptions, name)
    for name in ("RayActorError", "ActorDiedError", "ActorUnavailableError", "ObjectLostError")
)

PATIENCE = 5
"""Losses of one worker in one step of an epoch, after which the job ends."""


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
        self.size, self.losses = workers, 0
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
        """`Shard.find` by every worker."""
        rows = [ray.put(packed(part)) for part in parts]
        self._given = list(zip(starts, rows, strict=True))
        return self._each(lambda i: self._actors[i].find.remote(*self._given[i]), again=False)

    def settle(self, founders: dict[Key, Founded]) -> list[dict[Key, Settled]]:
        """`Shard.settle` by every worker."""
        sent = ray.put(packed(founders))
        return self._each(lambda i: self._actors[i].settle.remote(sent), again=True)

    def _each(self, call: Callable[[int], object], again: bool) -> list:
        """Results of a call to every worker, in their order; lost workers are made and asked again.

        again : whether a new worker needs to find before it is called.
        """
        running = [call(i) for i in range(self.size)]
        results = []
        for i, one in enumerate(running):
            for _ in range(PATIENCE):
                try:
                    results.append(unpacked(ray.get(one)))
                    break
                except RayTaskError as error:
                    raise error.cause from None
                except LOST as error:
                    lost = error
                self.losses += 1
                ray.kill(self._actors[i])
                self._actors[i] = self._made()
                if again:  # calls of an actor run in the order they are made
                    self._actors[i].find.remote(*self._given[i])
                one = call(i)
            else:
                raise RuntimeError(
                    f"worker {i} was lost {PATIENCE} times in one epoch; see Ray's log, and give "
                    "each worker more memory or start fewer"
                ) from lost
        return results

    def _made(self) -> object:
        parts = self._parts
        centres = {layer: part.centre for (layer, _), part in parts.items()}
        thresholds = {key: part.threshold for key, part in parts.items()}
        known = {key: part.exemplars for key, part in parts.items()}
        actor = ray.remote(num_cpus=1, num_gpus=int(self._gpu))(_Actor)
        device = "cuda" if self._gpu else "cpu"
        shard = (packed(centres), thresholds, packed(known), device, self._seed)
        return actor.remote(shard, self._reader)

    def _stop(self) -> None:
        for actor in self._actors:
            ray.kill(actor)


class _Actor:
    """A `Shard` behind numpy arrays, which Ray moves without a copy, and what reads its rows."""

    def __init__(self, shard: tuple, reader: Callable | None) -> None:
        self._shard = Shard(*unpacked(shard))
        self._read = reader() if reader else unpacked

    def find(self, start: int, given: object) -> dict:
        return packed(self._shard.find(start, self._read(given)))

    def settle(self, founders: dict) -> dict:
        return packed(self._shard.settle(unpacked(founders)))


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
