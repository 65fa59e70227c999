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

from collections.abc import Iterator

import torch
from torch import Tensor

from epkit.checks import Arrays, finite_rows, rows_of
from epkit.products import Operand, band, full_precision, is_half, proposed, top_two

ROWS = 1024
"""Rows per block of a matrix product on the CPU."""

DECIDED = 64
"""Rows per block of decisions in float64: bounds memory where thousands of exemplars tie."""

COLUMNS = 2048
"""Exemplars per block of a matrix product, so that rows x exemplars never exists at full size."""


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
        shifted = rows.double().sub_(centre.double())
        norm = _sum(shifted.square()).sqrt()[:, None]
        if not norm.all() or not rows.any(dim=1).all():
            raise ValueError(
                "an activation is zero or equals the centre and has no direction; "
                "drop such rows (padding that was not masked?)"
            )
        place.copy_(shifted.div_(norm))
    return out


def pair_distance(u: Tensor, v: Tensor) -> Tensor:
    """Cosine distance row by row, the one that decides: (N, D), (N, D) float32 -> (N,) float64."""
    row = torch.arange(len(u), device=u.device)
    return pairs_distance(u, row, v, row)


def pairs_distance(u: Tensor, row: Tensor, v: Tensor, column: Tensor) -> Tensor:
    """`pair_distance` of u[row] and v[column], gathered some pairs at a time."""
    out = torch.empty(len(row), dtype=torch.float64, device=u.device)
    # About a megabyte at a time on the CPU: larger pieces leave its cache.
    step = max(1, (1 << 17 if u.device.type == "cpu" else 1 << 24) // u.shape[1])
    for at, a, b in zip(out.split(step), row.split(step), column.split(step), strict=True):
        at.copy_(1 - _sum(u.index_select(0, a).double().mul_(v.index_select(0, b))))
    return out.clamp_(0, 2)


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


def nearest(u: Tensor, exemplars: Tensor, precision: str = "auto") -> tuple[Tensor, Tensor]:
    """Nearest exemplar of every direction; ties go to the lowest index.

    Parameters
    ----------
    u : (N, D) unit rows.
    exemplars : (K, D) unit rows, K >= 1.
    precision : "half", "single" or "auto", what proposes; the result is the same bytes.

    Returns
    -------
    index : (N,) int64.
    distance : (N,) float64, by `pair_distance`.
    """
    known = Operand.of(exemplars, is_half(precision, u.device))
    index = torch.empty(len(u), dtype=torch.int64, device=u.device)
    distance = torch.empty(len(u), dtype=torch.float64, device=u.device)
    for place in _blocks(len(u), u.device):
        index[place], distance[place] = nearest_known(u[place], exemplars, known)
    return index, distance


def nearest_of_activations(
    x: Arrays, centre: Tensor, exemplars: Tensor, precision: str = "auto"
) -> tuple[Tensor, Tensor]:
    """`nearest` of the directions of activations, normalised block by block.

    Beyond x and the result it holds a block of directions and of proposed scores, whatever N.

    Parameters
    ----------
    x : (N, D) tensor or array of any floating dtype, on any device; moved to the centre's.
    centre : (D,).
    exemplars : (K, D) unit rows, K >= 1.
    precision : as in `nearest`.

    Returns
    -------
    index : (N,) int64.
    distance : (N,) float32.

    Raises
    ------
    ValueError : wrong shape or dimension, non-finite or zero activations.
    """
    x, device = rows_of(x, len(centre)), centre.device
    known = Operand.of(exemplars, is_half(precision, device))
    index = torch.empty(len(x), dtype=torch.int64, device=device)
    distance = torch.empty(len(x), dtype=torch.float32, device=device)
    for place in _blocks(len(x), device):
        u = directions(finite_rows(x[place], device, place.start), centre)
        index[place], distance[place] = nearest_known(u, exemplars, known)
    return index, distance


def block_rows(device: torch.device) -> int:
    """Rows per block of a product on a device; no result depends on it."""
    return ROWS if device.type == "cpu" else 8 * ROWS


def _blocks(n: int, device: torch.device) -> Iterator[slice]:
    """0 … n cut into blocks of a product."""
    step = block_rows(device)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def nearest_known(u: Tensor, exemplars: Tensor, known: Operand) -> tuple[Tensor, Tensor]:
    """`nearest` of one block of rows (N, D), for exemplars made ready as `known`.

    Running best and second best over column blocks. A row whose second best lies within two bands
    of its best is decided among all exemplars that do.
    """
    rows = Operand.of(u, known.half)
    slack = 2 * band(rows, known)
    best = u.new_full((len(u),), -torch.inf)
    second, index = best.clone(), torch.zeros(len(u), dtype=torch.int64, device=u.device)
    with full_precision():
        for start in range(0, len(known), COLUMNS):
            top, where, runner_up = top_two(proposed(rows, known[start : start + COLUMNS]))
            second = torch.maximum(torch.minimum(best, top), torch.maximum(second, runner_up))
            index = torch.where(top > best, where + start, index)
            best = torch.maximum(best, top)
        floor = best - slack
        for row in (second >= floor).nonzero()[:, 0].split(DECIDED):
            index[row] = _decide(u[row], rows[row], floor[row], exemplars, known)
    return index, pairs_distance(u, torch.arange(len(u), device=u.device), exemplars, index)


def _decide(u: Tensor, rows: Operand, floor: Tensor, exemplars: Tensor, known: Operand) -> Tensor:
    """Nearest exemplar of few rows (N, D) among those with a score of at least `floor` (N,)."""
    least = torch.full((len(u),), torch.inf, dtype=torch.float64, device=u.device)
    index = torch.zeros(len(u), dtype=torch.int64, device=u.device)
    for start in range(0, len(known), COLUMNS):
        block = slice(start, start + COLUMNS)
        candidate = proposed(rows, known[block]) >= floor[:, None]
        where, distance = closest(u, exemplars[block], candidate)
        index = torch.where(distance < least, where + start, index)
        least = torch.minimum(least, distance)
    return index


def closest(u: Tensor, v: Tensor, candidate: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest candidate of every row by `pair_distance`; ties go to the lowest index.

    Parameters
    ----------
    u, v : (N, D), (K, D) unit rows.
    candidate : (N, K or more) bool.

    Returns
    -------
    index : (N,) int64, meaningless for rows without a candidate.
    distance : (N,) float64, inf for rows without a candidate.
    """
    row, column = candidate.nonzero(as_tuple=True)
    exact = pairs_distance(u, row, v, column)
    distance = torch.full((len(u),), torch.inf, dtype=torch.float64, device=u.device)
    distance.scatter_reduce_(0, row, exact, "amin")
    column = torch.where(exact == distance[row], column, len(v))
    index = torch.full((len(u),), len(v), dtype=torch.int64, device=u.device)
    return index.scatter_reduce_(0, row, column, "amin"), distance
