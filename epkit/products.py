"""Matrix products that propose: how they are run, and how far from the truth they can be.

A product of unit rows never decides anything here. It proposes scores, and `band` gives a proven
bound on how far any of them lies from the exact scalar product u.e of the float32 rows; whatever
the band cannot separate is decided by `geometry.pair_distance`. So results are the same bytes
whether the product runs in float32 ("single") or on copies rounded to float16 ("half"), which
tensor cores multiply some ten times faster.

The band, with u = 2⁻²⁴ the rounding unit of float32:

1. Summing. A scalar product of D terms in float32, in whatever order, with or without fused
   multiply-add, is off by at most γ_D Σ|u_i e_i| ≤ γ_D |u||e|, γ_D = D u / (1 - D u) (Higham,
   Accuracy and Stability of Numerical Algorithms, 3.1). Nothing is assumed about blocking.
2. Unit rows are unit to float32 rounding only, 1 - θ and distances are rounded when they are
   compared, and products may underflow: together below 8 u, so γ_{D + 8} is used.
3. Half. Rows are rounded to û = u + δu: |û.ê - u.e| ≤ |δu||e| + |û||δe|, with the rounding errors
   δ of the very rows at hand, not their worst case. Products of two float16 numbers are exact in
   float32. A tensor core cuts off where IEEE rounds, and aligns k >= 4 terms and the sum so far at
   a time: at most (k + 1) / k <= 1.25 units of 2⁻²³ per term (Fasi, Higham, Mikaitis and Pranesh
   2021; measured on NVIDIA cards, not promised by the maker), hence 3 γ_{D + 8}.

At D = 2,304 the band is 1.4e-4 in single and about 1e-3 in half precision.

Does not know: thresholds, regions.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from epkit import checks

PRECISIONS = ("auto", "half", "single")

SCALE = 16.0
"""Rows are scaled before they are rounded to float16, so that small components keep their bits."""

GROUP = 64
"""Scores come with columns of -inf up to a multiple of this many."""

_lock = threading.Lock()
_inside = 0
_session = ("highest", False)


@contextmanager
def full_precision() -> Iterator[None]:
    """Run matrix products at full precision, whatever the session's settings are.

    No TF32 or bfloat16 in place of float32, no float16 sums, no autocast. All but the last belong
    to the process: the first that enters keeps the session's and the last that leaves, of all
    threads, restores them.
    """
    global _inside, _session
    cast = [kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]
    with _lock:
        if not _inside:
            _session = _settings()
            _set(("highest", False))
        _inside += 1
    try:
        for kind in cast:
            torch.set_autocast_enabled(kind, False)
        yield
    finally:
        for kind in cast:
            torch.set_autocast_enabled(kind, True)
        with _lock:
            _inside -= 1
            if not _inside:
                _set(_session)


def _settings() -> tuple[str, bool]:
    sums_in_half = getattr(torch.backends.cuda.matmul, "allow_fp16_accumulation", False)
    return torch.get_float32_matmul_precision(), sums_in_half


def _set(settings: tuple[str, bool]) -> None:
    precision, sums_in_half = settings
    torch.set_float32_matmul_precision(precision)
    if hasattr(torch.backends.cuda.matmul, "allow_fp16_accumulation"):  # since torch 2.7
        torch.backends.cuda.matmul.allow_fp16_accumulation = sums_in_half


def is_half(precision: str, device: torch.device) -> bool:
    """Whether products of this precision run on float16 copies on this device.

    "auto" is half on an NVIDIA card with tensor cores, single elsewhere.
    """
    if checks.one_of("precision", precision, PRECISIONS) != "auto":
        return precision == "half"
    return (
        device.type == "cuda"
        and torch.version.cuda is not None
        and torch.cuda.get_device_capability(device) >= (7, 0)
        and _sums_float16_in_float32()
    )


def _sums_float16_in_float32() -> bool:
    return "dtype" in torch.ops.aten.mm.overloads()  # since torch 2.8


@dataclass(frozen=True)
class Operand:
    """Unit rows as a product takes them.

    Attributes
    ----------
    values : (N, D) the float32 rows themselves, or float16 of `SCALE` times them (held in float32
        where the device cannot sum float16 products in float32).
    error : (N,) float32, length of each row's rounding error; zero for the rows themselves.
    half : whether the values were rounded.
    """

    values: Tensor
    error: Tensor
    half: bool

    @classmethod
    def of(cls, u: Tensor, half: bool) -> "Operand":
        """Unit rows (N, D) float32 made ready."""
        if not half:
            return cls(u, u.new_zeros(len(u)), False)
        values = (u * SCALE).half()
        error = (values.float() / SCALE - u).norm(dim=1)
        fast = u.device.type == "cuda" and _sums_float16_in_float32()
        return cls(values if fast else values.float(), error, True)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | Tensor) -> "Operand":
        return Operand(self.values[rows], self.error[rows], self.half)


def proposed(u: Operand, v: Operand) -> Tensor:
    """Scalar products of all pairs, in units of SCALE² if half; run in `full_precision`.

    Returns
    -------
    (N, M) float32, M = K rounded up to a multiple of `GROUP`; -inf beyond K.
    """
    k = len(v)
    out = u.error.new_empty(len(u), -(-k // GROUP) * GROUP)
    out[:, k:] = -torch.inf
    if u.values.dtype == torch.float16:
        out[:, :k] = torch.mm(u.values, v.values.T, out_dtype=torch.float32)
    else:
        torch.mm(u.values, v.values.T, out=out[:, :k])
    return out


def top_two(groups: Tensor, peaks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Largest of every row of `proposed`, its column, and the second largest.

    Only the winning group is looked into: the fastest way on a CPU, where counting or sorting costs
    as much as the product.

    Parameters
    ----------
    groups : (N, G, GROUP) scores in groups.
    peaks : (N, G) largest of every group, -inf for groups that do not take part; overwritten.
    """
    best, group = peaks.max(dim=1)
    inside = groups[torch.arange(len(groups), device=groups.device), group]
    where = inside.argmax(dim=1)
    inside.scatter_(1, where[:, None], -torch.inf)
    peaks.scatter_(1, group[:, None], -torch.inf)
    second = torch.maximum(inside.amax(dim=1), peaks.amax(dim=1))
    return best, group * GROUP + where, second


