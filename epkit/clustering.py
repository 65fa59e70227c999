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

The result is that of the one-at-a-time rule for every way of cutting the stream: products propose,
`geometry.pair_distance` decides. Sums are float64 in stream order, so means agree as well.

Does not know: models, tokens, files. Nothing it holds grows with the length of the stream.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from epkit.calibration import check_threshold
from epkit.checks import Arrays, as_activations, as_centre, compute_device
from epkit.dictionary import Dictionary
from epkit.geometry import (
    DECIDED,
    ROWS,
    block_rows,
    closest,
    directions,
    nearest_known,
    pairs_distance,
)
from epkit.products import Operand, full_precision, gamma, is_half
from epkit.sums import RegionSums


class LeaderClustering:
    """Streaming leader clustering at one threshold.

    Parameters
    ----------
    centre : (D,) where activations are seen from (`Calibration.centre`).
    threshold : cosine distance in (0, 2] (`Calibration.thresholds[p]`).
    device : where to compute; CUDA where there is one, else the CPU.
    precision : what proposes: "half" on copies rounded to float16, "single" in float32, "auto"
        half where a card has tensor cores. The result is the same bytes.

    Attributes
    ----------
    n_regions, n_activations : int, after the batches so far.
    """

    def __init__(
        self,
        centre: Arrays,
        threshold: float,
        device: str | torch.device | None = None,
        precision: str = "auto",
    ) -> None:
        self.device = compute_device(device)
        self.centre = as_centre(centre, device=self.device)
        self.threshold = check_threshold(threshold)
        self.n_activations = 0
        half = is_half(precision, self.device)
        self._regions = _Regions(len(self.centre), self.device, half)

    @property
    def n_regions(self) -> int:
        return self._regions.n

    @property
    def exemplars(self) -> Tensor:
        """(K, D) float32 unit rows so far, in the order of their founding."""
        return self._regions.exemplars[: self._regions.n]

    @property
    def last_founded(self) -> int:
        """Stream position of the newest exemplar, -1 before the first."""
        regions = self._regions
        return int(regions.exemplar_index[regions.n - 1]) if regions.n else -1

    def partial_fit(self, batch: Arrays) -> "LeaderClustering":
        """Take in the next activations of the stream, (N, D), any N. Returns self.

        An interruption leaves whole blocks of the batch taken in, `n_activations` says how many
        rows, and nothing of the block that was interrupted.

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
        if not len(u):
            return u.new_zeros(0, dtype=torch.int64), u.new_zeros(0)
        region, distance = zip(
            *(self._fit_block(rows) for rows in u.split(block_rows(u.device))), strict=True
        )
        return torch.cat(region), torch.cat(distance)

    @torch.inference_mode(False)  # what is kept must outlive the caller's inference mode
    def _fit_block(self, u: Tensor) -> tuple[Tensor, Tensor]:
        regions = self._regions
        known = regions.n
        if known:
            region, distance = nearest_known(u, regions.exemplars, regions.known())
        else:
            region = torch.zeros(len(u), dtype=torch.int64, device=u.device)
            distance = torch.full((len(u),), torch.inf, dtype=torch.float64, device=u.device)
        outside = (distance > self.threshold).nonzero()[:, 0]
        founder = outside[first_independent_set(u[outside], self.threshold)]
        if len(founder):
            region, distance = join_founders(u, founder, known, region, distance)
            regions.write(u[founder], self.n_activations + founder)
        self._take_in(u, region, distance, len(founder))
        return region, distance.float()

    def _take_in(self, u: Tensor, region: Tensor, distance: Tensor, founded: int) -> None:
        """Add a block to the sums and count it, both or neither."""
        regions = self._regions
        try:
            regions.sums.add(u, region, distance)
        except BaseException:  # the sums have the whole block or nothing of it
            counts = regions.sums.counts
            regions.n, self.n_activations = int((counts > 0).sum()), int(counts.sum())
            raise
        regions.n, self.n_activations = regions.n + founded, self.n_activations + len(u)

    def take_settled(
        self, founders: Tensor, index: Tensor, settled: Iterable[tuple[Tensor, Tensor]], n: int
    ) -> None:
        """Take in the next n activations of the stream, decided elsewhere against `exemplars`.

        Parameters
        ----------
        founders, index : (F, D) directions and (F,) stream positions of the regions they founded.
        settled : pairs of (T,) regions and their (T, D + 3) `RegionSums.table`, of any parts.
        """
        regions = self._regions
        regions.write(founders.to(self.device), index.to(self.device))
        for region, table in settled:
            regions.sums.table.index_add_(0, region.to(self.device), table.to(self.device))
        regions.n, self.n_activations = regions.n + len(index), self.n_activations + n

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
        regions = _Regions(len(self.centre), self.device, self._regions.half)
        regions.write(state["exemplars"], state["exemplar_index"])
        regions.n, regions.sums = len(state["exemplars"]), RegionSums.from_state(state)
        self._regions = regions


def first_independent_set(u: Tensor, threshold: float) -> Tensor:
    """Founders among rows that no known exemplar is near: (M, D) -> (F,) row indices, ascending.

    The lexicographically first maximal independent set of the graph that joins rows within the
    threshold, which is what the one-at-a-time rule makes of them.
    """
    if not len(u):
        return torch.zeros(0, dtype=torch.int64, device=u.device)
    earlier = _within(u, threshold).float()
    founder, undecided = u.new_zeros(len(u)), u.new_ones(len(u))
    with full_precision():
        while undecided.any():
            joins = undecided * (earlier @ founder > 0)
            undecided -= joins
            founds = undecided * (earlier @ undecided == 0)
            founder += founds
            undecided -= founds
    return founder.nonzero()[:, 0]


def _within(u: Tensor, threshold: float) -> Tensor:
    """(M, D) -> (M, M) bool: earlier rows within the threshold; close calls decided in float64."""
    slack = gamma(u.shape[1])
    within = torch.zeros(len(u), len(u), dtype=torch.bool, device=u.device)
    for start in range(0, len(u), ROWS):
        rows = slice(start, start + ROWS)
        with full_precision():
            beyond = (1 - threshold) - u[rows] @ u[: start + ROWS].T
        within[rows, : start + ROWS] = (beyond <= 0).tril_(start - 1)
        close = (beyond.abs_() <= slack).tril_(start - 1)
        for some in close.any(dim=1).nonzero()[:, 0].split(DECIDED):
            a, b = close[some].nonzero(as_tuple=True)
            a = some[a] + start
            within[a, b] = pairs_distance(u, a, u, b) <= threshold
    return within


def join_founders(
    u: Tensor, founder: Tensor, known: int, region: Tensor, distance: Tensor
) -> tuple[Tensor, Tensor]:
    """Regions and distances once rows may join an earlier, nearer founder of their own block.

    Parameters
    ----------
    u : (N, D) unit rows.
    founder : (F,) which of them found, ascending.
    known : number of the first founder's region.
    region, distance : (N,) int64 and (N,) float64, of the nearest earlier exemplar; overwritten.
    """
    slack = gamma(u.shape[1])
    row = torch.arange(len(u), device=u.device)
    with full_precision():
        similarity = u @ u[founder].T
    similarity.masked_fill_(founder[None, :] >= row[:, None], -torch.inf)
    top = similarity.amax(dim=1)
    # Only rows whose best founder may be nearer than their known exemplar are looked at exactly.
    for some in (1 - top < distance + slack).nonzero()[:, 0].split(DECIDED):
        candidate = similarity[some] >= (top[some] - 2 * slack)[:, None]
        which, exact = closest(u[some], u[founder], candidate)
        nearer = exact < distance[some]
        region[some] = torch.where(nearer, which + known, region[some])
        distance[some] = torch.where(nearer, exact, distance[some])
    region[founder] = known + torch.arange(len(founder), device=u.device)
    distance[founder] = 0.0
    return region, distance


class _Regions:
    """Exemplars in buffers that double, made ready for products, and the sums of their members.

    The first `n` rows are the regions; what lies beyond is room.
    """

    def __init__(self, dim: int, device: torch.device, half: bool) -> None:
        self.n = 0
        self.half = half
        self.exemplars = torch.zeros(0, dim, dtype=torch.float32, device=device)
        self.exemplar_index = torch.zeros(0, dtype=torch.int64, device=device)
        self.ready = Operand.of(self.exemplars, half)
        self.sums = RegionSums.empty(0, dim, device)

    def known(self) -> Operand:
        """The exemplars as products take them."""
        return self.ready[: self.n]

    def write(self, exemplars: Tensor, index: Tensor) -> None:
        """Write regions behind the last; they count once their members are in the sums."""
        new, ready = Operand.of(exemplars, self.half), self.ready
        self.exemplars = _written(self.exemplars, self.n, exemplars)
        self.exemplar_index = _written(self.exemplar_index, self.n, index)
        values = _written(ready.values, self.n, new.values) if self.half else self.exemplars
        self.ready = Operand(values, _written(ready.error, self.n, new.error), self.half)
        self.sums.reserve(len(self.exemplars))


def _written(buffer: Tensor, start: int, rows: Tensor) -> Tensor:
    """The buffer, or one of at least twice the size, with rows from `start` on."""
    end = start + len(rows)
    if end > len(buffer):
        more = max(256, end, 2 * len(buffer)) - len(buffer)
        buffer = torch.cat([buffer, buffer.new_zeros(more, *buffer.shape[1:])])
    buffer[start:end] = rows
    return buffer
