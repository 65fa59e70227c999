"""Partition: activations at hand -> {percentile: Dictionary}, in one call.

1. Calibrate: the centre and every threshold, from the activations themselves or as given.
2. Cluster: one leader clustering per percentile, all over the same stream, which is the rows as
   they stand or in an order that is given. Directions are computed once for all percentiles.
3. Recount: counts, means and coherence of the true Voronoi cells over the same activations.

Does not know: models, tokens, files; `build` does this for a model and its texts.
"""

import numbers
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from epkit import checks
from epkit.calibration import Calibration, calibrate, check_percentiles
from epkit.clustering import LeaderClustering
from epkit.dictionary import Dictionary
from epkit.geometry import Arrays, as_activations, compute_device, directions, rows_of

Order = int | Tensor | np.ndarray | Sequence[int] | None

_BLOCK = 1 << 16
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
    parts = {
        p: LeaderClustering(calibration.centre, calibration.thresholds[p], device)
        for p in percentiles
    }
    _cluster(list(parts.values()), (x[some] for some in rows.split(_BLOCK)))
    if order is not None:
        order = int(order) if isinstance(order, numbers.Integral) else "given"
    made = {p: part.dictionary(percentile=p, order=order) for p, part in parts.items()}
    return {p: d.recount(x.split(_BLOCK)) for p, d in made.items()} if recount else made


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
        u = directions(as_activations(batch, len(centre), centre.device), centre)
        for part in parts:
            part.fit_directions(u)
