"""Exemplars of several dictionaries side by side, so that one product proposes for all of them.

Does not know: thresholds, how a product's proposals are decided.
"""

from bisect import bisect_left
from collections.abc import Iterator

import torch
from torch import Tensor

from epkit.blocks import products
from epkit.blocks.products import Operand, proposed


class Shelf:
    """Unit rows of several owners side by side, so that one product proposes for all of them.

    Columns of the product are dealt in groups of `GROUP`, each to one owner, whose rows stand there
    in their order; column c holds row `place[c]` of its owner. A column without a row, at the end
    of an owner's last group, scores -inf.

    Attributes
    ----------
    n : per owner the number of its rows; what lies beyond is room.
    group : columns of a group, `products.GROUP`.
    rows : (C, D) float32, by column.
    ready : the same as products take them.
    """

    def __init__(self, owners: int, dim: int, device: torch.device, half: bool) -> None:
        self.n, self.half, self.group = [0] * owners, half, products.GROUP
        self.rows = torch.zeros(0, dim, dtype=torch.float32, device=device)
        self.ready = Operand.of(self.rows, half)
        self.place = torch.zeros(0, dtype=torch.int64, device=device)
        self._owner = self.place.clone()  # of every group: owner + 1, 0 for nobody
        self._dealt: list[tuple[list[int], Tensor]] = [([], self.place.clone()) for _ in self.n]

    @classmethod
    def of(cls, rows: Tensor, half: bool) -> "Shelf":
        """Of one owner, whose rows (K, D) are all there."""
        self = cls(1, rows.shape[1], rows.device, half)
        self.n = [len(rows)]
        self.rows, self.ready = rows, Operand.of(rows, half)
        self.place = torch.arange(len(rows), device=rows.device)
        groups = -(-len(rows) // self.group)
        self._dealt = [(list(range(groups)), self.place)]
        return self

    def of_owner(self, i: int) -> Tensor:
        """(n, D) rows of an owner."""
        if len(self.n) == 1:
            return self.rows[: self.n[0]]
        return self.rows[self._dealt[i][1][: self.n[i]]]

    def write(self, i: int, rows: Tensor) -> None:
        """Write rows behind the last of an owner; they count once `n` says so."""
        start, end = self.n[i], self.n[i] + len(rows)
        if end > len(self._dealt[i][1]):
            self._deal(i, end - len(self._dealt[i][1]))
        columns, new = self._dealt[i][1][start:end], Operand.of(rows, self.half)
        self._owner[columns // self.group] = i + 1
        self.rows[columns] = rows
        if self.half:
            self.ready.values[columns] = new.values
            self.ready.error[columns] = new.error

    def _deal(self, i: int, more: int) -> None:
        """Room for more rows of an owner; given by the last line, whatever interrupts before."""
        groups, columns = self._dealt[i]
        start = self.group * sum(len(dealt) for dealt, _ in self._dealt)
        end = start + -(-more // self.group) * self.group
        if end > len(self.place):
            self._grow(max(4 * self.group, end, 2 * len(self.place)))
        new = torch.arange(start, end, device=self.place.device)
        self.place[start:end] = new - start + len(columns)
        groups = [*groups, *range(start // self.group, end // self.group)]
        self._dealt[i] = groups, torch.cat([columns, new])

    def _grow(self, columns: int) -> None:
        columns = -(-columns // self.group) * self.group
        self.rows = _longer(self.rows, columns)
        values = _longer(self.ready.values, columns) if self.half else self.rows
        self.ready = Operand(values, _longer(self.ready.error, columns), self.half)
        self._owner = _longer(self._owner, columns // self.group)
        self.place = _longer(self.place, columns)

    def blocks(self, width: int) -> Iterator[tuple[slice, list[int]]]:
        """The columns in blocks of about `width`, of whole groups; and who has rows in each."""
        step = -(-width // self.group)
        dealt = sum(len(groups) for groups, _ in self._dealt)
        for first in range(0, dealt, step):
            full = (self._full(i) for i in range(len(self.n)))
            here = [bisect_left(g, first) < bisect_left(g, first + step) for g in full]
            if any(here):
                block = slice(first * self.group, min(first + step, dealt) * self.group)
                yield block, [i for i, has in enumerate(here) if has]

    def _full(self, i: int) -> list[int]:
        """Groups in which an owner has rows, ascending."""
        return self._dealt[i][0][: -(-self.n[i] // self.group)]

    def scores(self, u: Operand, block: slice) -> Tensor:
        """`proposed` of rows and a block of columns, in groups: (N, G, GROUP)."""
        out = proposed(u, self.ready[block])
        for n, (groups, _) in zip(self.n, self._dealt, strict=True):
            for at, group in enumerate(groups[n // self.group :], n // self.group):
                start = group * self.group - block.start
                if 0 <= start < out.shape[1]:
                    out[:, start + max(0, n - at * self.group) : start + self.group] = -torch.inf
        return out.unflatten(1, (-1, self.group))

    def owned(self, i: int, block: slice, values: Tensor) -> Tensor:
        """Of values by group, (N, G), those of an owner; the least value of their type elsewhere.

        Whether a score is a candidate, or the largest score of a group.
        """
        if len(self.n) == 1:
            return values
        other = (
            self._owner[block.start // self.group : block.start // self.group + values.shape[1]]
            != i + 1
        )
        least = False if values.dtype == torch.bool else -torch.inf
        return values.masked_fill(other.view(1, -1, *[1] * (values.dim() - 2)), least)


def _longer(buffer: Tensor, n: int) -> Tensor:
    """The buffer with zeros up to n rows."""
    return torch.cat([buffer, buffer.new_zeros(max(0, n - len(buffer)), *buffer.shape[1:])])
