"""The leader rule under Euclidean distance: for comparing distances, not for dictionaries.

The same rule as `clustering` (in stream order: join the nearest exemplar if it is within the
threshold, else become one), on activations as they are, without centre and without normalising.
Divided by its own norm every activation is a unit row, for which |u − v|² = 2 (1 − u·v): the rule
is then that of the uncentred cosine.

Arithmetic is float64 throughout, |a|² + |b|² − 2 a·b: distances are right to about 1e-7 of the
largest norm, and a tie closer than that may fall either way.

Does not know: centres, regions' names, models, tokens.
"""

import torch
from torch import Tensor

from epkit.geometry import Arrays, as_activations

ROWS = 1024


def euclidean_leaders(x: Arrays, threshold: float) -> Tensor:
    """Positions in the stream of the exemplars that the leader rule founds: (N, D) → (K,) int64.

    Raises ValueError for an empty stream, unusable activations or a threshold that is not positive.
    """
    x = as_activations(x).double()
    if not len(x):
        raise ValueError("the stream has no activations")
    if not threshold > 0:
        raise ValueError(f"a Euclidean threshold must be positive, not {threshold}")
    founders = torch.zeros(0, dtype=torch.int64, device=x.device)
    for start in range(0, len(x), ROWS):
        rows = x[start : start + ROWS]
        outside = torch.ones(len(rows), dtype=torch.bool, device=x.device)
        if len(founders):
            outside = squared_distances(rows, x[founders]).amin(1) > threshold**2
        new = _founders(rows, outside.nonzero()[:, 0], threshold)
        founders = torch.cat([founders, start + new])
    return founders


def _founders(rows: Tensor, outside: Tensor, threshold: float) -> Tensor:
    """Which of the rows `outside` (no known exemplar within the threshold) found, ascending."""
    found = []
    while len(outside):
        found.append(outside[0])
        far = squared_distances(rows[outside], rows[outside[:1]])[:, 0] > threshold**2
        far[0] = False
        outside = outside[far]
    return torch.stack(found) if found else outside


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(N, D), (K, D) float64 → (N, K), never negative."""
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_(min=0)


def euclidean_assign(x: Arrays, exemplars: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest exemplar (ties: lowest index) and distance: (N, D), (K, D) → (N,) int64, (N,)."""
    x, exemplars = as_activations(x).double(), exemplars.double()
    parts = [squared_distances(rows, exemplars).min(dim=1) for rows in x.split(ROWS)]
    return torch.cat([p.indices for p in parts]), torch.cat([p.values for p in parts]).sqrt()


def member_means(x: Arrays, region: Tensor, k: int) -> Tensor:
    """Mean of the members of every region: (N, D), (N,) → (k, D) float64; zero where none."""
    x = as_activations(x).double()
    total = torch.zeros(k, x.shape[1], dtype=torch.float64, device=x.device)
    total.index_add_(0, region, x)
    return total / torch.bincount(region, minlength=k).clamp(min=1)[:, None]
