"""Partition: activations at hand -> {percentile: Dictionary}, in one call.

1. Calibrate: the centre and every threshold, from the activations themselves or as given.
2. Cluster: one leader clustering per percentile, all over the same stream, which is the rows as
   they stand or in an order that is given. One product proposes for all percentiles.
3. Recount: counts, means and coherence of the true Voronoi cells over the same activations.

Does not know: models, tokens, files; `build` does this for a model and its texts.
"""

import math
import numbers
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from epkit import checks
from epkit.calibration import Calibration, calibrate, check_percentiles
from epkit.checks import Arrays, as_activations, compute_device, rows_of
from epkit.clustering import LeaderClustering, fit_together
from epkit.dictionary import Dictionary
from epkit.geometry import directions

Order = int | Tensor | np.ndarray | Sequence[int] | None

_BLOCK = 1 << 16
_STRIDE = 8  # of percentiles: K is not computed far beyond the one wanted
_EXPECTED = "order must be None, an int (a seed) or a permutation of the rows"


def partition(
    x: Arrays,
    percentiles: Sequence[float],
    *,
    centre: Arrays | None = None,
    order: Order = None,
    recount: bool = True,
    seed: int = 0,
    device: str | torch.device | None = None,
    calibration: Calibration | None = None,
) -> dict[float, Dictionary]:
    """Dictionaries of activations of your own, one per percentile, on the same stream.

    Parameters
    ----------
    x : (N, D) tensor or array of any floating dtype, on any device; moved to `device` in blocks.
    percentiles : each in (0, 100).
    centre : (D,) to see activations from; by default the calibrated one.
    order : in which the rows are streamed: None as they stand, a permutation (N,) of the rows, or
        an int, the seed of one (`stream_order`).
    recount : give the true Voronoi statistics over x; otherwise those of joining in stream order.
    seed : of the sample that calibrates, where x has more rows than `calibrate` compares.
    device : where to compute, and where the dictionaries are; CUDA where there is one, else the
        CPU.
    calibration : a centre and thresholds at hand to use instead of calibrating on x.

    Returns
    -------
    {percentile: Dictionary}. `exemplar_index` counts positions in the stream that was clustered:
    exemplar k is row `stream_order(N, order)[d.exemplar_index[k]]` of x. `metadata["order"]` is
    None, the seed, or "given".

    Raises
    ------
    ValueError : an `order` that is no permutation; a percentile that `calibration` has not; both
        `centre` and `calibration`; and what `calibrate` and `LeaderClustering` raise.
    TypeError : an argument of the wrong type.
    """
    percentiles, device = check_percentiles(percentiles), compute_device(device)
    x = rows_of(x)  # type and shape; values are checked block by block
    recount = checks.flag("recount", recount)
    if not len(x):
        raise ValueError("there is nothing to partition: x has no rows")
    rows = stream_order(len(x), order)
    if calibration is None:
        seed = checks.seed(seed)
        calibration = calibrate(x, percentiles, centre=centre, seed=seed, device=device)
    else:
        _check_calibration(calibration, percentiles, centre)
    thresholds = [calibration.thresholds[p] for p in percentiles]
    several = LeaderClustering.several(calibration.centre, thresholds, device)
    _cluster(several, (x[some] for some in rows.split(_BLOCK)))
    parts = zip(percentiles, several, strict=True)
    made = {p: part.dictionary(percentile=p, order=_told(order)) for p, part in parts}
    return {p: d.recount(x.split(_BLOCK)) for p, d in made.items()} if recount else made


def partition_at(
    x: Tensor,
    threshold: float,
    centre: Tensor,
    *,
    order: Order = None,
    recount: bool = True,
    device: str | torch.device | None = None,
) -> Dictionary:
    """The dictionary of activations of your own at a threshold and a centre that are at hand.

    Those of another dictionary, say, to stream in another order.

    x : (N, D). order, recount : as in `partition`, which says what is raised. device : where to
        compute, and where the dictionary is; by default where x is.
    """
    rows = stream_order(len(x), order)
    rule = LeaderClustering(centre, threshold, x.device if device is None else device)
    _cluster([rule], (x[some.to(x.device)] for some in rows.split(_BLOCK)))
    made = rule.dictionary(order=_told(order))
    return made.recount(x.split(_BLOCK)) if recount else made


class NearestK(NamedTuple):
    """What `percentile_for` found.

    percentile : whose K is nearest to the one wanted, and the higher of two that are as near.
    dictionary : at that percentile.
    tried : (percentile, θ, K) of every attempt, in order.
    """

    percentile: float
    dictionary: Dictionary
    tried: list[tuple[float, float, int]]


