"""Neighbourhoods: how the regions of a dictionary lie to one another, and among activations.

- Between: what share of points lies between two anchors, and what share would by chance. (Which
  regions of a dictionary lie between two of them, `matching.between` tells.)
- Paths: shortest ones on the graph that joins every region to its three nearest.
- Density: how many activations lie within a radius of a point, and made-up points to compare with.
- Regions within: which region an activation is a member of, if it is within θ of any exemplar.

All distances are cosine distances of directions seen from one centre. What near regions share is
measured in `memberships`.

Does not know: models, tokenizers, files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import csgraph
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from epkit.blocks.nearest import nearest
from epkit.blocks.products import gamma
from epkit.dictionary import Dictionary
from epkit.geometry import distances, pair_distance

BLOCK = 2048
"""Rows of a distance matrix that exist at once."""


# ---- between ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class BetweenShares:
    """For P pairs of anchors: how far apart they are, and what share of points lies between.

    Attributes
    ----------
    apart : (P,) float64, d(A, B).
    share : (P,) float64, of the points that are not an anchor.
    chance : (P,) float64, the share that would lie between if being nearer to A than B is, and
        being nearer to B than A is, had nothing to do with each other: the product of the shares
        of points for which each holds.
    """

    apart: np.ndarray
    share: np.ndarray
    chance: np.ndarray


def between_shares(a: Tensor, b: Tensor, points: Tensor) -> BetweenShares:
    """The share of points that lies between the two anchors of every pair.

    C lies between A and B when d(A, C) < d(A, B) and d(B, C) < d(A, B) (Rumbelow 2026).

    Parameters
    ----------
    a, b : (P, D) unit rows, the anchors; they need not be among the points.
    points : (K, D) unit rows. Those within rounding of an anchor are left out, and distances
        within rounding of d(A, B) count as not nearer.

    Raises
    ------
    ValueError : a and b differ in shape, or all points are anchors.
    """
    if a.shape != b.shape:
        raise ValueError(f"anchors come in pairs, got {len(a)} and {len(b)} of them")
    apart, margin = pair_distance(a, b), gamma(a.shape[1])
    parts = []
    for rows in torch.arange(len(a), device=a.device).split(BLOCK):
        to_a, to_b = distances(a[rows], points), distances(b[rows], points)
        other = (to_a > margin) & (to_b > margin)
        if not other.any(dim=1).all():
            raise ValueError("every point is an anchor, so none can lie between; give more points")
        limit = apart[rows, None] - margin
        near_a, near_b = other & (to_a < limit), other & (to_b < limit)
        of_a, of_b, both = (
            x.sum(1).double() / other.sum(1) for x in (near_a, near_b, near_a & near_b)
        )
        parts.append(torch.stack([both, of_a * of_b]))
    share, chance = torch.cat(parts, dim=1).cpu().numpy()
    return BetweenShares(apart.cpu().numpy(), share, chance)


def pairs_at_distance(points: Tensor, distance: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Random pairs of points that are as near to given distances apart as a partner can be found.

    Parameters
    ----------
    points : (K, D) unit rows.
    distance : (P,) wanted distances.
    seed : of the first points, drawn with replacement; the partner is then the point whose distance
        comes nearest to the one wanted.

    Returns
    -------
    (P, 2) int64.

    Raises
    ------
    ValueError : fewer than two points.
    """
    if len(points) < 2:
        raise ValueError(f"a pair needs two points, got {len(points)}")
    first = torch.as_tensor(np.random.default_rng(seed).integers(len(points), size=len(distance)))
    wanted = torch.as_tensor(distance, dtype=torch.float32, device=points.device)
    second = []
    for rows in torch.arange(len(first)).split(BLOCK):
        own = first[rows].to(points.device)
        off = (distances(points[own], points) - wanted[rows.to(points.device), None]).abs()
        off[torch.arange(len(own), device=own.device), own] = torch.inf
        second.append(off.argmin(dim=1).cpu())
    return torch.stack([first, torch.cat(second)], dim=1).numpy()


# ---- nearest regions and paths ------------------------------------------------------------------


