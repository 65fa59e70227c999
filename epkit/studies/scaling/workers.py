"""Workers on this machine, timed: what the model is checked against.

`critical_path` lets the shards of several workers do their epochs one after the other in this
process and reads the processor's clock, so that other work on the machine does not count: seconds
of the driver and, of every epoch, those of its slowest worker. `rates_here` measures what the model
needs for them. `record` times Ray workers by the clock on the wall (needs Ray).

Does not know: the model.
"""

import itertools
import math
import time
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import Calibration
from epkit.clustering import LeaderClustering
from epkit.scale.cluster import take_all
from epkit.scale.epochs import Reader, founders_among
from epkit.scale.shard import Founded, Key, Shard
from epkit.studies.scaling.seconds import Rates

BATCH = 1024


def record(
    x: Tensor, calibration: Calibration, percentile: float, workers: Sequence[int], repeats: int
) -> pd.DataFrame:
    """Seconds of clustering (N, D) activations: a row a number of workers (0: none) and repetition.

    started : seconds until the workers were there, not in `seconds`.
    """
    from epkit.scale.actors import RayCrew
    from epkit.scale.connection import connected

    threshold, rows = calibration.thresholds[percentile], []
    with connected(max(workers)):
        for repetition, w in itertools.product(range(repeats), (0, *workers)):
            part = LeaderClustering(calibration.centre, threshold, "cpu")
            began = time.perf_counter()
            if not w:
                for batch in x.split(BATCH):
                    part.partial_fit(batch)
                started, seconds = 0.0, time.perf_counter() - began
            else:
                with RayCrew({(0, 0.0): part}, w) as crew:
                    crew.find([0] * w, [{0: x[:0]}] * w)  # answered when all are there
                    started = time.perf_counter() - began
                    take_all(crew, {(0, 0.0): part}, Reader(iter(x.split(BATCH)), x.shape[1]))
                    seconds = time.perf_counter() - began - started
            rows.append((w, repetition, seconds, started, len(x), part.n_regions))
            print(f"workers {w}: {seconds:.1f} s, started in {started:.1f} s", flush=True)
    names = ["workers", "repetition", "seconds", "started", "activations", "regions"]
    return pd.DataFrame(rows, columns=names)


def critical_path(
    x: Tensor, calibration: Calibration, percentile: float, workers: int
) -> tuple[float, float]:
    """Processor's seconds of clustering (N, D) activations by workers that would run at once: of
    the driver, and of the slowest worker of each epoch. No workers: all are the driver's."""
    threshold = calibration.thresholds[percentile]
    part = LeaderClustering(calibration.centre, threshold, "cpu")
    began = time.process_time()
    if not workers:
        for batch in x.split(BATCH):
            part.partial_fit(batch)
        return time.process_time() - began, 0.0
    parts = {(0, 0.0): part}
    crew = _ClockedCrew(parts, workers)
    take_all(crew, parts, Reader(iter(x.split(BATCH)), x.shape[1]))
    return time.process_time() - began - crew.all, crew.slowest


class _ClockedCrew:
    """Shards in this process, each with the processor's seconds that it took."""

    def __init__(self, parts: dict[Key, LeaderClustering], size: int) -> None:
        self.size, self.speeds, self.all, self.slowest = size, [1.0] * size, 0.0, 0.0
        self._shards = [Shard.of(parts) for _ in range(size)]

    def find(self, starts: Sequence[int], parts: Sequence) -> list:
        return self._timed(lambda i: self._shards[i].find(starts[i], parts[i]))

    def settle(self, founders: dict, end: int) -> list:
        return self._timed(lambda i: self._shards[i].settle(founders, end))

    def _timed(self, call: Callable[[int], object]) -> list:
        found, seconds = [], []
        for i in range(self.size):
            began = time.process_time()
            found.append(call(i))
            seconds.append(time.process_time() - began)
        self.all, self.slowest = self.all + sum(seconds), self.slowest + max(seconds)
        return found


def rates_here(dim: int) -> Rates:
    """Rates of one thread of this machine for arrays, by the processor's clock; link and calls are
    taken to cost nothing."""
    clock, rows = time.process_time, 4096
    u, v = torch.randn(1024, dim), torch.randn(rows, dim)
    product = 2 * 1024 * rows * dim / _least(lambda: torch.mm(u, v.T).max(dim=1), clock)
    table = torch.zeros(2 * rows, dim + 3, dtype=torch.int64)
    some, sums = torch.arange(0, 2 * rows, 2), torch.ones(rows, dim + 3, dtype=torch.int64)
    adding = sums.nbytes / _least(lambda: table.index_add_(0, some, sums), clock)
    part = LeaderClustering(torch.zeros(dim), 2.0, "cpu").partial_fit(v[:1])
    crew = _ClockedCrew({(0, 0.0): part}, 1)
    nobody = Founded(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dim))

    def one_epoch() -> None:
        crew.find([1], [{0: v}])
        crew.settle({(0, 0.0): nobody}, 1 + rows)

    every = Founded(torch.arange(rows), torch.nn.functional.normalize(v, dim=1))
    fine = LeaderClustering(torch.zeros(dim), 1e-3, "cpu")
    products = 2 * dim * rows * (rows + BATCH) / 2 / product
    deciding = _least(lambda: founders_among(every, fine), clock) - products
    return Rates(
        forward=rows / _least(one_epoch, clock), product=product, rule=product, link=math.inf,
        adding=adding, call=0.0, decided=rows / max(deciding, 1e-9),
    )  # fmt: skip


def _least(
    work: Callable[[], object], clock: Callable[[], float] = time.perf_counter, times: int = 5
) -> float:
    """Least seconds of a few runs after one to warm up."""
    seconds = []
    for _ in range(times + 1):
        began = clock()
        work()
        seconds.append(clock() - began)
    return min(seconds[1:])
