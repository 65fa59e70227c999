"""Calibration: the centre of a sample of activations and its distance thresholds.

The threshold at percentile p is the p-th percentile (linear interpolation between order
statistics) of the cosine distances of all pairs of the sample: one percentile over the whole
sample, never an average over batches. It is exact up to `max_rows` activations; beyond, it is taken
over all pairs of a seeded subset of that many rows and its standard error is stated.

Does not know: where activations come from, how regions are made.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from epkit import checks
from epkit.blocks.products import full_precision
from epkit.checks import Arrays, as_activations, as_centre, batches_of, compute_device
from epkit.geometry import centre_of, directions, distances

ZERO_THRESHOLD = 1e-5
"""Distances up to here are those of identical activations, as far as float32 can tell."""

_BLOCK = 2048

_DIGIT = 15
"""Bits per digit: a float32 in [0, 2] has 31 bits, that is two digits and the leading one."""


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
    max_rows, seed = checks.whole("max_rows", max_rows, 4), checks.seed(seed)
    device = compute_device(device)
    if centre is not None:
        centre = as_centre(centre, device=device)
    parts = [as_activations(part, device=device) for part in batches_of(x)]
    parts = [part for part in parts if len(part)]
    if sum(map(len, parts)) < 2:
        raise ValueError("calibration needs at least two activations; the stream is (nearly) empty")
    if len({part.shape[1] for part in parts}) > 1:
        raise ValueError(f"batches differ in dimension: {sorted({p.shape[1] for p in parts})}")
    sample = torch.cat(parts)
    own = centre_of(sample)  # checks for zero activations even when a centre is given
    if centre is not None:
        own = as_centre(centre, sample.shape[1])
    rows, groups = _rows(sample, max_rows, seed)
    u = directions(sample[rows] if rows is not None else sample, own)
    values = pair_percentiles(u, wanted)
    _refuse_zero(wanted, values)
    errors = [0.0] * len(wanted)
    if rows is not None:
        spread = torch.tensor([pair_percentiles(part, wanted) for part in u.tensor_split(groups)])
        errors = (spread.std(0) / math.sqrt(groups)).tolist()
    return Calibration(
        own.cpu(), dict(zip(wanted, values, strict=True)), len(sample),
        dict(zip(wanted, errors, strict=True)),
    )  # fmt: skip


def check_percentiles(percentiles: Sequence[float]) -> list[float]:
    """The percentiles as a list; an error for none, for repeats, and outside (0, 100)."""
    wanted = [
        p.item() if isinstance(p, np.generic | Tensor) and p.ndim == 0 else p
        for p in checks.several("percentiles", percentiles)
    ]
    for p in wanted:
        checks.number("percentile", p, 0, 100, open_low=True, open_high=True)
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"percentiles repeat: {wanted}; give each once")
    return wanted


def check_threshold(threshold: float) -> float:
    """A usable threshold as a float; ValueError for (nearly) zero and above 2."""
    threshold = checks.number("threshold", threshold, -math.inf, 2)
    if threshold <= ZERO_THRESHOLD:
        raise ValueError(
            f"threshold {threshold:g} is not a cosine distance in (0, 2]; a threshold of zero "
            "makes every activation its own region: drop repeated positions or raise the percentile"
        )
    return threshold


def _rows(sample: Tensor, max_rows: int, seed: int) -> tuple[Tensor | None, int]:
    """Rows of the seeded subset (None: all of them) and how many groups estimate its error."""
    if len(sample) <= max_rows:
        return None, 1
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(sample), generator=generator)[:max_rows]
    return rows.to(sample.device), min(10, max_rows // 2)


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

    Selection by digits: the bits of non-negative floats are in the order of the floats. One pass
    over blocks of pairs counts the leading digits, which tells in which digit every order statistic
    lies and at what rank; a second counts the rest of those. Memory is bounded for any data,
    however many distances are equal or nearly so: a few blocks of 2,048 x 2,048 distances and half
    a megabyte per percentile; N (N - 1) / 2 distances are never in memory together.

    Parameters
    ----------
    u : (N, D) unit rows, N >= 2.

    Returns
    -------
    one float per percentile, as `numpy.percentile` (linear) gives on the whole list.
    """
    pairs = len(u) * (len(u) - 1) // 2
    ranks = [(pairs - 1) * p / 100 for p in percentiles]
    whole = sorted({r for rank in ranks for r in (int(rank), min(int(rank) + 1, pairs - 1))})
    digits, rest = _selected(_leading_counts(u), whole)
    wanted = sorted(set(digits))
    counts = _trailing_counts(u, wanted)
    bits = [
        (digit << _DIGIT) + _selected(counts[wanted.index(digit)], [rank])[0][0]
        for digit, rank in zip(digits, rest, strict=True)
    ]
    found = torch.tensor(bits, dtype=torch.int32).view(torch.float32).double().tolist()
    value = dict(zip(whole, found, strict=True))
    return [
        value[int(r)] + (value[min(int(r) + 1, pairs - 1)] - value[int(r)]) * (r - int(r))
        for r in ranks
    ]


def _selected(counts: Tensor, ranks: list[int]) -> tuple[list[int], list[int]]:
    """In which bin each 0-based rank lies, and at what rank within the bin."""
    end = counts.cumsum(0).cpu()
    bins = torch.searchsorted(end, torch.tensor(ranks), right=True)
    before = (end - counts.cpu())[bins]
    return bins.tolist(), (torch.tensor(ranks) - before).tolist()


def _leading_counts(u: Tensor) -> Tensor:
    """How many pairs have each leading digit: (65,536,) int64."""
    counts = torch.zeros(1 << (31 - _DIGIT), dtype=torch.int64, device=u.device)
    for bits in _pair_bits(u):
        counts += torch.bincount(bits >> _DIGIT, minlength=len(counts))
    return counts


def _trailing_counts(u: Tensor, digits: list[int]) -> Tensor:
    """How many pairs with each of these leading digits have each trailing digit: (digits, bins)."""
    size = 1 << _DIGIT
    counts = torch.zeros(len(digits), size, dtype=torch.int64, device=u.device)
    for bits in _pair_bits(u):
        bits = bits[bits < (digits[-1] + 1) << _DIGIT]  # low percentiles are usual
        for i, digit in enumerate(digits):
            own = bits[(bits >> _DIGIT) == digit]
            counts[i] += torch.bincount(own & (size - 1), minlength=size)
    return counts


def _pair_bits(u: Tensor) -> Iterator[Tensor]:
    """Bits of the distances of all pairs i < j by block, 1-D int32, the same on every pass."""
    with full_precision():
        for i in range(0, len(u), _BLOCK):
            rows = u[i : i + _BLOCK]
            own = distances(rows, rows)
            keep = torch.ones_like(own, dtype=torch.bool).triu_(diagonal=1)
            yield own[keep].view(torch.int32)
            for j in range(i + _BLOCK, len(u), _BLOCK):
                yield distances(rows, u[j : j + _BLOCK]).flatten().view(torch.int32)