def nearest_regions(points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest other points of every point, nearest first.

    Parameters
    ----------
    points : (K, D) unit rows.

    Returns
    -------
    index : (K, k) int64, on the CPU.
    distance : (K, k) float32, on the CPU.

    Raises
    ------
    ValueError : k is not in 1 … K - 1.
    """
    distance, index = _neighbours(points, k).kneighbors()
    return torch.from_numpy(index), torch.from_numpy(distance).float()


def neighbour_graph(points: Tensor, k: int = 3) -> sparse.csr_array:
    """The symmetrised k-nearest-neighbour graph: an edge where either is a near one of the other.

    (K, D) unit rows -> (K, K) symmetric sparse weights. An edge weighs the cosine distance. That is
    half the squared chord, so a path of many short steps is cheaper than one long step.

    Raises
    ------
    ValueError : k is not in 1 … K - 1.
    """
    graph = _neighbours(points, k).kneighbors_graph(mode="distance")
    # Equal points are 0 apart; a stored zero would read as "no edge" in places.
    graph.data = graph.data.clip(min=1e-12)
    return sparse.csr_array(graph.maximum(graph.T))


def shortest_path(graph: sparse.csr_array, a: int, b: int) -> list[int]:
    """Regions on the cheapest path from a to b, both included (Dijkstra).

    Raises
    ------
    ValueError : no such region, or there is no path.
    """
    for region in (a, b):
        _check_region(region, graph.shape[0])
    _, before = csgraph.dijkstra(graph, directed=False, indices=a, return_predecessors=True)
    path = [b]
    while path[-1] != a:
        if before[path[-1]] < 0:
            raise ValueError(
                f"regions {a} and {b} lie in parts of the graph that are not connected; "
                "use more neighbours"
            )
        path.append(int(before[path[-1]]))
    return path[::-1]


# ---- density and membership ---------------------------------------------------------------------


def neighbour_counts(points: Tensor, u: Tensor, radius: float) -> Tensor:
    """How many directions lie within a radius of each point: (K, D), (N, D) -> (K,) int64, CPU."""
    counts = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    for rows in u.split(BLOCK):
        counts += (distances(rows, points) <= radius).sum(0)
    return counts.cpu()


def least_distances(points: Tensor, u: Tensor) -> Tensor:
    """How far the nearest direction is from each point: (K, D), (N, D) -> (K,) float32, CPU."""
    least = torch.full((len(points),), torch.inf, device=points.device)
    for rows in u.split(BLOCK):
        least = torch.minimum(least, distances(rows, points).amin(0))
    return least.cpu()


def regions_within(dictionary: Dictionary, u: Tensor) -> Tensor:
    """The region of every direction, or -1 where its exemplar is farther than θ.

    Every activation has a nearest exemplar, however far; only those within θ are members as the
    leader rule means it. u: (N, D) unit rows seen from the dictionary's centre -> (N,) int64, CPU.
    """
    region, distance = nearest(u, dictionary.exemplars)
    return torch.where(distance <= dictionary.threshold, region, -1).cpu()


def directions_like(u: Tensor, n: int, *, seed: int = 0) -> Tensor:
    """Made-up directions: normal draws with the mean and covariance of u, normalised.

    They lie where directions lie in bulk, but none is something that the model did.
    (N, D) -> (n, D) float32, on u's device.
    """
    return _drawn(*_moments(u), n, seed).to(u.device)


def made_up_like(
    levels: Mapping[float, Dictionary], u: Tensor, *, seed: int = 0
) -> dict[float, Dictionary]:
    """Dictionaries with as many exemplars as those given, all of them `directions_like` u (N, D).

    Per key a dictionary of which only the exemplars, the centre and the threshold mean anything.
    """
    moments = _moments(u)
    drawn = {key: _drawn(*moments, len(d), seed).to(u.device) for key, d in levels.items()}
    return {key: replace(d, exemplars=drawn[key], members=None) for key, d in levels.items()}


def _moments(u: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the rows of u, for numpy's draws."""
    x = u.double().cpu().numpy()
    return x.mean(axis=0), np.cov(x.T, bias=True)


def _drawn(mean: np.ndarray, covariance: np.ndarray, n: int, seed: int) -> Tensor:
    normal = np.random.default_rng(seed).multivariate_normal
    drawn = torch.from_numpy(normal(mean, covariance, n, method="eigh"))
    return torch.nn.functional.normalize(drawn, dim=1).float()


def _neighbours(points: Tensor, k: int) -> NearestNeighbors:
    if not 1 <= k < len(points):
        raise ValueError(f"of {len(points)} regions each has {len(points) - 1} others, not {k}")
    near = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute")
    return near.fit(points.double().cpu().numpy())


def _check_region(region: int, k: int) -> None:
    if not 0 <= region < k:
        raise ValueError(f"region {region} is outside 0 … {k - 1}")
