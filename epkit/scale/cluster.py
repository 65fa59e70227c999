"""Clustering of arrays by several workers, on Ray: the same bytes as `LeaderClustering`.

Does not know: how an epoch is decided (`epochs`), how workers are kept alive (`actors`).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from epkit import checks
from epkit.checks import Arrays, as_centre, batches_of
from epkit.clustering import LeaderClustering
from epkit.dictionary import Dictionary
from epkit.progress import progress
from epkit.scale.epochs import FIRST, Crew, Reader, deal, next_length, run_epoch, slowest
from epkit.scale.shard import Key


def cluster(
    batches: Arrays | Iterable[Arrays],
    centre: Arrays,
    threshold: float | Mapping[float, float],
    workers: int = 2,
    *,
    show_progress: bool = True,
    **metadata: object,
) -> Dictionary | dict[float, Dictionary]:
    """The leader clustering of a stream, by `workers` Ray actors.

    Runs on the cluster that `RAY_ADDRESS` names or that `ray.init` has connected to; without one
    Ray is started on this machine, and stopped again. Workers use a GPU each where the cluster
    has one for each. A worker that is lost is made again, and its part of the epoch done again.

    Parameters
    ----------
    batches : (N, D) activations or an iterable of them, read once, in the order of the stream.
    centre : (D,).
    threshold : cosine distance in (0, 2], or {p: threshold} for several in one pass.
    workers : actors, of one CPU each.
    metadata : of the dictionary, as in `LeaderClustering.dictionary`.

    Returns
    -------
    the `Dictionary` that `LeaderClustering` makes of the stream, to the byte, or {p: Dictionary}.

    Raises
    ------
    ModuleNotFoundError : Ray is not installed.
    TypeError, ValueError : bad arguments or unusable activations; an empty stream; more workers
        than the cluster has CPUs.
    RuntimeError : a worker was lost too often or has no machine left; Ray's object store is full.
    """
    from epkit.scale.actors import RayCrew  # here: Ray is optional

    workers = checks.whole("workers", workers, 1)
    several = isinstance(threshold, Mapping)
    thresholds = dict(threshold) if several else {0.0: threshold}
    if not thresholds:
        raise ValueError("threshold is empty; give a number or {p: number}")
    parts = {(0, p): LeaderClustering(centre, t, "cpu") for p, t in thresholds.items()}
    n = sum(map(len, batches)) if isinstance(batches, list | tuple) else None
    n = len(batches) if hasattr(batches, "shape") else n
    with RayCrew(parts, workers) as crew:
        take_all(crew, parts, Reader(batches_of(batches), len(as_centre(centre))), n, show_progress)
    made = {p: part.dictionary(**metadata) for (_, p), part in parts.items()}
    return made if several else made[0.0]


def take_all(
    crew: Crew,
    parts: dict[Key, LeaderClustering],
    reader: Reader,
    total: int | None = None,
    show: bool = False,
    lengths: Sequence[int] = (),
) -> None:
    """Take a stream into the parts, in epochs of `lengths` and then of their own choice."""
    given, length, done = iter(lengths), FIRST, 0
    with progress(total, "activations", "cluster", show=show) as update:
        while len(rows := reader.take(now := next(given, length))):
            cuts = deal(len(rows), crew.speeds)
            dealt = [rows[a:b] for a, b in itertools.pairwise(cuts)]
            given_out = [{0: part} for part in dealt]
            epoch = run_epoch(crew, parts, done, given_out, [len(part) for part in dealt])
            done += len(rows)
            regions = " ".join(str(part.n_regions) for part in parts.values())
            facts = {"workers": crew.size, "misses": f"{epoch.misses:,} of {len(rows):,}"}
            update(done, **facts, **slowest(crew.speeds), regions=regions)
            length = next_length(now, epoch.misses, crew.size, epoch.driver, epoch.waited)