def percentile_for(
    x: Arrays,
    k: int,
    *,
    low: float = 0.05,
    high: float = 50,
    steps: int = 12,
    recount: bool = True,
    **options: object,
) -> NearestK:
    """The percentile at which `partition` gives the number of regions nearest to k.

    From `high` down in strides until there are more than k regions or `low` is reached, then by
    halving the bracket in log percentile, to four digits. K falls with the percentile by and large
    but not at every step, so that another percentile may be nearer still: what is given back is the
    nearest of all that were tried. It costs at most `steps` times one calibration and one
    clustering; no attempt has much more than k regions but the one that ends the strides.

    Parameters
    ----------
    x : (N, D), as in `partition`.
    k : regions wanted; where there are fewer at `low` or more at `high`, that end is the nearest.
    low, high : percentiles to search between.
    steps : attempts at most.
    recount : as in `partition`, of the dictionary that is given back.
    **options : `centre`, `order`, `seed` and `device` of `partition`.

    Raises
    ------
    ValueError, TypeError : a k or steps below 1, low ≥ high, and what `partition` raises.
    """
    k, steps = checks.whole("k", k, 1), checks.whole("steps", steps, 1)
    high = checks.number("high", high, 0, 100, open_low=True, open_high=True)
    low = checks.number("low", low, 0, high, open_low=True, open_high=True)
    if wrong := options.keys() - {"centre", "order", "seed", "device"}:
        raise TypeError(f"percentile_for has no option {', '.join(sorted(wrong))}")
    tried, gap, few, many, p = [], (math.inf,), None, None, high
    while len(tried) < steps and p not in [at for at, *_ in tried]:
        d = partition(x, [p], recount=False, **options)[p]
        tried.append((p, d.threshold, len(d)))
        if (abs(len(d) - k), -p) < gap:
            gap, best, percentile = (abs(len(d) - k), -p), d, p
        few, many = (few, p) if len(d) > k else (p, many)
        if few is None or len(d) == k:
            break
        p = max(low, p / _STRIDE) if many is None else math.sqrt(few * many)
        p = p if p == low else min(max(float(f"{p:.4g}"), low), high)
    if recount:
        best = best.recount(torch.as_tensor(x).split(_BLOCK))
    return NearestK(percentile, best, tried)


def stream_order(n: int, order: Order) -> Tensor:
    """Rows of n activations in the order they are streamed: (n,) int64, on the CPU.

    order : None for 0 … n − 1, an int for the permutation of that seed, or a permutation itself.
    Raises ValueError for one that does not hold every row once, TypeError for anything else.
    """
    if order is None:
        return torch.arange(n)
    if isinstance(order, numbers.Integral):
        generator = torch.Generator().manual_seed(checks.seed(order, "order"))
        return torch.randperm(n, generator=generator)
    try:
        rows = torch.as_tensor(order).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{_EXPECTED}, got {type(order).__name__}") from error
    if rows.dtype == torch.bool or rows.is_floating_point() or rows.is_complex():
        raise TypeError(f"{_EXPECTED}, got {rows.dtype} values")
    rows = rows.long()
    if rows.shape != (n,) or not torch.equal(rows.sort().values, torch.arange(n)):
        raise ValueError(
            f"order must hold every row from 0 to {n - 1:,} once, and does not (its shape is "
            f"{tuple(rows.shape)}); give a permutation of the rows, or an int as the seed of one"
        )
    return rows


def _told(order: Order) -> int | str | None:
    """An order as metadata."""
    seed = isinstance(order, numbers.Integral)
    return int(order) if seed else None if order is None else "given"


def _check_calibration(
    calibration: Calibration, percentiles: list[float], centre: Arrays | None
) -> None:
    if not isinstance(calibration, Calibration):
        raise TypeError(f"calibration must be a Calibration, got {type(calibration).__name__}")
    if centre is not None:
        raise ValueError("give centre or calibration, not both: a calibration has its own centre")
    if missing := [p for p in percentiles if p not in calibration.thresholds]:
        raise ValueError(
            f"the calibration has no threshold at percentile {', '.join(f'{p:g}' for p in missing)}"
            f"; it has {', '.join(f'{p:g}' for p in calibration.thresholds)}"
        )


def _cluster(parts: list[LeaderClustering], batches: Iterator[Tensor]) -> None:
    """Take a stream into clusterings that share a centre."""
    centre = parts[0].centre
    for batch in batches:
        fit_together(parts, directions(as_activations(batch, len(centre), centre.device), centre))
