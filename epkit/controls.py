"""Controls and intervals: what a result must beat, and how sure it is.

- `random_dictionary`: as many activations drawn at random from the same stream, used as exemplars.
  What it matches is due to having K directions of real activations, not to the partition.
- `matched_regions`: for a region, the regions most like it in size and coherence, as null regions
  for an intervention.
- `bootstrap_mean`, `bootstrap_difference`: percentile intervals over independent units (concepts,
  prompts, seeds), the second paired.

Does not know: models, tokens, files.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.geometry import Arrays, as_activations, directions


class Interval(NamedTuple):
    """A value and the limits of its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


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
    if len(x) < len(like):
        raise ValueError(
            f"{len(like)} random exemplars cannot be drawn from {len(x)} activations; "
            "give the stream the dictionary was built on"
        )
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(len(x), generator=generator)[: len(like)].sort().values
    chosen = as_activations(torch.as_tensor(x)[index], len(like.centre), like.centre.device)
    exemplars = directions(chosen, like.centre)
    ones = torch.ones(len(like), device=like.centre.device)
    drawn = replace(
        like, exemplars=exemplars, means=exemplars.clone(), counts=ones.long(), coherence=ones,
        exemplar_index=index.to(like.centre.device), distance_mean=torch.zeros_like(ones),
        distance_std=torch.zeros_like(ones), members=None,
        metadata=like.metadata | {"control": "random exemplars", "control_seed": seed},
    )  # fmt: skip
    if not recount:
        return drawn
    return drawn.recount(torch.as_tensor(x).split(1 << 16))


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
    if not 0 <= region < len(dictionary):
        raise ValueError(f"region {region} is outside 0 … {len(dictionary) - 1}")
    counts = dictionary.counts
    if counts[region] == 0:
        raise ValueError(f"region {region} has no members, so nothing can match it")
    allowed = counts > 0
    allowed[[region, *exclude]] = False
    if int(allowed.sum()) < n:
        raise ValueError(f"only {int(allowed.sum())} regions can match region {region}, not {n}")
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
    own = torch.tensor([own_members, own_coherence], dtype=torch.float64, device=points.device)
    own[0] = own[0].log10()
    spread = points.std(dim=0, correction=0)
    return ((points - own) / torch.where(spread > 0, spread, 1.0)).norm(dim=1)


def bootstrap_mean(
    values: Arrays | Sequence[float], *, level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> Interval:
    """Mean of (n,) independent values, with the percentile bootstrap interval.

    Resamples the values with replacement (Efron 1979). With one value the interval is the value.

    Raises
    ------
    ValueError : no values, not one-dimensional, not finite, or a level outside (0, 1).
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError("the bootstrap needs a list of at least one finite value")
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval lies in (0, 1), not {level}")
    rng = np.random.default_rng(seed)
    means = np.concatenate([
        values[rng.integers(len(values), size=(part, len(values)))].mean(axis=1)
        for part in np.diff(np.append(np.arange(0, draws, 500), draws))
    ])  # fmt: skip
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def bootstrap_difference(
    a: Arrays | Sequence[float], b: Arrays | Sequence[float], **options
) -> Interval:
    """Mean of a − b over units measured both ways (paired), as `bootstrap_mean` gives it.

    Raises
    ------
    ValueError : a and b differ in length.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"a paired difference needs equal lengths, got {a.shape} and {b.shape}")
    return bootstrap_mean(a - b, **options)
