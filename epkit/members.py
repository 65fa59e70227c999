"""Members: which tokens lie in which region, and where they stood.

A build hands over region and distance of every activation; kept are the token ids of the whole
stream and, per region, the `KEPT` closest, the `KEPT` farthest and a seeded uniform sample of
`KEPT` members. All three are "the KEPT smallest by a key" (distance, minus distance, a hash of the
stream position and the seed), merged batch by batch with sorts, so the result does not depend on
batches and nothing but the token ids grows with the stream.

Membership is that of the build: an activation joined the nearest exemplar known when it came.

Does not know: models, tokenizers (pass one to turn ids into text).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from epkit import checks

KEPT = 8
KINDS = ("closest", "farthest", "random")


@dataclass(frozen=True, eq=False)
class Members:
    """Tokens of a stream and selected members of every region of it.

    Attributes
    ----------
    tokens : (T,) int32, every token fed to the model, BOS included.
    lengths : (W,) int32, tokens per window; windows follow one another in `tokens`.
    clustered : (T,) bool, the tokens that are activations of the stream, in order.
    closest_index, farthest_index, random_index : (K, KEPT) int64 stream positions (the n-th
        clustered token), -1 where a region has fewer members. Sorted by the key.
    closest_distance, farthest_distance, random_distance : (K, KEPT) float32, nan where none.
    """

    tokens: Tensor
    lengths: Tensor
    clustered: Tensor
    closest_index: Tensor
    closest_distance: Tensor
    farthest_index: Tensor
    farthest_distance: Tensor
    random_index: Tensor
    random_distance: Tensor

    def of(self, region: int, kind: str = "closest") -> tuple[Tensor, Tensor]:
        """Stream positions (M,) and distances (M,) of a region's kept members of a kind."""
        checks.one_of("kind", kind, KINDS)
        region = checks.whole("region", region, 0, len(self.closest_index) - 1)
        index = getattr(self, f"{kind}_index")[region]
        return index[index >= 0], getattr(self, f"{kind}_distance")[region][index >= 0]

    def token_of(self, index: Tensor) -> Tensor:
        """Token ids of stream positions, on any device: (...,) int64 -> (...,) int32 there."""
        index = checks.whole_tensor("index", index)
        places = self._places()
        if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < len(places):
            raise ValueError(f"index holds a position outside 0 … {len(places) - 1}")
        return self.tokens[places[index.to(places.device).long()]].to(index.device)

    def closest_tokens(self, tokenizer) -> list[list[str]]:
        """Per region the distinct tokens of its closest members, nearest first, as texts."""
        index = self.closest_index
        ids = self.token_of(index.clamp(min=0))
        rows = (row[at >= 0].tolist() for row, at in zip(ids, index, strict=True))
        return [[tokenizer.decode([i]) for i in dict.fromkeys(row)] for row in rows]

    def context(self, index: int, width: int = 12) -> tuple[list[int], int, list[int]]:
        """Token ids before, at and after a stream position, within its window, BOS left out."""
        places = self._places()
        at = int(places[checks.whole("index", index, 0, len(places) - 1)])
        width = checks.whole("width", width)
        ends = self.lengths.long().cumsum(0)
        window = int(torch.searchsorted(ends, at, right=True))
        first = int(ends[window] - self.lengths[window])
        if not self.clustered[first]:
            first += 1
        before = self.tokens[max(first, at - width) : at].tolist()
        after = self.tokens[at + 1 : min(int(ends[window]), at + 1 + width)].tolist()
        return before, int(self.tokens[at]), after

    def _places(self) -> Tensor:
        return self.clustered.nonzero()[:, 0]


