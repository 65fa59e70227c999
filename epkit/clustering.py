"""Leader clustering of a stream of activations, exactly and in batches (Hartigan 1975).

The rule, one activation at a time: if the nearest exemplar is within the threshold, join it;
otherwise become a new exemplar, fixed for ever. Here a block of activations is one matrix product:

1. Nearest known exemplar of every row, by running maximum over blocks of exemplars.
2. Rows with none within the threshold are the only ones that can found regions. The founders are
   the lexicographically first maximal independent set of their within-threshold graph: a row founds
   when no earlier founder of the block is within the threshold. Computed in rounds over the whole
   graph (a row whose earlier neighbours are all decided is decided), not in a loop over rows.
3. Every row also sees the founders of its own block that came before it, and joins one if nearer.
4. Counts, sums of directions and of distances are accumulated on the device.

The result is that of the one-at-a-time rule for every way of cutting the stream: float32 products
propose, `geometry.pair_distance` decides. Sums are float64, so means agree as well.

Does not know: models, tokens, files. Nothing it holds grows with the length of the stream.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from epkit.calibration import check_threshold
from epkit.dictionary import Dictionary, RegionSums
from epkit.geometry import (
    MARGIN,
    ROWS,
    Arrays,
    as_activations,
    default_device,
    directions,
    full_precision,
    nearest,
    pair_distance,
)


class LeaderClustering:
    """Streaming leader clustering at one threshold.

    Parameters
    ----------
    centre : (D,) where activations are seen from (`Calibration.centre`).
    threshold : cosine distance in (0, 2] (`Calibration.thresholds[p]`).
    device : where to compute; CUDA where there is one, else the CPU.

    Attributes
    ----------
    n_regions, n_activations : int, after the batches so far.
    """

    def __init__(
        self, centre: Arrays, threshold: float, device: str | torch.device | None = None
    ) -> None:
        self.device = torch.device(device) if device is not None else default_device()
        if self.device.type == "mps":
            raise ValueError("MPS has no float64, which decisions need; use device='cpu'")
        self.centre = as_activations(torch.as_tensor(centre)[None], device=self.device)[0]
        self.threshold = check_threshold(threshold)
        self.n_activations = 0
        self._regions = _Regions.empty(len(self.centre), self.device)

    @property
    def n_regions(self) -> int:
        return self._regions.n

    @property
    def last_founded(self) -> int:
        """Stream position of the newest exemplar, -1 before the first."""
        regions = self._regions
        return int(regions.exemplar_index[regions.n - 1]) if regions.n else -1

    def partial_fit(self, batch: Arrays) -> "LeaderClustering":
        """Take in the next activations of the stream, (N, D), any N. Returns self.

        Raises
        ------
        ValueError : wrong shape or dimension, non-finite or zero activations. Nothing of the batch
            is taken in then.
        """
        x = as_activations(batch, len(self.centre), self.device)
        self.fit_directions(directions(x, self.centre))
        return self

    def fit_directions(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """`partial_fit` for directions already computed, shared between thresholds.

        Parameters
        ----------
        u : (N, D) float32 unit rows on `device`.

        Returns
        -------
        region : (N,) int64, the region each row joined or founded.
        distance : (N,) float32 to its exemplar; 0 for founders.
        """
        parts = [self._fit_block(rows) for rows in u.split(ROWS)] if len(u) else []
        if not parts:
            return u.new_zeros(0, dtype=torch.int64), u.new_zeros(0)
        region, distance = zip(*parts, strict=True)
        return torch.cat(region), torch.cat(distance)

    def _fit_block(self, u: Tensor) -> tuple[Tensor, Tensor]:
        regions = self._regions
        known = regions.n
        if known:
            region, distance = nearest(u, regions.exemplars[:known])
        else:
            region = torch.zeros(len(u), dtype=torch.int64, device=u.device)
            distance = torch.full((len(u),), torch.inf, dtype=torch.float64, device=u.device)
        outside = (distance > self.threshold).nonzero()[:, 0]
        founder = outside[first_independent_set(u[outside], self.threshold)]
        if len(founder):
            _join_founders(u, founder, known, region, distance)
            regions.found(u[founder], self.n_activations + founder)
        regions.sums.add(u, region, distance)
        self.n_activations += len(u)
        return region, distance.float()

    def dictionary(self, **metadata: object) -> Dictionary:
        """The regions so far; keyword arguments become `Dictionary.metadata`.

        Raises
        ------
        ValueError : nothing was taken in yet.
        """
        if not self.n_regions:
            raise ValueError("no activation was taken in yet: call partial_fit first")
        regions = self._regions
        return Dictionary.from_sums(
            self.centre,
            self.threshold,
            regions.exemplars[: regions.n].clone(),
            regions.exemplar_index[: regions.n].clone(),
            regions.sums,
            metadata,
        )

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on later, as copies on the CPU; see `load_state`."""
        regions = self._regions
        own = {
            "exemplars": regions.exemplars[: regions.n],
            "exemplar_index": regions.exemplar_index[: regions.n],
            "n_activations": torch.tensor(self.n_activations),
        }
        return {k: v.cpu().clone() for k, v in (own | regions.sums.state(regions.n)).items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state` of a clustering with the same centre and threshold."""
        state = {k: v.to(self.device) for k, v in state.items()}
        self.n_activations = int(state["n_activations"])
        self._regions = _Regions(
            len(state["exemplars"]),
            state["exemplars"].clone(),
            state["exemplar_index"].clone(),
            RegionSums.from_state(state),
        )


def first_independent_set(u: Tensor, threshold: float) -> Tensor:
    """Founders among rows that no known exemplar is near: (M, D) -> (F,) row indices, ascending.

    The lexicographically first maximal independent set of the graph that joins rows within the
    threshold, which is what the one-at-a-time rule makes of them.
    """
    if not len(u):
        return torch.zeros(0, dtype=torch.int64, device=u.device)
    earlier = _within(u, threshold).tril_(diagonal=-1).float()
    founder = torch.zeros(len(u), device=u.device)
    undecided = torch.ones(len(u), device=u.device)
    with full_precision():
        while undecided.any():
            joins = undecided * (earlier @ founder > 0)
            undecided -= joins
            founds = undecided * (earlier @ undecided == 0)
            founder += founds
            undecided -= founds
    return founder.nonzero()[:, 0]


def _within(u: Tensor, threshold: float) -> Tensor:
    """(M, D) -> (M, M) bool: pairs within the threshold; close calls decided in float64."""
    with full_precision():
        distance = 1 - u @ u.T
    within = distance <= threshold
    a, b = ((distance - threshold).abs() < MARGIN).nonzero(as_tuple=True)
    within[a, b] = pair_distance(u[a], u[b]) <= threshold
    return within


def _join_founders(
    u: Tensor, founder: Tensor, known: int, region: Tensor, distance: Tensor
) -> None:
    """Move rows to a founder of their own block that came before them and is nearer (in place)."""
    with full_precision():
        similarity = u @ u[founder].T
    row = torch.arange(len(u), device=u.device)
    similarity.masked_fill_(founder[None, :] >= row[:, None], -torch.inf)
    top = similarity.max(dim=1).values
    # Only rows whose best founder may be nearer than their known exemplar are looked at exactly.
    top = torch.where(1 - top < distance + MARGIN, top, torch.inf)
    at, which = (similarity >= (top - MARGIN)[:, None]).nonzero(as_tuple=True)
    exact = torch.full(similarity.shape, torch.inf, dtype=torch.float64, device=u.device)
    exact[at, which] = pair_distance(u[at], u[founder[which]])
    nearest_founder, index = exact.min(dim=1).values, exact.argmin(dim=1)
    nearer = nearest_founder < distance
    region[nearer] = index[nearer] + known
    distance[nearer] = nearest_founder[nearer]
    region[founder] = known + torch.arange(len(founder), device=u.device)
    distance[founder] = 0.0


@dataclass
class _Regions:
    """Exemplars in a buffer that doubles, and the sums of their members."""

    n: int
    exemplars: Tensor  # (capacity, D)
    exemplar_index: Tensor  # (capacity,)
    sums: RegionSums

    @classmethod
    def empty(cls, dim: int, device: torch.device) -> "_Regions":
        index = torch.zeros(0, dtype=torch.int64, device=device)
        return cls(0, torch.zeros(0, dim, device=device), index, RegionSums.empty(0, dim, device))

    def found(self, exemplars: Tensor, index: Tensor) -> None:
        """Append regions; their sums start at zero."""
        end = self.n + len(exemplars)
        if end > len(self.exemplars):
            more = max(256, end, 2 * len(self.exemplars)) - len(self.exemplars)
            room = exemplars.new_zeros(more, exemplars.shape[1])
            self.exemplars = torch.cat([self.exemplars, room])
            self.exemplar_index = torch.cat([self.exemplar_index, index.new_zeros(more)])
            self.sums.grow(more)
        self.exemplars[self.n : end] = exemplars
        self.exemplar_index[self.n : end] = index
        self.n = end