def band(u: Operand, v: Operand) -> Tensor:
    """How far a score may lie from the exact product, per row of u: (N,), in the scores' unit."""
    summing = gamma(u.values.shape[1])
    if not u.half:
        return u.error + summing
    rounding = 1.01 * (u.error + v.error.max())  # lengths of rows and errors are rounded too
    return SCALE**2 * (rounding + 3 * summing)


def gamma(dim: int) -> float:
    """Bound on the error of a float32 product of two unit rows of `dim` components.

    See the top of this module; 6e-7 at dim 2, 4e-5 at 576, 1.4e-4 at 2,304, 4.9e-4 at 8,192.
    """
    n = (dim + 8) * 2.0**-24
    return n / (1 - n)


class Shelf:
    """Unit rows of several owners side by side, so that one product proposes for all of them.

    Columns of the product are dealt in groups of `GROUP`, each to one owner, whose rows stand there
    in their order; column c holds row `place[c]` of its owner. A column without a row, at the end
    of an owner's last group, scores -inf.

    Attributes
    ----------
    n : per owner the number of its rows; what lies beyond is room.
    rows : (C, D) float32, by column.
    ready : the same as products take them.
    """

    def __init__(self, owners: int, dim: int, device: torch.device, half: bool) -> None:
        self.n, self.half = [0] * owners, half
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
        groups = -(-len(rows) // GROUP)
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
        self._owner[columns // GROUP] = i + 1
        self.rows[columns] = rows
        if self.half:
            self.ready.values[columns] = new.values
            self.ready.error[columns] = new.error

    def _deal(self, i: int, more: int) -> None:
        """Room for more rows of an owner; given by the last line, whatever interrupts before."""
        groups, columns = self._dealt[i]
        start = GROUP * sum(len(dealt) for dealt, _ in self._dealt)
        end = start + -(-more // GROUP) * GROUP
        if end > len(self.place):
            self._grow(max(4 * GROUP, end, 2 * len(self.place)))
        new = torch.arange(start, end, device=self.place.device)
        self.place[start:end] = new - start + len(columns)
        groups = [*groups, *range(start // GROUP, end // GROUP)]
        self._dealt[i] = groups, torch.cat([columns, new])

    def _grow(self, columns: int) -> None:
        columns = -(-columns // GROUP) * GROUP
        self.rows = _longer(self.rows, columns)
        values = _longer(self.ready.values, columns) if self.half else self.rows
        self.ready = Operand(values, _longer(self.ready.error, columns), self.half)
        self._owner = _longer(self._owner, columns // GROUP)
        self.place = _longer(self.place, columns)

    def blocks(self, width: int) -> Iterator[tuple[slice, list[int]]]:
        """The columns in blocks of about `width`, of whole groups; and who has rows in each."""
        step = -(-width // GROUP)
        dealt = sum(len(groups) for groups, _ in self._dealt)
        for first in range(0, dealt, step):
            full = (self._full(i) for i in range(len(self.n)))
            here = [bisect_left(g, first) < bisect_left(g, first + step) for g in full]
            if any(here):
                block = slice(first * GROUP, min(first + step, dealt) * GROUP)
                yield block, [i for i, has in enumerate(here) if has]

    def _full(self, i: int) -> list[int]:
        """Groups in which an owner has rows, ascending."""
        return self._dealt[i][0][: -(-self.n[i] // GROUP)]

    def scores(self, u: Operand, block: slice) -> Tensor:
        """`proposed` of rows and a block of columns, in groups: (N, G, GROUP)."""
        out = proposed(u, self.ready[block])
        for n, (groups, _) in zip(self.n, self._dealt, strict=True):
            for at, group in enumerate(groups[n // GROUP :], n // GROUP):
                start = group * GROUP - block.start
                if 0 <= start < out.shape[1]:
                    out[:, start + max(0, n - at * GROUP) : start + GROUP] = -torch.inf
        return out.unflatten(1, (-1, GROUP))

    def owned(self, i: int, block: slice, values: Tensor) -> Tensor:
        """Of values by group, (N, G), those of an owner; the least value of their type elsewhere.

        Whether a score is a candidate, or the largest score of a group.
        """
        if len(self.n) == 1:
            return values
        other = self._owner[block.start // GROUP : block.start // GROUP + values.shape[1]] != i + 1
        least = False if values.dtype == torch.bool else -torch.inf
        return values.masked_fill(other.view(1, -1, *[1] * (values.dim() - 2)), least)


def _longer(buffer: Tensor, n: int) -> Tensor:
    """The buffer with zeros up to n rows."""
    return torch.cat([buffer, buffer.new_zeros(max(0, n - len(buffer)), *buffer.shape[1:])])
