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
