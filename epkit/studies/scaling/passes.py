"""One pass of the leader rule over a stream, and what follows from it for every way of dealing it.

A row misses in an epoch when no exemplar founded before the epoch is within the threshold. So for
each row the stream position of the *earliest* exemplar within the threshold says in which epochs it
misses, however long these are; and the region it joins is the same for all of them.

Does not know: workers, bytes, time.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from epkit.blocks.founders import independent_set
from epkit.blocks.nearest import COLUMNS, block_rows
from epkit.blocks.products import full_precision, gamma
from epkit.blocks.sizes import Sizes
from epkit.calibration import Calibration
from epkit.checks import as_activations
from epkit.clustering import LeaderClustering
from epkit.geometry import directions, pairs_distance


@dataclass(frozen=True)
class StreamPass:
    """N rows of D numbers and the K regions that they founded and joined.

    founded (K,) positions of the exemplars, ascending; first (N,) position of the earliest exemplar
    within the threshold (a founder's own); region (N,) that each row joined or founded.
    """

    founded: np.ndarray
    first: np.ndarray
    region: np.ndarray
    threshold: float
    dim: int

    def __len__(self) -> int:
        return len(self.first)

    def regions_before(self, n: int) -> int:
        """K after the first n rows."""
        return int(np.searchsorted(self.founded, n))

    def misses(self, start: int, end: int) -> int:
        """Rows of the epoch from `start` to before `end` that no earlier exemplar is near."""
        return int((self.first[start:end] >= start).sum())


def pass_over(
    x: Tensor, calibration: Calibration, percentile: float, device: str | torch.device | None = None
) -> StreamPass:
    """Cluster activations (N, D), in the order given, and look up the earliest exemplar of each."""
    part = LeaderClustering(calibration.centre, calibration.thresholds[percentile], device)
    rows = [
        directions(as_activations(some, x.shape[1], part.device), part.centre)
        for some in x.split(block_rows(part.device))
    ]
    region = [part.fit_directions(u)[0].cpu() for u in rows]
    founded = part.state()["exemplar_index"]
    first = [earliest_within(u, part.exemplars, part.threshold).cpu() for u in rows]
    return StreamPass(
        founded.numpy(),
        founded[torch.cat(first)].numpy(),
        torch.cat(region).numpy(),
        part.threshold,
        x.shape[1],
    )


def earliest_within(u: Tensor, exemplars: Tensor, threshold: float) -> Tensor:
    """Lowest index of the exemplars within the threshold: (N, D), (K, D) -> (N,) int64.

    Exact: close calls are decided in float64. Rows that none is near get -1. Most rows are near one
    of the first exemplars, so that few are compared with all.
    """
    found = torch.full((len(u),), -1, dtype=torch.int64, device=u.device)
    slack = gamma(u.shape[1])
    for start in range(0, len(exemplars), COLUMNS):
        left = (found < 0).nonzero()[:, 0]
        some = exemplars[start : start + COLUMNS]
        with full_precision():
            beyond = (1 - threshold) - u[left] @ some.T
        within = beyond <= 0
        row, column = (beyond.abs() <= slack).nonzero(as_tuple=True)
        within[row, column] = pairs_distance(u[left], row, some, column) <= threshold
        near = within.any(dim=1)
        found[left[near]] = start + within[near].float().argmax(dim=1)
    return found


def independent_rounds(u: Tensor, threshold: float) -> int:
    """Rounds in which all founders among rows (M, D) are known, when rounds run in parallel.

    In a round every row whose earlier neighbours are all decided is decided (Blelloch, Fineman and
    Shun 2012), as `blocks.founders` does it.
    """
    sizes, every = Sizes(), u.new_ones(len(u), dtype=torch.bool)
    independent_set(u, threshold, every, sizes, "all")
    return sizes.counted(("all", "rounds"))
