"""What one worker does with its rows of an epoch: find the misses, then settle every row.

A shard knows the exemplars founded before the epoch and changes them only when an epoch is settled,
so whoever makes a shard from those exemplars and the same rows goes on exactly where it was.

Does not know: Ray, other shards, where rows come from.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from epkit.blocks.founders import join_founders
from epkit.blocks.nearest import block_rows, nearest, nearest_of_owners
from epkit.blocks.products import is_half
from epkit.blocks.shelf import Shelf
from epkit.checks import as_activations
from epkit.clustering import LeaderClustering
from epkit.geometry import directions
from epkit.members import MemberCollector
from epkit.sums import RegionSums

Key = tuple[int, float]
"""Layer and percentile of a dictionary."""


class Founded(NamedTuple):
    """Rows that found a region, or may: stream positions (M,) ascending and directions (M, D)."""

    index: Tensor
    directions: Tensor

    def before(self, end: int) -> "Founded":
        """Those at stream positions below `end`."""
        n = int((self.index < end).sum())
        return Founded(self.index[:n], self.directions[:n])


class Settled(NamedTuple):
    """What an epoch adds: the regions (T,) with new members, their `RegionSums.table`, and the
    `MemberCollector.state` of those members, if members are kept."""

    region: Tensor
    table: Tensor
    members: dict[str, Tensor]


class Shard:
    """One worker's part of every epoch, for several dictionaries of one stream.

    The dictionaries of a layer hold their exemplars side by side, so that one product proposes for
    all of them.

    Parameters
    ----------
    centres : {layer: (D,)}.
    thresholds : {(layer, p): θ}.
    exemplars : {(layer, p): (K, D)} founded so far.
    device : "cpu" or "cuda".
    seed : of random members, None to keep no members.
    """

    def __init__(
        self,
        centres: Mapping[int, Tensor],
        thresholds: Mapping[Key, float],
        exemplars: Mapping[Key, Tensor],
        device: str | torch.device,
        seed: int | None = None,
    ) -> None:
        self._device, self._seed = torch.device(device), seed
        self._centres = {layer: c.to(self._device) for layer, c in centres.items()}
        self._thresholds = dict(thresholds)
        half = is_half("auto", self._device)
        self._shelves: dict[int, Shelf] = {}
        self._place: dict[Key, tuple[Shelf, int]] = {}
        for layer, c in self._centres.items():
            keys = [key for key in thresholds if key[0] == layer]
            shelf = self._shelves[layer] = Shelf(len(keys), len(c), self._device, half)
            self._place |= {key: (shelf, slot) for slot, key in enumerate(keys)}
        for key, v in exemplars.items():
            self._take_in(key, v.to(self._device))
        self._start = 0
        self._u: dict[int, Tensor] = {}
        self._found: dict[int, list[tuple[Tensor, Tensor]]] = {}

    @classmethod
    def of(cls, parts: Mapping[Key, LeaderClustering], device: str = "cpu") -> "Shard":
        """A shard that keeps no members and knows what clusterings have founded so far."""
        return cls(*known_of(parts), device)

    @torch.inference_mode(False)
    def find(self, start: int, rows: Mapping[int, Tensor]) -> dict[Key, Founded]:
        """The misses of {layer: (n, D) activations}, which begin at stream position `start`.

        Raises
        ------
        ValueError : activations that have no direction, or of another dimension.
        """
        self._start = start
        for layer, c in self._centres.items():
            u = directions(as_activations(rows[layer], len(c), self._device), c)
            self._u[layer], self._found[layer] = u, nearest_of_owners(u, self._shelves[layer])
        misses = {}
        for key, threshold in self._thresholds.items():
            _, distance = self._nearest(key)
            outside = (distance > threshold).nonzero()[:, 0]
            misses[key] = Founded((start + outside).cpu(), self._u[key[0]][outside].cpu())
        return misses

    @torch.inference_mode(False)
    def settle(self, founders: Mapping[Key, Founded], end: int) -> dict[Key, Settled]:
        """Sums of the rows found last, once they see the epoch's founders that came before them.

        end : stream position from which on rows are left out.
        """
        settled = {}
        n = max(0, end - self._start)
        for key, (index, v) in founders.items():
            index, v = index.to(self._device), v.to(self._device)
            u, (shelf, slot) = self._u[key[0]][:n], self._place[key]
            region, distance = (value[:n] for value in self._nearest(key))
            for start in range(0, len(u), block_rows(u.device)):
                rows = slice(start, start + block_rows(u.device))
                first = self._start + start
                region[rows], distance[rows] = _join(
                    u[rows], first, index, v, shelf.n[slot], region[rows], distance[rows]
                )
            self._take_in(key, v)
            settled[key] = self._settled(u, region, distance)
        self._u.clear()
        self._found.clear()
        return settled

    def _nearest(self, key: Key) -> tuple[Tensor, Tensor]:
        return self._found[key[0]][self._place[key][1]]

    def _take_in(self, key: Key, exemplars: Tensor) -> None:
        shelf, slot = self._place[key]
        shelf.write(slot, exemplars)
        shelf.n[slot] += len(exemplars)

    def _settled(self, u: Tensor, region: Tensor, distance: Tensor) -> Settled:
        touched, slot = region.unique(return_inverse=True)
        sums = RegionSums.empty(len(touched), u.shape[1], u.device)
        step = block_rows(u.device)
        for parts in zip(u.split(step), slot.split(step), distance.split(step), strict=True):
            if len(parts[0]):
                sums.add(*parts)
        members = {}
        if self._seed is not None:
            collector = MemberCollector(self._seed, self._device)
            collector.update(self._start, slot, distance.float(), len(touched))
            members = collector.state()
        return Settled(touched.cpu(), sums.table.cpu(), members)


def known_of(
    parts: Mapping[Key, LeaderClustering],
) -> tuple[dict[int, Tensor], dict[Key, float], dict[Key, Tensor]]:
    """Centres, thresholds and exemplars of clusterings, as a `Shard` is made from them."""
    centres = {layer: part.centre for (layer, _), part in parts.items()}
    thresholds = {key: part.threshold for key, part in parts.items()}
    return centres, thresholds, {key: part.exemplars for key, part in parts.items()}


def _join(
    u: Tensor, first: int, index: Tensor, v: Tensor, known: int, region: Tensor, distance: Tensor
) -> tuple[Tensor, Tensor]:
    """Regions of a block that begins at `first`: founders before it are known to all of it."""
    before, end = torch.searchsorted(
        index, torch.tensor([first, first + len(u)], device=u.device)
    ).tolist()
    if before:
        found, exact = nearest(u, v[:before])
        nearer = exact < distance
        region = torch.where(nearer, found + known, region)
        distance = torch.where(nearer, exact, distance)
    if end > before:
        own = index[before:end] - first
        region, distance = join_founders(u, own, known + before, region, distance)
    return region, distance
