"""The leader rule under other distances than centred cosine.

Under Euclidean distance, `euclidean_leaders` is the same rule on activations as they are, without
centre and without normalising, for comparing distances and not for dictionaries. Divided by its own
norm every activation is a unit row, for which |u − v|² = 2 (1 − u·v): the rule is then that of the
uncentred cosine. Its arithmetic is float64 throughout, |a|² + |b|² − 2 a·b: distances are right to
about 1e-7 of the largest norm, and a tie closer than that may fall either way.

1. `Cosine` and `Euclidean` are a distance each: its pairwise distances, the rule under it, and as
   many random exemplars. What they make is `Cells`: activations → regions, activations → scores.
2. `level_at_k`: the percentile of a distance's own pairwise distances at which the rule founds
   a given number of regions.
3. `cells_of`, `measure_cells`, `distance_row`: stability and probing at equal K.

Does not know: models, tokens, how concepts are detected (a function is given).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from epkit.checks import Arrays, as_activations
from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.geometry import ROWS
from epkit.matching import adjusted_mutual_information
from epkit.partition import partition_at
from epkit.readouts import cosine
from epkit.stats import bootstrap_pairs, t_interval
from epkit.studies.stability.recurrence import value_for_regions
from epkit.studies.stability.remedies import RANDOM, Measured
from epkit.studies.stability.splits import Pairs, permuted

BLOCK = 256
"""Rows of the stream taken at once: a founder is compared with the rest of its block by itself."""


def euclidean_leaders(x: Arrays, threshold: float) -> Tensor:
    """Positions in the stream of the exemplars that the leader rule founds: (N, D) → (K,) int64.

    Raises ValueError for an empty stream, unusable activations or a threshold that is not positive.
    """
    x = as_activations(x).double()
    if not len(x):
        raise ValueError("the stream has no activations")
    if not threshold > 0:
        raise ValueError(f"a Euclidean threshold must be positive, not {threshold}")
    founders = torch.zeros(0, dtype=torch.int64, device=x.device)
    for start in range(0, len(x), BLOCK):
        rows = x[start : start + BLOCK]
        outside = torch.ones(len(rows), dtype=torch.bool, device=x.device)
        if len(founders):
            outside = squared_distances(rows, x[founders]).amin(1) > threshold**2
        new = _founders(rows, outside.nonzero()[:, 0], threshold)
        founders = torch.cat([founders, start + new])
    return founders


def _founders(rows: Tensor, outside: Tensor, threshold: float) -> Tensor:
    """Which of the rows `outside` (no known exemplar within the threshold) found, ascending."""
    found = []
    while len(outside):
        found.append(outside[0])
        far = squared_distances(rows[outside], rows[outside[:1]])[:, 0] > threshold**2
        far[0] = False
        outside = outside[far]
    return torch.stack(found) if found else outside


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(N, D), (K, D) float64 → (N, K), never negative."""
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_(min=0)


