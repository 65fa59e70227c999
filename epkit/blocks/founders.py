"""Which rows of a block found regions, and which rows join those of their own block.

1. `first_independent_set`, `independent_set`: the lexicographically first maximal independent set
   of the graph that joins rows within the threshold, in rounds over the whole graph (a row whose
   earlier neighbours are all decided is decided), not in a loop over rows.
2. `join_founders`: every row also sees the founders of its own block that came before it, and joins
   one if it is nearer than what the row was near before.

Products propose, `geometry.pair_distance` decides.

Does not know: streams, regions known before the block, sums.
"""

from collections.abc import Hashable

import torch
from torch import Tensor

from epkit.blocks.nearest import closest, decided_rows
from epkit.blocks.products import full_precision, gamma
from epkit.blocks.sizes import Sizes
from epkit.geometry import ROWS, pairs_distance


def first_independent_set(u: Tensor, threshold: float) -> Tensor:
    """Founders among rows that no known exemplar is near: (M, D) -> (F,) row indices, ascending.

    The lexicographically first maximal independent set of the graph that joins rows within the
    threshold, which is what the one-at-a-time rule makes of them.
    """
    valid = torch.ones(len(u), dtype=torch.bool, device=u.device)
    return independent_set(u, threshold, valid, Sizes(), 0).nonzero()[:, 0]


def independent_set(
    u: Tensor, threshold: float, valid: Tensor, sizes: Sizes, key: Hashable
) -> Tensor:
    """`first_independent_set` of the valid rows of (M, D) as a mask: (M,) bool."""
    if not len(u):
        return valid
    earlier = _within(u, threshold, valid, sizes, (key, "close")).float()
    founder, undecided = u.new_zeros(len(u)), valid.float()
    with full_precision():
        for _ in sizes.rounds((key, "rounds"), undecided):
            joins = undecided * (earlier @ founder > 0)
            undecided -= joins
            founds = undecided * (earlier @ undecided == 0)
            founder += founds
            undecided -= founds
    return founder > 0


def _within(u: Tensor, threshold: float, valid: Tensor, sizes: Sizes, key: Hashable) -> Tensor:
    """(M, D) -> (M, M) bool: earlier rows within the threshold; close calls decided in float64."""
    slack = gamma(u.shape[1])
    within = torch.zeros(len(u), len(u), dtype=torch.bool, device=u.device)
    for start in range(0, len(u), ROWS):
        rows = slice(start, start + ROWS)
        with full_precision():
            beyond = (1 - threshold) - u[rows] @ u[: start + ROWS].T
        inside = (beyond <= 0).tril_(start - 1)
        close = (beyond.abs_() <= slack).tril_(start - 1)
        close &= valid[rows, None]
        pair, sound = sizes.pick(key, close.flatten())
        if len(pair):
            row, column = pair // close.shape[1] + start, pair % close.shape[1]
            exact = pairs_distance(u, row, u, column) <= threshold
            inside = torch.cat([inside.flatten(), inside.new_zeros(1)])  # the last: no pair's
            inside[torch.where(sound, pair, len(inside) - 1)] = exact
            inside = inside[:-1].view_as(close)
        within[rows, : start + ROWS] = inside
    return within


def join_founders(
    u: Tensor,
    founder: Tensor,
    known: int,
    region: Tensor,
    distance: Tensor,
    valid: Tensor | None = None,
    sizes: Sizes | None = None,
    key: Hashable = 0,
) -> tuple[Tensor, Tensor]:
    """Regions and distances once rows may join an earlier, nearer founder of their own block.

    Parameters
    ----------
    u : (N, D) unit rows.
    founder : (F,) which of them found, ascending.
    known : number of the first founder's region.
    region, distance : (N,) int64 and (N,) float64, of the nearest earlier exemplar; overwritten.
    valid : (F,) bool, which of `founder` are; by default all.
    sizes, key : how many rows are looked at exactly; asked for by default.
    """
    if not len(founder):
        return region, distance
    sizes = sizes or Sizes()
    valid = torch.ones_like(founder, dtype=torch.bool) if valid is None else valid
    slack = gamma(u.shape[1])
    row = torch.arange(len(u), device=u.device)
    with full_precision():
        similarity = u @ u[founder].T
    hidden = (founder[None, :] >= row[:, None]) | ~valid
    similarity.masked_fill_(hidden, -torch.inf)
    top = similarity.amax(dim=1)
    # Only rows whose best founder may be nearer than their known exemplar are looked at exactly.
    rows, sound = sizes.pick((key, "joining"), 1 - top < distance + slack)
    step = decided_rows(u.device)
    for some, ok in zip(rows.split(step), sound.split(step), strict=True):
        candidate = (similarity[some] >= (top[some] - 2 * slack)[:, None]) & ok[:, None]
        which, exact = closest(u[some], u[founder], candidate, sizes, (key, "founders near"))
        nearer = ok & (exact < distance[some])
        region[some] = torch.where(nearer, which + known, region[some])
        distance[some] = torch.where(nearer, exact, distance[some])
    founds = torch.zeros_like(row).index_add_(0, founder, valid.long())
    region = torch.where(founds > 0, known - 1 + founds.cumsum(0), region)
    return region, torch.where(founds > 0, 0.0, distance)
