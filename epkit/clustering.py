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

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from epkit.blocks.founders import independent_set, join_founders
from epkit.blocks.nearest import Scored, block_rows, nearest_known, propose
from epkit.blocks.products import is_half
from epkit.blocks.shelf import Shelf
from epkit.blocks.sizes import Sizes
from epkit.calibration import check_threshold
from epkit.checks import Arrays, as_activations, as_centre, compute_device
from epkit.dictionary import Dictionary
from epkit.geometry import directions
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
        half = is_half(precision, self.device)
        self._shelf = Shelf(1, len(self.centre), self.device, half)
        self._sizes = Sizes(self.device)
        self._begin(0)

    @classmethod
    def several(
        cls, centre: Arrays, thresholds: Sequence[float], *options: object
    ) -> "list[LeaderClustering]":
        """Clusterings of one stream at several thresholds, for `fit_together`.

        They hold their exemplars side by side, so that one product proposes for all of them.
        """
        parts = [cls(centre, threshold, *options) for threshold in thresholds]
        first = parts[0]._shelf
        shelf = Shelf(len(parts), first.rows.shape[1], first.rows.device, first.half)
        for i, part in enumerate(parts):
            part._shelf, part._sizes, part._slot = shelf, parts[0]._sizes, i
        return parts

    def _begin(self, slot: int) -> None:
        """No regions."""
        self._slot, self.n_activations = slot, 0
        self._shelf.n[slot] = 0
        self._exemplar_index = torch.zeros(0, dtype=torch.int64, device=self.device)
        self._sums = RegionSums.empty(0, len(self.centre), self.device)

    @property
    def n_regions(self) -> int:
        return self._shelf.n[self._slot]

    @property
    def exemplars(self) -> Tensor:
        """(K, D) float32 unit rows so far, in the order of their founding."""
        return self._shelf.of_owner(self._slot)

    @property
    def last_founded(self) -> int:
        """Stream position of the newest exemplar, -1 before the first."""
        return int(self._exemplar_index[self.n_regions - 1]) if self.n_regions else -1

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
        return fit_together([self], u)[0]

    def _settled(self, u: Tensor, scored: Scored) -> tuple[Tensor, Tensor, Tensor]:
        """Regions (N,), distances (N,) and founders (F or more,) of a block, none taken in."""
        slot, sizes = self._slot, self._sizes
        region, distance = nearest_known(u, self._shelf, slot, scored, sizes)
        outside, valid = sizes.pick((slot, "outside"), distance > self.threshold)
        founds = independent_set(u[outside], self.threshold, valid, sizes, slot)
        which, valid = sizes.pick((slot, "founders"), founds)
        founder = outside[which]
        region, distance = join_founders(
            u, founder, self.n_regions, region, distance, valid, sizes, slot
        )
        return region, distance, founder

    def _take_in(self, u: Tensor, region: Tensor, distance: Tensor, founder: Tensor) -> None:
        """Add a block to the sums and count it, both or neither."""
        self._write(u[founder], self.n_activations + founder)
        n, shelf = self.n_regions + len(founder), self._shelf
        try:
            self._sums.add(u, region, distance)
        except BaseException:  # the sums have the whole block or nothing of it
            counts = self._sums.counts
            shelf.n[self._slot], self.n_activations = int((counts > 0).sum()), int(counts.sum())
            raise
        shelf.n[self._slot], self.n_activations = n, self.n_activations + len(u)

    def _write(self, exemplars: Tensor, index: Tensor) -> None:
        """Write regions behind the last; they count once their members are in the sums."""
        self._shelf.write(self._slot, exemplars)
        self._exemplar_index = _written(self._exemplar_index, self.n_regions, index)
        self._sums.reserve(len(self._exemplar_index))

    def take_settled(
        self, founders: Tensor, index: Tensor, settled: Iterable[tuple[Tensor, Tensor]], n: int
    ) -> None:
        """Take in the next n activations of the stream, decided elsewhere against `exemplars`.

        Parameters
        ----------
        founders, index : (F, D) directions and (F,) stream positions of the regions they founded.
        settled : pairs of (T,) regions and their (T, D + 3) `RegionSums.table`, of any parts.
        """
        self._write(founders.to(self.device), index.to(self.device))
        for region, table in settled:
            self._sums.table.index_add_(0, region.to(self.device), table.to(self.device))
        self._shelf.n[self._slot] += len(index)
        self.n_activations += n

    def dictionary(self, **metadata: object) -> Dictionary:
        """The regions so far; keyword arguments become `Dictionary.metadata`.

        Raises
        ------
        ValueError : nothing was taken in yet.
        """
        if not self.n_regions:
            raise ValueError("no activation was taken in yet: call partial_fit first")
        return Dictionary.from_sums(
            self.centre,
            self.threshold,
            self.exemplars.clone(),
            self._exemplar_index[: self.n_regions].clone(),
            self._sums,
            metadata,
        )

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on later, as copies on the CPU; see `load_state`."""
        own = {
            "exemplars": self.exemplars,
            "exemplar_index": self._exemplar_index[: self.n_regions],
            "n_activations": torch.tensor(self.n_activations),
        }
        return {k: v.cpu().clone() for k, v in (own | self._sums.state(self.n_regions)).items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state` of a clustering with the same centre and threshold."""
        state = {k: v.to(self.device) for k, v in state.items()}
        self._begin(self._slot)
        self._write(state["exemplars"], state["exemplar_index"])
        self._sums = RegionSums.from_state(state)
        self._shelf.n[self._slot] = len(state["exemplars"])
        self.n_activations = int(state["n_activations"])


def fit_together(parts: Sequence[LeaderClustering], u: Tensor) -> list[tuple[Tensor, Tensor]]:
    """`fit_directions` of clusterings made by `LeaderClustering.several`, in one pass.

    One product per block of columns proposes for all of them; each reads its own columns.

    Raises
    ------
    ValueError : clusterings that were not made together.
    """
    if any(part._shelf is not parts[0]._shelf for part in parts):
        raise ValueError("these clusterings were not made together: use LeaderClustering.several")
    if not len(u):
        return [(u.new_zeros(0, dtype=torch.int64), u.new_zeros(0)) for _ in parts]
    blocks = [_fit_block(parts, rows) for rows in u.split(block_rows(u.device))]
    return [tuple(map(torch.cat, zip(*of, strict=True))) for of in zip(*blocks, strict=True)]


@torch.inference_mode(False)  # what is kept must outlive the caller's inference mode
def _fit_block(parts: Sequence[LeaderClustering], u: Tensor) -> list[tuple[Tensor, Tensor]]:
    sizes, scored = parts[0]._sizes, propose(u, parts[0]._shelf)
    settled = sizes.settle(lambda: [part._settled(u, scored[part._slot]) for part in parts])
    for part, (region, distance, founder) in zip(parts, settled, strict=True):
        part._take_in(u, region, distance, founder[: sizes.counted((part._slot, "founders"))])
    return [(region, distance.float()) for region, distance, _ in settled]


def _written(buffer: Tensor, start: int, rows: Tensor) -> Tensor:
    """The buffer, or one of at least twice the size, with rows from `start` on."""
    end = start + len(rows)
    if end > len(buffer):
        more = max(256, end, 2 * len(buffer)) - len(buffer)
        buffer = torch.cat([buffer, buffer.new_zeros(more, *buffer.shape[1:])])
    buffer[start:end] = rows
    return buffer
