"""Running sums over the members of every region.

One table, one row a region, one addition a block of activations: the sum of directions, of
distances, of squared distances, and the count. So a block is added whole or not at all, whatever
interrupts the program.

Order. Sums are float64. On the CPU the members of a region are added one by one in the order of
the stream, so that the bytes do not depend on how the stream was cut. On CUDA `index_put_` sorts
the rows of a block by region and adds without atomics: the same bytes every time, and in the order
of the stream as long as torch's sort keeps equal keys in order (its radix sort does; it makes no
promise). No setting of the process is changed for it.

Does not know: thresholds, exemplars, files.
"""

import torch
from torch import Tensor

NAMES = ("counts", "directions", "distance", "squared_distance")


class RegionSums:
    """Sums over the members of K regions.

    Parameters
    ----------
    table : (K, D + 3) float64: directions, distance, squared distance, count.
    """

    def __init__(self, table: Tensor) -> None:
        self.table = table

    @classmethod
    def empty(cls, k: int, dim: int, device: torch.device) -> "RegionSums":
        return cls(torch.zeros(k, dim + 3, dtype=torch.float64, device=device))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def counts(self) -> Tensor:
        """(K,) int64 members."""
        return self.table[:, -1].long()

    @property
    def directions(self) -> Tensor:
        """(K, D) sums of the members' directions."""
        return self.table[:, :-3]

    @property
    def distance(self) -> Tensor:
        """(K,) sums of the members' distances to the exemplar."""
        return self.table[:, -3]

    @property
    def squared_distance(self) -> Tensor:
        """(K,) sums of their squares."""
        return self.table[:, -2]

    def add(self, u: Tensor, region: Tensor, distance: Tensor) -> None:
        """Take in members: (N, D) directions, (N,) regions, (N,) float64 distances."""
        rows = torch.empty(len(u), self.table.shape[1], dtype=torch.float64, device=u.device)
        rows[:, :-3] = u
        rows[:, -3] = distance
        rows[:, -2] = distance.square()
        rows[:, -1] = 1
        if rows.device.type == "cpu":
            self.table.index_add_(0, region, rows)
        else:
            self.table.index_put_((region,), rows, accumulate=True)

    def reserve(self, k: int) -> None:
        """Room for at least k regions; the new ones have no members."""
        if k > len(self):
            more = self.table.new_zeros(k - len(self), self.table.shape[1])
            self.table = torch.cat([self.table, more])

    def state(self, n: int) -> dict[str, Tensor]:
        """The sums of the first n regions by name."""
        return {f"sums.{name}": getattr(self, name)[:n] for name in NAMES}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "RegionSums":
        """The sums as `state` names them."""
        counts, u, *distances = (state[f"sums.{name}"].double() for name in NAMES)
        return cls(torch.cat([u, torch.stack([*distances, counts], dim=1)], dim=1))
