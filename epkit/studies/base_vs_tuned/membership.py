"""What moved: a tuned model's activations assigned to the base's dictionary.

1. `memberships`: of every activation its region in the base, its region in the tuned model, and the
   cosine distance between the two, seen from the dictionary's centre.
2. `region_changes`: displacement (the mean distance) and exit rate (the share that lies elsewhere)
   of every region, each also standardised by size: the region's mean less that of the *other* half
   of the data, in standard errors of a mean of as many activations drawn from that half.
3. `half_floor`: what the same table says where nothing was tuned: how far the mean direction of a
   region lies from that of the same region in the other half, beside how far tuning moved it.

A region counts from `FEWEST` members in a half on.

Does not know: models, tokens, what was taught.
"""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from epkit.dictionary import Dictionary

FEWEST = 3
SCORES = ("displacement", "displacement by size", "exit rate", "exit rate by size")


@dataclass(frozen=True, eq=False)
class Membership:
    """n activations of both checkpoints in one dictionary of K regions; all on the CPU.

    base, tuned (n,) int64: the region in each. moved (n,) float64: cosine distance between them.
    """

    dictionary: Dictionary
    base: Tensor
    tuned: Tensor
    moved: Tensor

    @property
    def left(self) -> Tensor:
        """Which activations lie in another region after tuning: (n,) bool."""
        return self.base != self.tuned

    def counts(self, rows: Tensor) -> Tensor:
        """How many of the chosen rows (n,) bool each region has in the base: (K,) int64."""
        return self.base[rows].bincount(minlength=len(self.dictionary))


def memberships(dictionary: Dictionary, x: Tensor, y: Tensor) -> Membership:
    """The base's activations x (n, D) and the tuned model's y (n, D) of the same tokens."""
    u, v = dictionary.directions(x), dictionary.directions(y)
    moved = (1 - (u * v).sum(1)).clamp(min=0)
    regions = (dictionary.assign(rows)[0].cpu() for rows in (x, y))
    return Membership(dictionary, *regions, moved.double().cpu())


def region_changes(m: Membership, half: Tensor, which: int) -> pd.DataFrame:
    """`SCORES` and members of every region over the rows of one half, a row a region.

    half (n,) of 0 and 1; the other half gives the mean and the spread of the standardised columns.
    Regions of fewer than `FEWEST` members are left out.
    """
    own, other = half == which, half != which
    n = m.counts(own)
    table = {"members": n.numpy()}
    for name, values in (("displacement", m.moved), ("exit rate", m.left.double())):
        mean = _region_means(values[own], m.base[own], n)
        spread = values[other].std(correction=0).clamp(min=1e-12)
        table[name] = mean.numpy()
        table[f"{name} by size"] = ((mean - values[other].mean()) / spread * n.sqrt()).numpy()
    frame = pd.DataFrame(table).rename_axis("region")
    return frame[frame.members >= FEWEST]


def _region_means(values: Tensor, region: Tensor, n: Tensor) -> Tensor:
    """Mean of the values in every region: (K,) float64, 0 where there are none."""
    sums = torch.zeros(len(n), dtype=torch.float64).index_add_(0, region, values)
    return sums / n.clamp(min=1)


def half_floor(m: Membership, x: Tensor, y: Tensor, half: Tensor, which: int) -> pd.DataFrame:
    """How far the mean direction of every region moved, a row a region with members in both halves.

    Columns: "tuned", cosine distance between the means of the same activations in base and tuned;
    "other half", between the means of the base's two halves: what another sample alone makes.
    """
    d, k = m.dictionary, len(m.dictionary)

    def mean_of(rows: Tensor, z: Tensor) -> Tensor:
        u = d.directions(z).cpu()[rows]
        sums = torch.zeros(k, u.shape[1]).index_add_(0, m.base[rows], u)
        return torch.nn.functional.normalize(sums, dim=1)

    own, other = half == which, half != which
    here = mean_of(own, x)
    apart = {
        "tuned": 1 - (here * mean_of(own, y)).sum(1),
        "other half": 1 - (here * mean_of(other, x)).sum(1),
    }
    frame = pd.DataFrame({name: value.numpy() for name, value in apart.items()})
    fit = torch.minimum(m.counts(own), m.counts(other)) >= FEWEST
    return frame.rename_axis("region")[fit.numpy()].clip(lower=0)


def holding_regions(m: Membership, rows: Tensor, at: Tensor) -> list[int]:
    """The regions that together hold nine tenths of the chosen rows at the place, those with most
    of them first."""
    there = m.counts(rows & at)
    order = there.sort(descending=True, stable=True)
    before = order.values.cumsum(0) - order.values
    return order.indices[before < 0.9 * there.sum()].tolist()
