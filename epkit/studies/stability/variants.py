"""Remedies against the accidents of stream order.

The leader rule keeps whatever activation came first as a region's exemplar, so another order of the
same stream gives another dictionary. What can be done about it, without giving up that a region is
found without training:

- `reanchor`: move every region's exemplar to its most central member. K stays.
- `merge`: join regions whose means lie within a threshold, calibrated on means
  (`threshold_of_means`). K falls.
- `dense_first`: read the stream by falling density, as a pilot sample sees it. K may change.
- `average`: match the dictionaries of two seeds and average each pair. K is that of the smaller.

All but `dense_first` end with a second pass over the stream, so that counts, means and coherence
are those of the new regions.

Does not know: models, tokens, how stability is measured (`recurrence`).
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from epkit.blocks.nearest import nearest
from epkit.calibration import check_threshold
from epkit.checks import Arrays
from epkit.dictionary import Dictionary, RegionSums
from epkit.geometry import ROWS, distances, full_precision, pair_distance


def reanchor(dictionary: Dictionary, x: Arrays) -> Dictionary:
    """Every region's exemplar moved to its most central member in x.

    The members are those of the Voronoi cells over x; the most central one has the least cosine
    distance to their spherical mean (ties: the first in x). The result is recounted over x.

    Parameters
    ----------
    dictionary : K regions.
    x : (N, D) activations, the stream the dictionary was built on.

    Returns
    -------
    a dictionary of K regions, in the order of their new exemplars' positions in x.

    Raises
    ------
    ValueError : a region has no member in x.
    """
    u = dictionary.directions(x)
    region, distance = nearest(u, dictionary.exemplars)
    counted = _counted(dictionary, u, region, distance)
    empty = (counted.counts == 0).nonzero()[:, 0]
    if len(empty):
        raise ValueError(
            f"{len(empty)} regions have no member in x, region {int(empty[0])} among them: give "
            "the stream the dictionary was built on"
        )
    off_centre = pair_distance(u, counted.means[region])
    # Sorted by distance, then stably by region: the first row of each region is its most central.
    order = off_centre.sort(stable=True).indices
    order = order[region[order].sort(stable=True).indices]
    first = counted.counts.cumsum(0) - counted.counts
    return _with_exemplars(dictionary, u, order[first].sort().values, remedy="re-anchored")


def threshold_of_means(dictionary: Dictionary, percentile: float) -> float:
    """The p-th percentile of the pairwise cosine distances between the means of the regions.

    What calibration does with activations, done with means. Of all pairs of different regions,
    each once; regions without members have no mean and are left out.

    Raises
    ------
    ValueError : fewer than two regions with members, or a percentile that gives no threshold.
    """
    means = dictionary.means[dictionary.counts > 0]
    if len(means) < 2:
        raise ValueError(f"{len(means)} regions with members have no pairwise distances")
    row, column = torch.triu_indices(len(means), len(means), 1, device=means.device)
    apart = distances(means, means)[row, column].double().cpu().numpy()
    return check_threshold(float(np.percentile(apart, percentile)))


def merge(dictionary: Dictionary, x: Arrays, threshold: float) -> Dictionary:
    """Regions joined whose means lie within a threshold of each other.

    The leader rule over the means, largest region first (ties: the lowest index): a region whose
    mean is within the threshold of a region that stays joins the nearest such, any other stays. So
    no chain of near means can swallow everything. What joins gives its members away; the exemplar
    is that of the region that stays, and the statistics are those of all members together.

    An activation between two regions may be nearest to the exemplar of another than the one its
    members were given to: `Dictionary.assign` goes by exemplars alone, as ever.

    Parameters
    ----------
    dictionary : K regions.
    x : (N, D) activations whose members make the means.
    threshold : cosine distance in (0, 2]. Not the dictionary's own, which is one between
        activations: means lie much closer together. `threshold_of_means` gives one between means.

    Returns
    -------
    a dictionary of at most K regions, in order of founding.

    Raises
    ------
    ValueError : a threshold that is none.
    """
    threshold = check_threshold(threshold)
    u = dictionary.directions(x)
    region, distance = nearest(u, dictionary.exemplars)
    counted = _counted(dictionary, u, region, distance)
    kept, into = _merged(counted, threshold)
    region = into[region]
    own = replace(
        dictionary, exemplars=dictionary.exemplars[kept],
        exemplar_index=dictionary.exemplar_index[kept],
        metadata=dictionary.metadata | {"remedy": "merged", "merge_threshold": threshold},
    )  # fmt: skip
    return _counted(own, u, region, pair_distance(u, own.exemplars[region]))


def _merged(counted: Dictionary, threshold: float) -> tuple[Tensor, Tensor]:
    """Indices of the regions that stay, ascending, and for all K which of them each goes to."""
    order = counted.counts.sort(descending=True, stable=True).indices
    apart = distances(counted.means, counted.means)
    stays = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    for k in order:
        stays[k] = not bool((apart[k][stays] <= threshold).any())
    kept = stays.nonzero()[:, 0]
    into = apart[:, kept].argmin(dim=1)
    into[kept] = torch.arange(len(kept), device=into.device)
    return kept, into


def dense_first(u: Tensor, threshold: float, *, n_pilot: int = 2000, seed: int = 0) -> Tensor:
    """An order of the stream in which the leader rule meets dense places first.

    The density at an activation is how many of a seeded pilot sample of the stream lie within the
    threshold. Densest first; ties stay in stream order.

    Parameters
    ----------
    u : (N, D) unit directions of the stream.
    threshold : cosine distance; the leader rule's own is natural.
    n_pilot : size of the pilot sample, drawn without replacement.
    seed : of the draw.

    Returns
    -------
    (N,) int64, stream positions in the new order.

    Raises
    ------
    ValueError : a threshold that is none, or a pilot that is not in 1 … N.
    """
    check_threshold(threshold)
    if not 1 <= n_pilot <= len(u):
        raise ValueError(f"n_pilot must lie in 1 … {len(u)}, the length of the stream: {n_pilot}")
    generator = torch.Generator().manual_seed(seed)
    pilot = u[torch.randperm(len(u), generator=generator)[:n_pilot].to(u.device)]
    with full_precision():
        density = torch.cat([(1 - rows @ pilot.T <= threshold).sum(1) for rows in u.split(ROWS)])
    return density.sort(descending=True, stable=True).indices


def average(a: Dictionary, b: Dictionary, pairs: Tensor, x: Arrays) -> Dictionary:
    """The dictionaries of two seeds averaged: one region per matched pair.

    Its exemplar is the normalised sum of the two exemplars, so it is *no observed activation* any
    more. Recounted over x.

    Parameters
    ----------
    a, b : dictionaries seen from the same centre.
    pairs : (M, 2) int64, regions of a and of b matched one to one (`matching.match`).
    x : (N, D) activations.

    Returns
    -------
    a dictionary of M regions, in the order of a's exemplars.

    Raises
    ------
    ValueError : different centres; a region matched twice; two exemplars opposite each other.
    """
    if not torch.equal(a.centre, b.centre):
        raise ValueError("the two dictionaries have different centres: build them from one")
    first, second = pairs.T
    if len(first.unique()) < len(first) or len(second.unique()) < len(second):
        raise ValueError("a region is matched twice: pairs must be one to one")
    order = first.argsort()
    total = a.exemplars[first[order]].double() + b.exemplars[second[order]].double()
    length = total.norm(dim=1, keepdim=True)
    if not (length > 1e-6).all():
        raise ValueError("two matched exemplars are opposite each other and have no average")
    averaged = replace(
        a, exemplars=(total / length).float(), exemplar_index=a.exemplar_index[first[order]],
        members=None, metadata=a.metadata | {"remedy": "average of two"},
    )  # fmt: skip
    u = a.directions(x)
    return _counted(averaged, u, *nearest(u, averaged.exemplars))


def _with_exemplars(dictionary: Dictionary, u: Tensor, index: Tensor, **metadata) -> Dictionary:
    """The dictionary with the rows `index` of u (N, D) as exemplars, recounted over u."""
    moved = replace(
        dictionary, exemplars=u[index].clone(), exemplar_index=index,
        metadata=dictionary.metadata | metadata,
    )  # fmt: skip
    return _counted(moved, u, *nearest(u, moved.exemplars))


def _counted(dictionary: Dictionary, u: Tensor, region: Tensor, distance: Tensor) -> Dictionary:
    """Statistics of the regions over directions u (N, D) that are members of `region` (N,)."""
    sums = RegionSums.empty(len(dictionary.exemplars), u.shape[1], u.device)
    sums.add(u, region, distance)
    return Dictionary.from_sums(
        dictionary.centre, dictionary.threshold, dictionary.exemplars, dictionary.exemplar_index,
        sums, dictionary.metadata | {"recounted": True},
    )  # fmt: skip
