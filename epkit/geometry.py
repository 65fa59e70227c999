"""Centre, unit directions and cosine distance: the geometry that every other module shares.

An activation a is centred and normalised to a direction u = (a - c) / |a - c|; two directions are
1 - u.v apart, a number in [0, 2].

Arithmetic. Directions are computed in float64 and stored as float32. Matrix products run in float32
at full precision (TF32 and bfloat16 shortcuts are switched off around them) and only *propose*;
whatever is decided (nearest exemplar, within the threshold or not) is decided on `pair_distance`,
a float64 sum over the float32 directions, for every case the float32 product cannot separate by
`MARGIN`. That is why results do not depend on how a stream is cut into batches.

Does not know: models, tokens, files.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

MARGIN = 1e-5
"""Bound on the rounding error of a float32 product of two unit vectors (several times over)."""

ROWS = 1024
"""Rows per block of a matrix product."""

COLUMNS = 4096
"""Exemplars per block of a matrix product, so that rows x exemplars never exists at full size."""

Arrays = Tensor | np.ndarray


def default_device() -> torch.device:
    """CUDA where there is one, else the CPU (MPS has no float64, which decisions need)."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def full_precision() -> Iterator[None]:
    """Run float32 matrix products in float32, whatever the session's matmul precision is."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def as_activations(x: Arrays, dim: int | None = None, device: torch.device | None = None) -> Tensor:
    """Check a batch of activations at the door.

    Parameters
    ----------
    x : (N, D) tensor or array of any floating dtype, on any device.
    dim : the D that is expected, if one is.
    device : where the result should be; by default where `x` is.

    Returns
    -------
    (N, D) float32 tensor.

    Raises
    ------
    ValueError : not two-dimensional, not floating point, wrong D, or not finite.
    """
    if not isinstance(x, Tensor | np.ndarray):
        raise ValueError(
            f"activations must be a torch tensor or a numpy array, not {type(x).__name__}"
        )
    x = torch.as_tensor(x)
    if x.ndim != 2:
        raise ValueError(
            f"activations must have shape (N, D), got {tuple(x.shape)}; "
            "flatten batch and position, and wrap a single vector as x[None]"
        )
    if not x.is_floating_point():
        raise ValueError(f"activations must be floating point, got {x.dtype}")
    if dim is not None and x.shape[1] != dim:
        raise ValueError(f"activations have {x.shape[1]} dimensions, expected {dim}")
    x = x.detach().to(device=device, dtype=torch.float32)
    if not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x).all(1)).nonzero()[0, 0])
        raise ValueError(
            f"activations must be finite in float32: row {bad} is not; drop it or use a wider dtype"
        )
    return x


def batches_of(x: Arrays | Iterable[Arrays]) -> Iterator[Arrays]:
    """One array, or an iterable of arrays, as an iterator of arrays."""
    if isinstance(x, Tensor | np.ndarray):
        yield x
    elif isinstance(x, Iterable) and not isinstance(x, str | bytes):
        yield from x
    else:
        raise ValueError(
            "activations must be an (N, D) tensor or array, or an iterable of them, "
            f"not {type(x).__name__}"
        )


def centre_of(x: Tensor) -> Tensor:
    """The centre of activations: robust to a few of huge norm.

    c = d <mean(a), d> with d = normalise(mean(a / |a|)) (Rumbelow 2026).

    Parameters
    ----------
    x : (N, D) activations.

    Returns
    -------
    (D,) float32.

    Raises
    ------
    ValueError : an activation is zero.
    """
    unit, total = torch.zeros(2, x.shape[1], dtype=torch.float64, device=x.device)
    for rows in x.split(ROWS):
        rows = rows.double()
        norm = rows.norm(dim=1, keepdim=True)
        if not norm.all():
            raise ValueError(
                "an activation is exactly zero and has no direction; "
                "drop such rows (padding that was not masked?)"
            )
        unit += (rows / norm).sum(0)
        total += rows.sum(0)
    direction = torch.nn.functional.normalize(unit, dim=0)
    return (direction * (total @ direction / len(x))).float()


def directions(x: Tensor, centre: Tensor) -> Tensor:
    """Unit directions of activations seen from the centre: (a - c) / |a - c|.

    Parameters
    ----------
    x : (N, D) float32 activations.
    centre : (D,).

    Returns
    -------
    (N, D) float32, unit rows.

    Raises
    ------
    ValueError : an activation is zero or equals the centre, so that it has no direction.
    """
    out = torch.empty_like(x)
    for rows, place in zip(x.split(ROWS), out.split(ROWS), strict=True):
        shifted = rows.double() - centre.double()
        norm = shifted.norm(dim=1, keepdim=True)
        if not norm.all() or not rows.any(dim=1).all():
            raise ValueError(
                "an activation is zero or equals the centre and has no direction; "
                "drop such rows (padding that was not masked?)"
            )
        place.copy_(shifted / norm)
    return out


def pair_distance(u: Tensor, v: Tensor) -> Tensor:
    """Cosine distance row by row, the one that decides: (N, D), (N, D) float32 -> (N,) float64."""
    parts = [
        (a.double() * b.double()).sum(1) for a, b in zip(u.split(128), v.split(128), strict=True)
    ]
    return (1 - torch.cat(parts)).clamp_(0, 2) if parts else u.new_zeros(0, dtype=torch.float64)


def distances(u: Tensor, v: Tensor) -> Tensor:
    """All cosine distances of unit rows: (N, D), (K, D) -> (N, K) float32 in [0, 2]."""
    with full_precision():
        return (1 - u @ v.T).clamp_(0, 2)


def nearest(u: Tensor, exemplars: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest exemplar of every direction; ties go to the lowest index.

    Parameters
    ----------
    u : (N, D) unit rows.
    exemplars : (K, D) unit rows, K >= 1.

    Returns
    -------
    index : (N,) int64.
    distance : (N,) float64, by `pair_distance`.
    """
    parts = [_nearest_block(rows, exemplars) for rows in u.split(ROWS)]
    index = torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64, device=u.device)
    return index, pair_distance(u, exemplars[index])


def _nearest_block(u: Tensor, exemplars: Tensor) -> Tensor:
    """Running maximum over column blocks; rows with a rival within MARGIN are decided again."""
    best = torch.full((len(u),), -torch.inf, device=u.device)
    index = torch.zeros(len(u), dtype=torch.int64, device=u.device)
    rival = torch.zeros(len(u), dtype=torch.bool, device=u.device)
    with full_precision():
        for start in range(0, len(exemplars), COLUMNS):
            similarity = u @ exemplars[start : start + COLUMNS].T
            top, where = similarity.max(dim=1)
            close = (similarity > (top - MARGIN)[:, None]).sum(dim=1) > 1
            rival = torch.where(top > best + MARGIN, close, rival | (top > best - MARGIN))
            index = torch.where(top > best, where + start, index)
            best = torch.maximum(best, top)
        for row in rival.nonzero()[:, 0].split(64):
            similarity = u[row] @ exemplars.T
            index[row] = _decide(u[row], exemplars, similarity >= (best[row] - MARGIN)[:, None])
    return index


def _decide(u: Tensor, exemplars: Tensor, candidate: Tensor) -> Tensor:
    """Lowest index of the least `pair_distance` among the candidates (N, K) of every row."""
    row, column = candidate.nonzero(as_tuple=True)
    exact = torch.full(candidate.shape, torch.inf, dtype=torch.float64, device=u.device)
    exact[row, column] = pair_distance(u[row], exemplars[column])
    return exact.argmin(dim=1)  # argmin of equal values: see the test on ties
