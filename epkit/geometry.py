"""Centre, unit directions and cosine distance: the geometry that every other module shares.

An activation a is centred and normalised to a direction u = (a - c) / |a - c|; two directions are
1 - u.v apart, a number in [0, 2].

Arithmetic. Directions are computed in float64 and stored as float32. Matrix products only
*propose*; whatever is decided (nearest exemplar, within the threshold or not) is decided on
`pair_distance`, a float64 sum over the float32 directions in one fixed order, for every case that
the product, with its proven error (`products.band`), cannot separate. That is why results do not
depend on how a stream is cut into batches, nor on the precision of the product.

Does not know: models, tokens, files.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from epkit.blocks.products import full_precision

ROWS = 1024
"""Rows that are looked at together on the CPU."""


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
    out, centre = torch.empty_like(x), centre.double()
    centre_square = _sum(centre.square()[None])
    doubt = torch.zeros((), dtype=torch.bool, device=x.device)
    for rows, place in zip(x.split(ROWS), out.split(ROWS), strict=True):
        shifted = rows.double().sub_(centre)
        square = _sum(shifted.square())
        doubt |= ((square == 0) | (square == centre_square)).any()  # all that may have no direction
        place.copy_(shifted.div_(square.sqrt_()[:, None]))
    if doubt and not (x.any(dim=1).all() and out.isfinite().all()):
        raise ValueError(
            "an activation is zero or equals the centre and has no direction; "
            "drop such rows (padding that was not masked?)"
        )
    return out


def pair_distance(u: Tensor, v: Tensor) -> Tensor:
    """Cosine distance row by row, the one that decides: (N, D), (N, D) float32 -> (N,) float64."""
    return distance_to(u, v, torch.arange(len(u), device=u.device))


def distance_to(u: Tensor, v: Tensor, column: Tensor) -> Tensor:
    """`pair_distance` of every row of u and v[column], gathered some at a time."""
    step = _pairs_at_once(u)
    return _distance_of(u.split(step), v, column.split(step))


def pairs_distance(u: Tensor, row: Tensor, v: Tensor, column: Tensor) -> Tensor:
    """`pair_distance` of u[row] and v[column], gathered some pairs at a time."""
    step = _pairs_at_once(u)
    parts = (u.index_select(0, some) for some in row.split(step))
    return _distance_of(parts, v, column.split(step))


def _distance_of(parts: Iterable[Tensor], v: Tensor, columns: Sequence[Tensor]) -> Tensor:
    found = [
        _sum(v.index_select(0, column).double().mul_(part))
        for part, column in zip(parts, columns, strict=True)
    ]
    return torch.cat(found).neg_().add_(1).clamp_(0, 2)


def _pairs_at_once(u: Tensor) -> int:
    """About two megabytes on the CPU: larger pieces leave its cache, smaller ones are not worth a
    call."""
    return max(1, (1 << 18 if u.device.type == "cpu" else 1 << 24) // u.shape[1])


def _sum(terms: Tensor) -> Tensor:
    """Sums of the rows of (N, D) float64, which are overwritten: (N,).

    In one fixed order, by halves, with additions of whole columns: the same bits on every machine
    and device and for every N, which torch's own sum does not promise.
    """
    width = terms.shape[1]
    while width > 1:
        half = width // 2
        terms[:, :half] += terms[:, width - half : width]
        width -= half
    return terms[:, 0]


def distances(u: Tensor, v: Tensor) -> Tensor:
    """All cosine distances of unit rows: (N, D), (K, D) -> (N, K) float32 in [0, 2]."""
    with full_precision():
        return (u @ v.T).neg_().add_(1).clamp_(0, 2)
