"""The driver's side of clustering by many workers: exact, whatever the workers and the epochs.

1. An epoch is a run of consecutive rows of the stream, dealt to the workers in contiguous parts.
2. Each worker finds the nearest exemplar known before the epoch, and returns its *misses* alone.
3. The driver runs the leader rule over the misses in the order of the stream: a miss founds a
   region when no earlier founder of the epoch is within the threshold. No other row can found one.
4. The founders go to all workers. Rows join a strictly nearer founder that came before them, and
   each worker returns the sums of its rows, which are added (whole numbers: in any order).

Decisions are those of `geometry.pair_distance`, so the regions are those of `LeaderClustering`.
This is the epoch scheme of OCC DP-means (Pan et al. 2013, arXiv 1307.8049) for the leader rule.

A worker is given as much of an epoch as it has shown to be fast, so that a slow one holds up the
others no longer than its first epochs; how an epoch is dealt changes no byte.

Does not know: Ray, models, where workers are; a crew is anything with `find` and `settle`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from epkit.checks import Arrays, as_activations
from epkit.clustering import LeaderClustering
from epkit.scale.shard import Founded, Key, Settled

FIRST = 1024
"""Rows of the first epoch, all of which are misses."""

MISSES = 2048
"""Misses that an epoch may always have: about two blocks of products for the driver."""

MOST_MISSES = 1 << 18
"""Misses of an epoch at most, which the driver holds."""

MOST = 65_536
"""Rows of an epoch for one worker: bounds what the driver keeps, and what a lost worker costs."""


UNKNOWN = 1.0
"""Speed of all workers before any has worked."""

LEAST = 0.05
"""Share of an epoch, in equal shares, that the slowest worker still gets: it may become faster."""


class Epoch(NamedTuple):
    """What an epoch was: the most misses of a dictionary, what each worker settled, and the seconds
    of the driver and those in which it waited for workers."""

    misses: int
    settled: list[dict[Key, Settled]]
    driver: float
    waited: float


class Crew(Protocol):
    """Workers, one `Shard` each, that never die as far as the caller can see.

    speeds : rows a second of each, or any numbers in that proportion.
    """

    size: int
    speeds: Sequence[float]

    def find(self, starts: Sequence[int], parts: Sequence[object]) -> list[dict[Key, Founded]]: ...

    def settle(self, founders: dict[Key, Founded], end: int) -> list[dict[Key, Settled]]: ...


def run_epoch(
    crew: Crew,
    partitions: dict[Key, LeaderClustering],
    start: int,
    parts: Sequence,
    sizes: Sequence[int],
    stop: Callable[[dict[Key, Tensor]], int] | None = None,
) -> Epoch:
    """Take the rows dealt as `parts` of `sizes` into the partitions.

    stop : gives, from the stream positions of the epoch's founders, where the stream ends within
        the epoch; rows from there on are left out.

    Until all workers have settled, the partitions are those before the epoch: what a lost worker
    is made from again.
    """
    starts = [start + sum(sizes[:i]) for i in range(len(sizes))]
    began = time.monotonic()
    found = crew.find(starts, parts)
    waited = time.monotonic() - began
    misses = {
        key: Founded(*(torch.cat(of) for of in zip(*(one[key] for one in found), strict=True)))
        for key in partitions
    }
    founders = {key: founders_among(misses[key], part) for key, part in partitions.items()}
    end = start + sum(sizes)
    if stop:
        end = stop({key: found.index for key, found in founders.items()})
        founders = {key: found.before(end) for key, found in founders.items()}
    asked = time.monotonic()
    settled = crew.settle(founders, end)
    waited += time.monotonic() - asked
    for key, part in partitions.items():
        index, directions = founders[key]
        sums = [(one[key].region, one[key].table) for one in settled]
        part.take_settled(directions, index, sums, end - start)
    most = max(len(m.index) for m in misses.values())
    return Epoch(most, settled, time.monotonic() - began - waited, waited)


def founders_among(misses: Founded, part: LeaderClustering) -> Founded:
    """The leader rule over misses in stream order."""
    if not len(misses.index):
        return misses
    rule = LeaderClustering(part.centre, part.threshold, part.device)
    rule.fit_directions(misses.directions.to(part.device))
    chosen = rule.state()["exemplar_index"]
    return Founded(misses.index[chosen], misses.directions[chosen])


def next_length(
    length: int, misses: int, workers: int, driver: float = 1.0, waited: float = 0.0
) -> int:
    """Rows of the next epoch: as many as keep the driver no longer busy than the workers.

    The leader rule compares misses with founders, so the driver's seconds grow with the square of
    the length, while workers that an epoch is too short for stand idle. `MISSES` misses are allowed
    whatever the clock says. At most twice the last epoch, and at least half of it, since one
    epoch's misses and seconds are a sample.
    """
    most = length * MOST_MISSES // max(misses, 1)
    balanced = int(length * (waited / driver) ** 0.5) if driver > 0 else 2 * length
    wanted = max(length * MISSES // max(misses, 1), min(balanced, most))
    return max(FIRST, min(wanted, 2 * length, MOST * workers), length // 2)


def deal(n: int, speeds: Sequence[float]) -> list[int]:
    """Where to cut n pieces in order, so that workers of these speeds are done at one time.

    [0, …, n], one more than workers; some parts may be empty.
    """
    least = LEAST * sum(speeds) / len(speeds)
    shares = [max(speed, least) for speed in speeds]
    return [round(n * sum(shares[:i]) / sum(shares)) for i in range(len(shares) + 1)]


def new_speeds(speeds: Sequence[float], found: Sequence[tuple[int, float]]) -> list[float]:
    """Speeds moved half of the way to those of an epoch: (rows, seconds) of each worker.

    Who had no rows moves to the median of those who had, so that a worker that was once slow, or
    was never asked, is asked again.
    """
    usual = median([n / seconds for n, seconds in found if n] or [UNKNOWN])
    now = [n / seconds if n else usual for n, seconds in found]
    if all(speed == UNKNOWN for speed in speeds):
        return now
    return [(a + b) / 2 for a, b in zip(speeds, now, strict=True)]


def slowest(speeds: Sequence[float]) -> dict[str, str]:
    """For the line of progress: a worker of less than half the median speed, if there is one."""
    usual, least = median(speeds), min(speeds)
    if 2 * least >= usual:
        return {}
    return {"slow": f"worker {list(speeds).index(least)} ({least / usual:.0%} of the median speed)"}


class Reader:
    """Rows of a stream in pieces of any length, however its batches are cut."""

    def __init__(self, batches: Iterator[Arrays], dim: int) -> None:
        self._batches, self._dim = batches, dim
        self._held = torch.zeros(0, dim)

    def take(self, n: int) -> Tensor:
        """The next n rows (fewer at the end, then none): (n, D) float32 on the CPU.

        Raises
        ------
        ValueError : wrong shape or dimension, or not finite.
        """
        held, have = [self._held], len(self._held)
        while have < n and (batch := next(self._batches, None)) is not None:
            held.append(as_activations(batch, self._dim, torch.device("cpu")))
            have += len(held[-1])
        rows = torch.cat(held)
        self._held = rows[n:]
        return rows[:n]
