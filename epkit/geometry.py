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

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from epkit.blocks.products import Operand, band, full_precision, is_half, top_two
from epkit.blocks.shelf import Shelf
from epkit.blocks.sizes import Sizes
from epkit.checks import Arrays, finite_rows, rows_of

ROWS = 1024
"""Rows that are looked at together on the CPU; half of those of a block of a product."""

DECIDED = 64
"""Rows per block of decisions in float64: bounds memory where thousands of exemplars tie."""

COLUMNS = 2048
"""Exemplars per block of a product on the CPU: rows x exemplars never exists at full size."""


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
    (found,) = nearest_of_owners(u, Shelf.of(exemplars, is_half(precision, u.device)))
    return found


def nearest_of_owners(u: Tensor, shelf: Shelf) -> list[tuple[Tensor, Tensor]]:
    """`nearest` of directions (N, D) among the rows of each owner: one product for all of them.

    Region 0 at distance inf for an owner without rows.
    """
    if not len(u):
        return [(u.new_zeros(0, dtype=torch.int64), u.new_zeros(0).double()) for _ in shelf.n]
    sizes = Sizes(u.device)
    blocks = [_nearest_in_block(rows, shelf, sizes) for rows in u.split(block_rows(u.device))]
    return [tuple(map(torch.cat, zip(*of, strict=True))) for of in zip(*blocks, strict=True)]


def _nearest_in_block(u: Tensor, shelf: Shelf, sizes: Sizes) -> list[tuple[Tensor, Tensor]]:
    scored = propose(u, shelf)
    return sizes.settle(
        lambda: [nearest_known(u, shelf, i, of, sizes) for i, of in enumerate(scored)]
    )


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
    shelf, sizes = Shelf.of(exemplars, is_half(precision, device)), Sizes(device)
    index = torch.empty(len(x), dtype=torch.int64, device=device)
    distance = torch.empty(len(x), dtype=torch.float32, device=device)
    for place in _blocks(len(x), device):
        u = directions(finite_rows(x[place], device, place.start), centre)
        ((index[place], distance[place]),) = _nearest_in_block(u, shelf, sizes)
    return index, distance


def block_rows(device: torch.device) -> int:
    """Rows per block of a product on a device; no result depends on it."""
    return 2 * ROWS if device.type == "cpu" else 8 * ROWS


def block_columns(device: torch.device) -> int:
    """Exemplars per block of a product on a device; no result depends on it."""
    return COLUMNS if device.type == "cpu" else 4 * COLUMNS


def decided_rows(device: torch.device) -> int:
    """Rows per block of decisions in float64."""
    return DECIDED if device.type == "cpu" else 16 * DECIDED


def _blocks(n: int, device: torch.device) -> Iterator[slice]:
    """0 … n cut into blocks of a product."""
    step = block_rows(device)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


class Scored(NamedTuple):
    """What a product says of a block of rows (N, D) and one owner's rows.

    rows : as the product took them.
    column : (N,) int64 with the best score.
    floor : (N,) the score below which no row can be the nearest.
    rivals : (N,) bool, whether the second best reaches the floor.
    """

    rows: Operand
    column: Tensor
    floor: Tensor
    rivals: Tensor


def propose(u: Tensor, shelf: Shelf) -> list[Scored]:
    """Scores of one block of rows (N, D) for every owner: one product per block of columns.

    Running best and second best over the blocks.
    """
    rows = Operand.of(u, shelf.half)
    least = u.new_full((len(u),), -torch.inf)
    zero = torch.zeros(len(u), dtype=torch.int64, device=u.device)
    found = [(least, zero, least) for _ in shelf.n]
    with full_precision():
        for block, owners in shelf.blocks(block_columns(u.device)):
            groups = shelf.scores(rows, block)
            peaks = groups.amax(dim=2)
            for i in owners:
                best, column, second = found[i]
                top, where, runner_up = top_two(groups, shelf.owned(i, block, peaks))
                second = torch.maximum(torch.minimum(best, top), torch.maximum(second, runner_up))
                column = torch.where(top > best, where + block.start, column)
                found[i] = torch.maximum(best, top), column, second
    slack = 2 * band(rows, shelf.ready) if len(shelf.rows) else 0
    return [Scored(rows, column, best - slack, second >= best - slack)
            for best, column, second in found]  # fmt: skip


def nearest_known(
    u: Tensor, shelf: Shelf, i: int, scored: Scored, sizes: Sizes
) -> tuple[Tensor, Tensor]:
    """`nearest` of one block of rows (N, D) among an owner's; region 0 at inf where it has none.

    A row whose second best lies within two bands of its best is decided among all that do.
    """
    if not shelf.n[i]:
        distance = torch.full((len(u),), torch.inf, dtype=torch.float64, device=u.device)
        return torch.zeros(len(u), dtype=torch.int64, device=u.device), distance
    rival, valid = sizes.pick((i, "rivals"), scored.rivals)
    column, step = torch.cat([scored.column, rival.new_zeros(1)]), decided_rows(u.device)
    for some, ok in zip(rival.split(step), valid.split(step), strict=True):
        floor = torch.where(ok, scored.floor[some], torch.inf)
        found = _decide(u[some], scored.rows[some], floor, shelf, i, sizes)
        column[torch.where(ok, some, len(u))] = found  # the last is no row's
    column = column[:-1]
    return shelf.place[column], distance_to(u, shelf.rows, column)


def _decide(u: Tensor, rows: Operand, floor: Tensor, shelf: Shelf, i: int, sizes: Sizes) -> Tensor:
    """Column of the nearest of few rows (N, D) among those with a score of at least `floor`."""
    least = torch.full((len(u),), torch.inf, dtype=torch.float64, device=u.device)
    column = torch.zeros(len(u), dtype=torch.int64, device=u.device)
    for block, owners in shelf.blocks(block_columns(u.device)):
        if i in owners:
            with full_precision():
                candidate = shelf.scores(rows, block) >= floor[:, None, None]
            candidate = shelf.owned(i, block, candidate).flatten(1)
            where, distance = closest(u, shelf.rows[block], candidate, sizes, (i, "candidates"))
            column = torch.where(distance < least, where + block.start, column)
            least = torch.minimum(least, distance)
    return column


def closest(
    u: Tensor,
    v: Tensor,
    candidate: Tensor,
    sizes: Sizes | None = None,
    key: Hashable = "candidates",
) -> tuple[Tensor, Tensor]:
    """Nearest candidate of every row by `pair_distance`; ties go to the lowest index.

    Parameters
    ----------
    u, v : (N, D), (K, D) unit rows.
    candidate : (N, K or more) bool.
    sizes, key : how many candidates there are; asked for by default.

    Returns
    -------
    index : (N,) int64, meaningless for rows without a candidate.
    distance : (N,) float64, inf for rows without a candidate.
    """
    pair, valid = (sizes or Sizes()).pick(key, candidate.flatten())
    row, column = pair // candidate.shape[1], pair % candidate.shape[1]
    exact = pairs_distance(u, row, v, column).masked_fill_(~valid, torch.inf)
    distance = torch.full((len(u),), torch.inf, dtype=torch.float64, device=u.device)
    distance.scatter_reduce_(0, row, exact, "amin")
    column = torch.where(valid & (exact == distance[row]), column, len(v))
    index = torch.full((len(u),), len(v), dtype=torch.int64, device=u.device)
    return index.scatter_reduce_(0, row, column, "amin"), distance
