"""How many entries of a mask a device looks at, without being asked each time.

Which rows are decided in float64, and which may found regions, depends on the data. The CPU asks
for such a size as it comes. On another device every question is a round trip in which it stands
idle. So sizes are guessed there, half as large again as in the block before, and one question at
the end of a block asks whether they sufficed; if not, the block is done again, asking.

Does not know: what is picked, and for what.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

ASKED = ("cpu",)
"""Devices that are asked for every size."""

LEAST = 64
"""Entries that are always looked at."""

ROUNDS = 2
"""Rounds of a loop beyond those of the block before."""

T = TypeVar("T")


class Sizes:
    """Sizes of one kind of block after another, on one device.

    device : by default one that is asked for every size, whichever it is.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._always = device is None or device.type in ASKED
        self._asks = True
        self._last: dict[Hashable, int] = {}
        self._now: dict[Hashable, int | Tensor] = {}
        self._guessed: dict[Hashable, int] = {}

    def settle(self, work: Callable[[], T]) -> T:
        """The result of work(), which picks by these sizes and changes nothing that was before.

        It is called again where a guess was too small.
        """
        self._asks = self._always or not self._last
        out, held = self._run(work)
        if not held:
            self._asks = True
            out, _ = self._run(work)
        return out

    def _run(self, work: Callable[[], T]) -> tuple[T, bool]:
        self._now, self._guessed = {}, {}
        out = work()
        if not self._asks:
            counts = torch.stack(list(self._now.values())).tolist()  # the round trip of the block
            self._now = dict(zip(self._now, counts, strict=True))
        self._last |= self._now
        return out, all(self._now[key] <= size for key, size in self._guessed.items())

    def counted(self, key: Hashable) -> int:
        """What the last `settle` found, 0 where it did not come to it."""
        return self._now.get(key, 0)

    def pick(self, key: Hashable, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Where a mask (N,) is true: (M,) int64 ascending, and (M,) bool, false for filling (0)."""
        if self._asks:
            index = mask.nonzero()[:, 0]
            self._now[key] = max(self._now.get(key, 0), len(index))
            return index, torch.ones_like(index, dtype=torch.bool)
        wanted = self._last.get(key, 0) * 3 // 2
        size = min(max(LEAST, -(-wanted // LEAST) * LEAST), len(mask))
        at = mask.cumsum(0)
        self._count(key, at[-1], size)
        slot = torch.where(mask & (at <= size), at - 1, size)
        row = torch.arange(len(mask), device=mask.device)
        index = row.new_zeros(size + 1).scatter_(0, slot, row)[:size]
        return index, row[:size] < at[-1]

    def rounds(self, key: Hashable, left: Tensor) -> Iterator[None]:
        """Rounds of a loop until `left`, which it changes in place, is nothing."""
        if self._asks:
            n = 0
            while left.any():
                n += 1
                yield
            self._now[key] = max(self._now.get(key, 0), n)
            return
        size = self._last.get(key, 0) + ROUNDS
        needed = torch.zeros((), dtype=torch.int64, device=left.device)
        for _ in range(size):
            needed += left.any()
            yield
        self._count(key, needed + left.any(), size)

    def _count(self, key: Hashable, n: Tensor, size: int) -> None:
        self._now[key] = torch.maximum(self._now[key], n) if key in self._now else n
        self._guessed[key] = min(size, self._guessed.get(key, size))
