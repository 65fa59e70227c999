"""The nearest exemplar of every row: a product proposes, `geometry.pair_distance` decides.

Rows are taken block by block. One product per block of columns scores them against the exemplars of
all owners of a `Shelf`; whatever its proven error (`products.band`) cannot separate is decided in
float64, a few rows at a time.

Does not know: thresholds, what founds a region, sums.
"""

from collections.abc import Hashable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from epkit.blocks.products import Operand, band, full_precision, is_half, top_two
from epkit.blocks.shelf import Shelf
from epkit.blocks.sizes import Sizes
from epkit.checks import Arrays, finite_rows, rows_of
from epkit.geometry import directions, distance_to, pairs_distance

ROWS = 2048
"""Rows per block of a product on the CPU."""

DECIDED = 64
"""Rows per block of decisions in float64: bounds memory where thousands of exemplars tie."""

COLUMNS = 2048
"""Exemplars per block of a product on the CPU: rows x exemplars never exists at full size."""


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
    return ROWS if device.type == "cpu" else 4 * ROWS


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
