"""Controls: what a result must beat.

- `random_dictionary`: as many activations drawn at random from the same stream, used as exemplars.
  What it matches is due to having K directions of real activations, not to the partition.
- `kmeans_dictionary`: as many centroids of k-means, what a partition can be without a threshold.
- `itda_dictionary`: as many activations that those before them reconstruct worst, the nearest
  other way to a dictionary of observed activations.
- `equal_kinds`: all of them beside EP in several orders and EP refined, at equal K.
- `matched_regions`: for a region, the regions most like it in size and coherence, as null regions
  for an intervention.

Does not know: models, tokens, files.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from epkit import checks
from epkit.checks import Arrays, as_activations
from epkit.dictionary import Dictionary
from epkit.geometry import ROWS, directions
from epkit.partition import partition_at

EP, REFINED, KMEANS, ITDA, DRAWN = "EP", "EP refined", "k-means", "ITDA", "random exemplars"
"""What dictionaries of equal K are called in tables and figures."""


def random_dictionary(
    like: Dictionary, x: Arrays, *, seed: int = 0, recount: bool = True
) -> Dictionary:
    """A dictionary of `len(like)` random activations as exemplars, seen from the same centre.

    Parameters
    ----------
    like : gives K, centre and threshold (the threshold takes no part in the choice).
    x : (N, D) the stream that `like` was built on.
    seed : of the draw, without replacement.
    recount : take counts, means and coherence of the Voronoi cells over x; otherwise every region
        has one member, its exemplar.

    Raises
    ------
    ValueError : x has fewer than K activations.
    """
    checks.instance("like", like, Dictionary)
    seed, recount = checks.seed(seed), checks.flag("recount", recount)
    if not isinstance(x, Tensor | np.ndarray) or x.ndim != 2:
        raise TypeError(f"activations must be an (N, D) tensor or array, got {checks.shown(x)}")
    if len(x) < len(like):
        raise ValueError(
            f"{len(like)} random exemplars cannot be drawn from {len(x)} activations; "
            "give the stream the dictionary was built on"
        )
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(len(x), generator=generator)[: len(like)].sort().values
    chosen = as_activations(x[_rows_for(x, index)], len(like.centre), like.centre.device)
    exemplars = directions(chosen, like.centre)
    ones = torch.ones(len(like), device=like.centre.device)
    drawn = replace(
        like, exemplars=exemplars, means=exemplars.clone(), counts=ones.long(), coherence=ones,
        exemplar_index=index.to(like.centre.device), distance_mean=torch.zeros_like(ones),
        distance_std=torch.zeros_like(ones), members=None,
        metadata=like.metadata
        | {"control": "random exemplars", "control_seed": seed, "n_activations": len(x)},
    )  # fmt: skip
    if not recount:
        return drawn
    return drawn.recount(_blocks(x))


def kmeans_dictionary(like: Dictionary, x: Arrays, *, seed: int = 0, rounds: int = 6) -> Dictionary:
    """A dictionary of `len(like)` k-means centroids, seen from the same centre.

    scikit-learn's Lloyd algorithm on the unit directions of x, from random ones of them; the
    centroids are then made unit, and counts, means and coherence taken over x, each activation with
    the nearest by cosine. Of what it gives, `means` have had one spherical round more than
    `exemplars`. No row is an activation of the stream: `exemplar_index` says only where a centroid
    started.

    Parameters
    ----------
    like : gives K, centre and threshold (the threshold takes no part).
    x : (N, D) the stream that `like` was built on.
    seed : of the directions to start from.
    rounds : of Lloyd's at most; it computes on the CPU, with all directions in memory.

    Raises
    ------
    ValueError : x has fewer than K activations.
    """
    from sklearn.cluster import KMeans

    rounds = checks.whole("rounds", rounds, 1, 10_000)
    start = random_dictionary(like, x, seed=seed, recount=False)
    u = torch.cat([like.directions(rows).cpu() for rows in _blocks(x)]).numpy()
    first = start.exemplars.cpu().numpy()
    found = KMeans(len(like), init=first, n_init=1, max_iter=rounds, tol=0, copy_x=False)
    found.fit(u)
    centroids = torch.from_numpy(found.cluster_centers_).to(like.centre)
    centroids = torch.nn.functional.normalize(centroids, dim=1)
    about = start.metadata | {"control": "k-means", "rounds": rounds}
    return replace(start, exemplars=centroids, metadata=about).recount(_blocks(x))


def itda_dictionary(like: Dictionary, x: Arrays, *, steps: int = 4, quota: int = 8) -> Dictionary:
    """A dictionary of `len(like)` activations that the ones before reconstruct worst.

    After ITDA (arXiv 2505.17769), whose dictionary grows by the activations of a stream that a
    sparse code over those it has already reconstructs too badly. Here, for a K that is given:

    1. The stream, in its order, is cut into ceil(K / quota) blocks of equal size.
    2. The directions of a block are coded over the atoms so far by `steps` of matching pursuit: the
       atom of largest inner product with what is left is taken off, where that product is positive.
    3. The `quota` directions with most left over become atoms (ties, and the whole first block: the
       earliest).

    ITDA takes what is above a threshold of the error, which makes K an outcome; the quota is a
    threshold that each block sets for itself, so that K is met exactly.

    Parameters
    ----------
    like : gives K, centre and threshold (the threshold takes no part).
    x : (N, D) the stream that `like` was built on.
    steps : atoms that a direction is coded with.
    quota : atoms that a block gives.

    Raises
    ------
    ValueError : x has fewer than K activations.
    """
    steps, quota = checks.whole("steps", steps, 1), checks.whole("quota", quota, 1)
    drawn = random_dictionary(like, x, recount=False)  # checks x; its exemplars are all replaced
    k = len(like)
    edges = torch.linspace(0, len(x), math.ceil(k / quota) + 1, dtype=torch.float64).long().tolist()
    atoms, index = torch.empty_like(like.exemplars), []
    for low, high in pairwise(edges):
        left = like.directions(x[low:high])
        known, wanted = atoms[: len(index)], min(quota, k - len(index))
        for _ in range(steps if len(index) else 0):
            product, best = _matches(left, known)
            left = left - product[:, None] * known[best]
        error = left.square().sum(1) if len(index) else torch.ones(len(left))
        worst = error.sort(descending=True, stable=True).indices[:wanted].sort().values + low
        atoms[len(index) : len(index) + wanted] = like.directions(x[_rows_for(x, worst)])
        index += worst.tolist()
    about = drawn.metadata | {"control": "ITDA", "steps": steps, "quota": quota}
    about.pop("control_seed")
    place = torch.tensor(index, device=like.centre.device)
    return replace(drawn, exemplars=atoms, exemplar_index=place, metadata=about).recount(_blocks(x))


def _matches(left: Tensor, atoms: Tensor) -> tuple[Tensor, Tensor]:
    """Largest inner product of every row with an atom, at least 0, and which: (n,), (n,)."""
    found = [(rows @ atoms.T).max(dim=1) for rows in left.split(ROWS)]
    return torch.cat([f.values for f in found]).clamp(min=0), torch.cat([f.indices for f in found])


def _rows_for(x: Arrays, index: Tensor) -> Tensor | np.ndarray:
    """The index in the form that x is indexed with."""
    return index.to(x.device) if isinstance(x, Tensor) else index.cpu().numpy()


def _blocks(x: Arrays) -> Iterator[Arrays]:
    """x in blocks of rows."""
    return (x[start : start + (1 << 16)] for start in range(0, len(x), 1 << 16))


def equal_kinds(
    d: Dictionary,
    x: Tensor,
    *,
    n_orders: int,
    n_draws: int,
    rounds: int,
    seed: int = 0,
    recount: bool = True,
) -> dict[str, list[Dictionary]]:
    """{kind: runs} of one stream, of d's K but for EP in other orders, which has the K θ gives.

    Parameters
    ----------
    d : EP in the stream's own order. x : (N, D) that stream.
    n_orders : of EP, the stream's own among them. n_draws : of random exemplars.
    rounds : of refinement and of k-means.
    recount : give EP and random exemplars the statistics of their Voronoi cells over x, which the
        others have anyhow; without, only their exemplars are of use.
    """
    at = {"recount": recount, "device": d.centre.device}
    orders = [
        partition_at(x, d.threshold, d.centre, order=seed + i, **at) for i in range(1, n_orders)
    ]
    return {
        EP: [d.recount(_blocks(x)) if recount else d, *orders],
        REFINED: [d.refine(x.split(1 << 16), rounds)],
        KMEANS: [kmeans_dictionary(d, x, seed=seed, rounds=rounds)],
        ITDA: [itda_dictionary(d, x)],
        DRAWN: [random_dictionary(d, x, seed=seed + i, recount=recount) for i in range(n_draws)],
    }


def matched_regions(
    dictionary: Dictionary, region: int, n: int = 1, *, exclude: Sequence[int] = ()
) -> Tensor:
    """Null regions: the `n` regions nearest to `region` in (log10 members, coherence).

    Both coordinates are divided by their standard deviation over the dictionary. Never returned
    are `region`, regions of `exclude` and regions without members. Returns (n,) int64, the best
    match first; ties go to the lowest index.

    Raises
    ------
    ValueError : no such region, an empty region, or fewer than n others.
    """
    checks.instance("dictionary", dictionary, Dictionary)
    last = len(dictionary) - 1
    region, n = checks.whole("region", region, 0, last), checks.whole("n", n, 1)
    others = checks.several("exclude", exclude, empty=True)
    exclude = [checks.whole("exclude", other, 0, last) for other in others]
    counts = dictionary.counts
    if counts[region] == 0:
        raise ValueError(f"region {region} has no members, so nothing can match it")
    allowed = counts > 0
    allowed[[region, *exclude]] = False
    if int(allowed.sum()) < n:
        raise ValueError(
            f"only {int(allowed.sum())} regions can match region {region}, not n = {n}"
        )
    apart = torch.full((len(dictionary),), torch.inf, dtype=torch.float64, device=counts.device)
    some = counts > 0
    apart[some] = unlikeness(
        counts[some], dictionary.coherence[some], counts[region], dictionary.coherence[region]
    )
    apart[~allowed] = torch.inf
    return apart.sort(stable=True).indices[:n]


def unlikeness(members: Tensor, coherence: Tensor, own_members, own_coherence) -> Tensor:
    """How far regions are from one in (log10 members, coherence): (K,), (K,) → (K,) float64.

    Both coordinates are divided by their standard deviation over the K regions, which all have
    members.
    """
    points = torch.stack([members.double().log10(), coherence.double()], dim=1)
    own = [float(own_members), float(own_coherence)]
    own = torch.tensor(own, dtype=torch.float64, device=points.device)
    own[0] = own[0].log10()
    spread = points.std(dim=0, correction=0)
    return ((points - own) / torch.where(spread > 0, spread, 1.0)).norm(dim=1)
