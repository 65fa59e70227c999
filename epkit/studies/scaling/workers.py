"""Real workers on this machine, timed: what the model is checked against.

`record` clusters a stream of activations in this process and by 1, 2 and 4 Ray workers, in turns,
and measures the rates that the model needs. One thread a process. On a machine with other work the
least time of the repetitions is the one to read. Needs Ray.

Does not know: the model.
"""

import itertools
import time
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import Calibration
from epkit.clustering import LeaderClustering
from epkit.scale.cluster import take_all
from epkit.scale.epochs import Reader
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


def measured_rates(dim: int, cores: int) -> Rates:
    """Rates of this machine, of one thread; the link is Ray's object store. Needs a Ray."""
    from epkit.scale.actors import packed, unpacked
    from epkit.scale.connection import ray

    u, v = torch.randn(1024, dim), torch.randn(4096, dim)
    product = 2 * 1024 * 4096 * dim / _least(lambda: torch.mm(u, v.T).max(dim=1))
    table = torch.zeros(8192, dim + 3, dtype=torch.int64)
    some, rows = torch.arange(0, 8192, 2), torch.ones(4096, dim + 3, dtype=torch.int64)
    adding = rows.nbytes / _least(lambda: table.index_add_(0, some, rows))

    @ray.remote(num_cpus=1)
    class Echo:
        def echo(self, given: object) -> object:
            return given

    actor = Echo.remote()
    call = 2 * _least(lambda: ray.get(actor.echo.remote(0)))
    moved = _least(lambda: unpacked(ray.get(actor.echo.remote(ray.put(packed(rows))))))
    ray.kill(actor)
    return Rates(float("inf"), product, product, 2 * rows.nbytes / moved, adding, call, 1, cores)


def _least(work: Callable[[], object], times: int = 5) -> float:
    """Least seconds of a few runs after one to warm up."""
    seconds = []
    for _ in range(times + 1):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])