class MemberCollector:
    """Keeps closest, farthest and random members while a stream is clustered.

    Parameters
    ----------
    seed : of the random members.
    device : where the clustering runs.
    """

    def __init__(self, seed: int = 0, device: str | torch.device = "cpu") -> None:
        self.seed = checks.seed(seed)
        self.device = checks.device(device)
        self.n_regions = 0
        self._kept = {kind: _Kept.empty(0, self.device) for kind in KINDS}

    def update(self, start: int, region: Tensor, distance: Tensor, n_regions: int) -> None:
        """Take in the next activations.

        Parameters
        ----------
        start : stream position of the first.
        region, distance : (N,) int64 and (N,) float32, of `LeaderClustering.fit_directions`.
        n_regions : regions there are now.
        """
        index = torch.arange(start, start + len(region), device=self.device)
        keys = {
            "closest": distance.double(),
            "farthest": -distance.double(),
            "random": _hash(index, self.seed).double(),
        }
        self.n_regions = n_regions
        for kind, kept in self._kept.items():
            kept.grow(n_regions)
            kept.merge(region, keys[kind], index, distance)

    def merge(self, touched: Tensor, state: dict[str, Tensor], n_regions: int) -> None:
        """Take in what another collector kept of the next activations.

        Parameters
        ----------
        touched : (T,) the regions here that its regions are.
        state : of that collector.
        n_regions : regions there are now.
        """
        self.n_regions = n_regions
        region = touched.to(self.device).repeat_interleave(KEPT)
        for kind, kept in self._kept.items():
            parts = {name: state[f"{kind}.{name}"].to(self.device) for name in _Kept.NAMES}
            kept.grow(n_regions)
            kept.merge(region, *(parts[name].flatten() for name in _Kept.NAMES))

    def members(self, tokens: Tensor, lengths: Tensor, clustered: Tensor) -> Members:
        """The kept members with the tokens of the stream (`activations.Chunk` arrays, joined)."""
        arrays = {}
        for kind, kept in self._kept.items():
            arrays[f"{kind}_index"] = kept.index[: self.n_regions].cpu().clone()
            arrays[f"{kind}_distance"] = kept.distance[: self.n_regions].cpu().clone()
        return Members(tokens, lengths, clustered, **arrays)

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on later, as copies on the CPU; see `load_state`."""
        return {
            f"{kind}.{name}": value[: self.n_regions].cpu().clone()
            for kind, kept in self._kept.items()
            for name, value in vars(kept).items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state` of a collector with the same seed."""
        for kind in KINDS:
            parts = {name: state[f"{kind}.{name}"].to(self.device) for name in _Kept.NAMES}
            self._kept[kind] = _Kept(**parts)
            self.n_regions = len(parts["index"])


@dataclass
class _Kept:
    """Per region the KEPT entries with the smallest keys, sorted; ties to the earlier arrival."""

    key: Tensor  # (K, KEPT) float64, inf where empty
    index: Tensor  # (K, KEPT) int64, -1 where empty
    distance: Tensor  # (K, KEPT) float32, nan where empty

    NAMES = ("key", "index", "distance")

    @classmethod
    def empty(cls, k: int, device: torch.device) -> "_Kept":
        key = torch.full((k, KEPT), torch.inf, dtype=torch.float64, device=device)
        index = torch.full((k, KEPT), -1, dtype=torch.int64, device=device)
        return cls(key, index, torch.full((k, KEPT), torch.nan, device=device))

    def grow(self, k: int) -> None:
        if k > len(self.key):
            more = _Kept.empty(max(k, 2 * len(self.key)) - len(self.key), self.key.device)
            for name in self.NAMES:
                setattr(self, name, torch.cat([getattr(self, name), getattr(more, name)]))

    def merge(self, region: Tensor, key: Tensor, index: Tensor, distance: Tensor) -> None:
        """Merge members (N,) into their regions' entries (in place).

        Nothing asks the device how many regions they are of: at most as many as there are members.
        """
        if not len(region):
            return
        order = key.sort(stable=True).indices
        order = order[region[order].sort(stable=True).indices]
        region = region[order]
        row = torch.arange(len(region), device=region.device)
        first = region.diff(prepend=region[:1] - 1) != 0
        slot = first.cumsum(0) - 1  # of the region among those touched
        rank = row - torch.where(first, row, 0).cummax(0).values
        size = min(len(region), len(self.key))
        place = torch.where(rank < KEPT, slot * KEPT + rank, size * KEPT)  # the last: for no entry
        real = torch.where(row[:size] <= slot[-1], row[:size], 0)  # slots without a region: the 0th
        touched = row.new_zeros(size + 1).scatter_(0, torch.where(first, slot, size), region)[real]
        new = _Kept.empty(size + 1, region.device)
        for name, value in zip(self.NAMES, (key, index, distance), strict=True):
            getattr(new, name).view(-1).scatter_(0, place, value[order])
        # Kept entries stand before new ones, so a stable sort leaves ties to the earlier arrival.
        both = [torch.cat([getattr(self, name)[touched], getattr(new, name)[real]], dim=1)
                for name in self.NAMES]  # fmt: skip
        best = both[0].sort(dim=1, stable=True).indices[:, :KEPT]
        for name, value in zip(self.NAMES, both, strict=True):
            getattr(self, name)[touched] = value.gather(1, best)


def _hash(index: Tensor, seed: int) -> Tensor:
    """A fixed pseudo-random priority of every stream position: (N,) int64 in [0, 2^52).

    Multiply-and-xor-shift mixing in wrapping int64; 52 bits, so that float64 holds it exactly.
    """
    x = index + (seed + 1) * 0x1E3779B97F4A7C15 % (1 << 63)
    for multiplier, shift in ((0x3F58476D1CE4E5B9, 30), (0x14D049BB133111EB, 27)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * multiplier
    return (x ^ ((x >> 31) & ((1 << 33) - 1))) & ((1 << 52) - 1)
