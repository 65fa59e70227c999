"""Running sums over the members of every region.

One table, one row a region, one addition a block of activations: the sum of directions, of
distances, of squared distances, and the count. So a block is added whole or not at all, whatever
interrupts the program.

Order. Sums are whole numbers of `UNIT` = 2⁻³², in int64, to which every term is rounded once.
Additions of whole numbers commute exactly, so that the bytes depend neither on how a stream was
cut, nor on the device, nor on how many workers added it. The rounding, at most 2⁻³³ a term, is
below that of the float32 directions themselves for components above 2⁻⁹.

Does not know: thresholds, exemplars, files.
"""

import torch
from torch import Tensor

UNIT = 2.0**-32
"""What the sums are counted in."""

MOST = 2**29
"""Members of a region up to which its sums are sure to fit: squared distances are at most 4."""

NAMES = ("counts", "directions", "distance", "squared_distance")


class RegionSums:
    """Sums over the members of K regions.

    Parameters
    ----------
    table : (K, D + 3) int64: directions, distance, squared distance in `UNIT`s, and the count.
    """

    def __init__(self, table: Tensor) -> None:
        self.table = table

    @classmethod
    def empty(cls, k: int, dim: int, device: torch.device) -> "RegionSums":
        return cls(torch.zeros(k, dim + 3, dtype=torch.int64, device=device))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def counts(self) -> Tensor:
        """(K,) int64 members."""
        return self.table[:, -1]

    @property
    def directions(self) -> Tensor:
        """(K, D) float64 sums of the members' directions."""
        return self._sums(slice(None, -3))

    @property
    def distance(self) -> Tensor:
        """(K,) float64 sums of the members' distances to the exemplar."""
        return self._sums(-3)

    @property
    def squared_distance(self) -> Tensor:
        """(K,) float64 sums of their squares."""
        return self._sums(-2)

    def _sums(self, columns: slice | int) -> Tensor:
        if len(self) and int(self.counts.max()) > MOST:
            raise ValueError(f"a region has more than {MOST:,} members, whose sums do not fit")
        return self.table[:, columns].double() * UNIT

    def add(self, u: Tensor, region: Tensor, distance: Tensor) -> None:
        """Take in members: (N, D) directions, (N,) regions, (N,) float64 distances."""
        rows = torch.empty(len(u), self.table.shape[1], dtype=torch.int64, device=u.device)
        rows[:, :-3] = _whole(u)
        rows[:, -3] = _whole(distance)
        rows[:, -2] = _whole(distance.square())
        rows[:, -1] = 1
        self.table.index_add_(0, region, rows)

    def reserve(self, k: int) -> None:
        """Room for at least k regions; the new ones have no members."""
        if k > len(self):
            more = self.table.new_zeros(k - len(self), self.table.shape[1])
            self.table = torch.cat([self.table, more])

    def state(self, n: int) -> dict[str, Tensor]:
        """The sums of the first n regions by name, in `UNIT`s: what `from_state` takes."""
        u, distance, squared, counts = self.table[:n].split([self.table.shape[1] - 3, 1, 1, 1], 1)
        parts = (counts[:, 0], u, distance[:, 0], squared[:, 0])
        return {f"sums.{name}": part for name, part in zip(NAMES, parts, strict=True)}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "RegionSums":
        """The sums as `state` names them."""
        counts, u, *distances = (state[f"sums.{name}"] for name in NAMES)
        return cls(torch.cat([u, torch.stack([*distances, counts], dim=1)], dim=1))


def _whole(terms: Tensor) -> Tensor:
    """Terms in `UNIT`s, rounded; exact but for the rounding, in float32 as in float64."""
    return (terms * (1 / UNIT)).round_()