def euclidean_assign(x: Arrays, exemplars: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest exemplar (ties: lowest index) and distance: (N, D), (K, D) → (N,) int64, (N,)."""
    x, exemplars = as_activations(x, device=exemplars.device).double(), exemplars.double()
    parts = [squared_distances(rows, exemplars).min(dim=1) for rows in x.split(ROWS)]
    return torch.cat([p.indices for p in parts]), torch.cat([p.values for p in parts]).sqrt()


def member_means(x: Arrays, region: Tensor, k: int) -> Tensor:
    """Mean of the members of every region: (N, D), (N,) → (k, D) float64; zero where none."""
    x = as_activations(x, device=region.device).double()
    total = torch.zeros(k, x.shape[1], dtype=torch.float64, device=x.device)
    total.index_add_(0, region, x)
    return total / torch.bincount(region, minlength=k).clamp(min=1)[:, None]


# ---- partitions under a distance ----------------------------------------------------------------


def unit_rows(x: Tensor) -> Tensor:
    """Every activation divided by its own norm: (n, D) → (n, D)."""
    return x / x.norm(dim=1, keepdim=True)


class Cells(Protocol):
    """A partition under some distance: K regions."""

    def __len__(self) -> int: ...

    def regions(self, y: Tensor) -> Tensor:
        """Activations (n, D) → the region of each, (n,)."""

    def scorer(self) -> Callable[[Tensor], Tensor]:
        """What scores activations by regions: (n, D) → (n, K), large where near."""

    def drawn(self, seed: int) -> "Cells":
        """The control: as many random exemplars of the same stream."""


class Distance(Protocol):
    """A distance under which the leader rule is run."""

    def pairs(self, sample: Tensor) -> np.ndarray:
        """All pairwise distances of a sample (n, D), on the host, where percentiles are taken."""

    def cells(self, x: Tensor, threshold: float) -> Cells:
        """The leader rule over x (N, D), as it stands."""


@dataclass(frozen=True, eq=False)
class CosineCells:
    """Regions by cosine; scores are the cosines with the members' means."""

    dictionary: Dictionary
    stream: Tensor

    def __len__(self) -> int:
        return len(self.dictionary)

    def regions(self, y: Tensor) -> Tensor:
        return self.dictionary.assign(y)[0]

    def scorer(self) -> Callable[[Tensor], Tensor]:
        return partial(cosine, self.dictionary.recount(self.stream))

    def drawn(self, seed: int) -> "CosineCells":
        drawn = random_dictionary(self.dictionary, self.stream, seed=seed, recount=False)
        return CosineCells(drawn, self.stream)


@dataclass(frozen=True, eq=False)
class UncentredCosine:
    """Cosine distance as seen from the origin."""

    def pairs(self, sample: Tensor) -> np.ndarray:
        return (torch.pdist(unit_rows(sample)).square() / 2).cpu().numpy()

    def cells(self, x: Tensor, threshold: float) -> CosineCells:
        return CosineCells(partition_at(x, threshold, torch.zeros(x.shape[1]), recount=False), x)


@dataclass(frozen=True, eq=False)
class EuclideanCells:
    """Regions by Euclidean distance; scores are minus the distances to the members' means.

    stream : (N, D) scaled activations. index : (K,) positions of the exemplars in it.
    """

    stream: Tensor
    index: Tensor
    scale: Callable[[Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.index)

    def regions(self, y: Tensor) -> Tensor:
        return euclidean_assign(self.scale(y), self.stream[self.index])[0]

    def scorer(self) -> Callable[[Tensor], Tensor]:
        region = euclidean_assign(self.stream, self.stream[self.index])[0]
        means = member_means(self.stream, region, len(self))
        return lambda y: -squared_distances(self.scale(y).double(), means).sqrt()

    def drawn(self, seed: int) -> "EuclideanCells":
        every = torch.arange(len(self.stream), device=self.stream.device)
        return EuclideanCells(self.stream, permuted(every, seed)[: len(self)], self.scale)


@dataclass(frozen=True, eq=False)
class Euclidean:
    """Euclidean distance of activations after `scale`, (n, D) → (n, D)."""

    scale: Callable[[Tensor], Tensor]

    def pairs(self, sample: Tensor) -> np.ndarray:
        return torch.pdist(self.scale(sample)).cpu().numpy()

    def cells(self, x: Tensor, threshold: float) -> EuclideanCells:
        y = self.scale(x)
        return EuclideanCells(y, euclidean_leaders(y, threshold), self.scale)


SCALED = "Euclidean, norm-scaled"
"""The distance whose partition is that of uncentred cosine: it needs no control of its own."""

DISTANCES: dict[str, Distance] = {
    "uncentred cosine": UncentredCosine(),
    "Euclidean, raw": Euclidean(lambda x: x),
    SCALED: Euclidean(unit_rows),
}


# ---- measured at equal K ------------------------------------------------------------------------


class Level(NamedTuple):
    """Where a distance founds as many regions as centred cosine, and K at that one's percentile."""

    percentile: float
    threshold: float
    k_same_percentile: int


def level_at_k(distance: Distance, sample: Tensor, first: Tensor, k: int, about: float) -> Level:
    """The percentile of a distance's own pairwise distances at which it founds about k regions.

    sample : (n, D) whose pairs are ranked. first : (N, D) stream on which regions are counted.
    about : the percentile of centred cosine; searched is from a fortieth to twenty times as much.
    """
    pairs = distance.pairs(sample)

    def count(percentile: float) -> int:
        return len(distance.cells(first, float(np.percentile(pairs, percentile))))

    level = value_for_regions(count, k, about / 40, min(20 * about, 60))
    return Level(level, float(np.percentile(pairs, level)), count(about))


def cells_of(
    distance: Distance, x: Tensor, pairs: Pairs, threshold: float
) -> list[tuple[Cells, Cells]]:
    """The rule over both parts of every pair, each in a seeded order."""
    return [
        tuple(
            distance.cells(x[permuted(rows, 10 * s + 2 * i).to(x.device)], threshold)
            for i, rows in enumerate(both)
        )
        for s, both in enumerate(pairs)
    ]


def measure_cells(
    cells: Sequence[tuple[Cells, Cells]],
    fresh: Tensor,
    detect: Callable[[Callable[[Tensor], Tensor]], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Agreement of the parts on `fresh` by pair (S,), and AUROC of part A by concept (S, C).

    detect : (activations (n, D) → scores (n, K)) → AUROC of every concept (C,).
    """
    agree = [adjusted_mutual_information(a.regions(fresh), b.regions(fresh)) for a, b in cells]
    return np.array(agree), np.array([detect(a.scorer()) for a, _ in cells])


def distance_row(
    name: str,
    level: Level,
    cells: Sequence[tuple[Cells, Cells]],
    score: Callable[[Sequence[tuple[Cells, Cells]]], tuple[np.ndarray, np.ndarray]],
    centred: Measured,
) -> dict[str, object]:
    """A row of the table of distances: agreement, AUROC, their controls, and gains over `centred`.

    score : cells of every pair → agreement by pair and AUROC by concept (`measure_cells`).
    centred : the plain rule, measured on the same pairs.
    """
    stable, detects = score(cells)
    row = {
        "distance": name, "percentile": level.percentile,
        "K": np.median([len(a) for a, _ in cells]),
        "K at the same percentile": level.k_same_percentile,
        "agreement": stable.mean(), "AUROC": detects.mean(),
        "agreement, against centred": t_interval(stable - centred.stability.agreement.to_numpy()),
        "AUROC, against centred": bootstrap_pairs(detects - np.asarray(centred.auroc)),
    }  # fmt: skip
    if name == SCALED:
        return row
    drawn = [(a.drawn(10 * s + 3), b.drawn(10 * s + 4)) for s, (a, b) in enumerate(cells)]
    stable, detects = score(drawn)
    return row | {"agreement, random": stable.mean(), "AUROC, random": detects.mean()}


def centred_row(percentile: float, k: int, measured: Mapping[str, Measured]) -> dict[str, object]:
    """The first row of the table of distances: the plain rule and its random exemplars."""
    own, drawn = (measured[rule].means() for rule in ("plain", RANDOM))
    row = {"distance": "centred cosine", "percentile": percentile}
    row |= {"K": k, "K at the same percentile": k}
    for score in ("agreement", "AUROC"):
        row |= {score: own[score], f"{score}, random": drawn[score]}
    return row
