"""Controls: what a result must beat.

- `random_dictionary`: as many activations drawn at random from the same stream, used as exemplars.
  What it matches is due to having K directions of real activations, not to the partition.
- `matched_regions`: for a region, the regions most like it in size and coherence, as null regions
  for an intervention.

Does not know: models, tokens, files.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from epkit import checks
from epkit.checks import Arrays, as_activations
from epkit.dictionary import Dictionary
from epkit.geometry import directions


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
    rows = index.to(x.device) if isinstance(x, Tensor) else index.numpy()
    chosen = as_activations(x[rows], len(like.centre), like.centre.device)
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
    return drawn.recount(x[start : start + (1 << 16)] for start in range(0, len(x), 1 << 16))


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
