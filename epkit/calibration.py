"""Calibration: the centre of a sample of activations and its distance thresholds.

The threshold at percentile p is the p-th percentile (linear interpolation between order
statistics) of the cosine distances of all pairs of the sample: one percentile over the whole
sample, never an average over batches. It is exact up to `max_rows` activations; beyond, it is taken
over all pairs of a seeded subset of that many rows and its standard error is stated.

Does not know: where activations come from, how regions are made.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from epkit.geometry import (
    Arrays,
    as_activations,
    batches_of,
    centre_of,
    default_device,
    directions,
    full_precision,
)

ZERO_THRESHOLD = 1e-5
"""Distances up to here are those of identical activations, as far as float32 can tell."""

_BLOCK = 2048
_BINS = 1 << 14


@dataclass(frozen=True)
class Calibration:
    """Where activations are seen from, and how near is near.

    Attributes
    ----------
    centre : (D,) float32, on the CPU.
    thresholds : {percentile: cosine distance}.
    n : activations in the sample.
    threshold_errors : {percentile: standard error} from using a subset of the rows; 0 when exact.
    """

    centre: Tensor
    thresholds: dict[float, float]
    n: int
    threshold_errors: dict[float, float] = field(default_factory=dict)


def calibrate(
    x: Arrays | Iterable[Arrays],
    percentiles: Sequence[float],
    *,
    centre: Arrays | None = None,
    max_rows: int = 20_000,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Calibration:
    """Centre and thresholds of a sample, all percentiles at once.

    Parameters
    ----------
    x : (N, D) tensor or array, or an iterable of them (held in memory together).
    percentiles : each in (0, 100).
    centre : (D,) to use instead of the sample's own, to compare models or domains in one frame.
    max_rows : above this many activations, thresholds come from a seeded subset of this size.
    seed : of that subset.
    device : where to compute; CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError : fewer than two activations; non-finite or zero ones; a percentile outside
        (0, 100); a threshold that is zero because too many activations are identical.
    """
    wanted = check_percentiles(percentiles)
    device = torch.device(device) if device is not None else default_device()
    parts = [as_activations(part, device=device) for part in batches_of(x)]
    parts = [part for part in parts if len(part)]
    if sum(map(len, parts)) < 2:
        raise ValueError("calibration needs at least two activations; the stream is (nearly) empty")
    if len({part.shape[1] for part in parts}) > 1:
        raise ValueError(f"batches differ in dimension: {sorted({p.shape[1] for p in parts})}")
    sample = torch.cat(parts)
    own = centre_of(sample)  # checks for zero activations even when a centre is given
    if centre is not None:
        own = as_activations(torch.as_tensor(centre)[None], sample.shape[1], device)[0]
    rows, groups = _rows(sample, max_rows, seed)
    u = directions(sample[rows] if rows is not None else sample, own)
    values = pair_percentiles(u, wanted)
    _refuse_zero(wanted, values)
    errors = [0.0] * len(wanted)
    if rows is not None:
        spread = torch.tensor([pair_percentiles(part, wanted) for part in u.chunk(groups)])
        errors = (spread.std(0) / math.sqrt(groups)).tolist()
    return Calibration(
        own.cpu(), dict(zip(wanted, values, strict=True)), len(sample),
        dict(zip(wanted, errors, strict=True)),
    )  # fmt: skip


def check_percentiles(percentiles: Sequence[float]) -> list[float]:
    """The percentiles as a list; ValueError for none, for repeats, and outside (0, 100)."""
    wanted = [p.item() if hasattr(p, "item") else p for p in percentiles]
    if not wanted:
        raise ValueError("no percentile given; percentiles=[1, 2, 4] is a usual choice")
    for p in wanted:
        if not isinstance(p, int | float) or isinstance(p, bool) or not 0 < p < 100:
            raise ValueError(f"percentile {p!r} is outside (0, 100)")
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"percentiles repeat: {wanted}")
    return wanted


def check_threshold(threshold: float) -> float:
    """A usable threshold as a float; ValueError for (nearly) zero and above 2."""
    threshold = float(threshold)
    if not ZERO_THRESHOLD < threshold <= 2:
        raise ValueError(
            f"threshold {threshold:g} is not a cosine distance in (0, 2]; a threshold of zero "
            "makes every activation its own region: drop repeated positions or raise the percentile"
        )
    return threshold


def _rows(sample: Tensor, max_rows: int, seed: int) -> tuple[Tensor | None, int]:
    """Rows of the seeded subset (None: all of them) and how many groups estimate its error."""
    if max_rows < 2:
        raise ValueError(f"max_rows must be at least 2, got {max_rows}")
    if len(sample) <= max_rows:
        return None, 1
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(sample), generator=generator)[:max_rows]
    return rows.to(sample.device), max(2, min(10, max_rows // 2))


def _refuse_zero(percentiles: list[float], values: list[float]) -> None:
    zero = [p for p, value in zip(percentiles, values, strict=True) if value <= ZERO_THRESHOLD]
    if zero:
        raise ValueError(
            f"the threshold at percentile {', '.join(f'{p:g}' for p in zero)} is zero: that share "
            "of the pairs are identical activations (a shared chat-template prefix, say). Drop the "
            "repeated positions or ask for a higher percentile; a zero threshold would make every "
            "activation its own region"
        )


def pair_percentiles(u: Tensor, percentiles: Sequence[float]) -> list[float]:
    """Exact percentiles of the cosine distances of all pairs i < j of unit rows.

    One pass over blocks of pairs makes a histogram, a second collects the values of the few bins
    that hold the order statistics: N (N - 1) / 2 distances are never in memory together.

    Parameters
    ----------
    u : (N, D) unit rows, N >= 2.

    Returns
    -------
    one float per percentile, as `numpy.percentile` (linear) gives on the whole list.
    """
    histogram = torch.zeros(_BINS, dtype=torch.float64, device=u.device)
    for block in _pair_blocks(u):
        histogram += torch.histc(block, bins=_BINS, min=0, max=2).double()
    cumulative = histogram.cumsum(0).cpu()
    pairs = len(u) * (len(u) - 1) // 2
    ranks = [(pairs - 1) * p / 100 for p in percentiles]
    low, high = zip(*(_bracket(cumulative, rank) for rank in ranks), strict=True)
    below = [0] * len(ranks)
    found: list[list[Tensor]] = [[] for _ in ranks]
    for block in _pair_blocks(u):
        block = block[block < max(high)]  # low percentiles are usual: most distances are above
        for i in range(len(ranks)):
            below[i] += int((block < low[i]).sum())
            found[i].append(block[(block >= low[i]) & (block < high[i])])
    return [
        _interpolate(torch.cat(found[i]), ranks[i] - below[i], pairs - below[i])
        for i in range(len(ranks))
    ]


def _bracket(cumulative: Tensor, rank: float) -> tuple[float, float]:
    """Distances that surely enclose the order statistics around a rank, from bin counts.

    One bin of slack on each side: `histc` may round a value on an edge either way.
    """
    lower = math.floor(rank)
    first = int(torch.searchsorted(cumulative, lower, right=True)) - 1
    last = int(torch.searchsorted(cumulative, lower + 1, right=True)) + 2
    return (first * 2 / _BINS if first > 0 else -1.0, last * 2 / _BINS if last < _BINS else 3.0)


def _interpolate(values: Tensor, rank: float, available: int) -> float:
    """Linear interpolation at a fractional 0-based rank of the sorted values."""
    values = values.sort().values.double()
    lower = math.floor(rank)
    upper = min(lower + 1, available - 1)
    a, b = values[lower].item(), values[upper].item()
    return a + (b - a) * (rank - lower)


def _pair_blocks(u: Tensor):
    """Distances of all pairs i < j, block by block: 1-D float32 tensors, the same on every pass."""
    with full_precision():
        for i in range(0, len(u), _BLOCK):
            rows = u[i : i + _BLOCK]
            own = (1 - rows @ rows.T).clamp_(0, 2)
            keep = torch.triu(torch.ones_like(own, dtype=torch.bool), diagonal=1)
            yield own[keep]
            for j in range(i + _BLOCK, len(u), _BLOCK):
                yield (1 - rows @ u[j : j + _BLOCK].T).clamp_(0, 2).flatten()
