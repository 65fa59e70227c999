"""Growth: how many regions a stream has founded after any activation, and whether it is over.

1. `grow` clusters a stream of directions, in any order, in one calibration; `regions_at` reads K
   after any number of activations, so that streams compare at equal length.
2. `prefix_regions` gives the Voronoi regions of a stream's beginning, for estimates on it.
3. `doubling_reached` says when a doubling of the stream had added next to nothing.
4. `growth_state` calls a growth saturated, growing or undecided by what the second half of the
   stream added; it refuses to judge a second half that repeats the first.

Does not know: models, tokens, texts, calibration, where streams come from.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from epkit.blocks.founders import first_independent_set
from epkit.blocks.nearest import DECIDED, block_rows, closest, nearest
from epkit.blocks.products import full_precision, gamma
from epkit.calibration import Calibration
from epkit.clustering import LeaderClustering
from epkit.dictionary import Dictionary
from epkit.stats import Interval, poisson_interval

TOLERANCE = 0.1
"""Growth at a doubling that still counts as none: K is reproducible to about ±10 % (published)."""
MAX_REVISITED = 0.25
"""Most of the second half that may repeat: growth is then understated by a third at most."""


def grow(u: Tensor, calibration: Calibration, percentile: float) -> Dictionary:
    """Cluster directions in the order given: (n, D) float32 unit rows -> Dictionary, on u's device.

    The regions and exemplars of `LeaderClustering`, at half its cost: which region a row joins is
    not asked, so that counts are zero and means the exemplars (`recount` gives both).
    Raises ValueError for no rows, or a percentile the calibration does not have.
    """
    if percentile not in calibration.thresholds:
        raise ValueError(f"the calibration has no percentile {percentile:g}")
    threshold = calibration.thresholds[percentile]
    founded = founding_rows(u, threshold)
    part = LeaderClustering(calibration.centre, threshold, u.device)
    part.take_settled(u[founded], founded, (), len(u))
    return part.dictionary(percentile=percentile, n_activations=len(u))


def founding_rows(u: Tensor, threshold: float) -> Tensor:
    """Rows that found a region by the leader rule: (n, D) unit rows -> (K,) int64, ascending."""
    founded = torch.zeros(0, dtype=torch.int64, device=u.device)
    for rows in torch.arange(len(u), device=u.device).split(block_rows(u.device)):
        if len(founded):
            rows = rows[_outside(u[rows], u[founded], threshold)]
        founded = torch.cat([founded, rows[first_independent_set(u[rows], threshold)]])
    return founded


def _outside(u: Tensor, exemplars: Tensor, threshold: float) -> Tensor:
    """Which rows no exemplar is near: (M, D), (K, D) -> (M,) bool; close calls in float64."""
    slack = gamma(u.shape[1])
    with full_precision():
        beyond = (1 - threshold) - u @ exemplars.T
    least = beyond.amin(dim=1)
    outside = least > 0
    for some in (least.abs() <= slack).nonzero()[:, 0].split(DECIDED):
        exact = closest(u[some], exemplars, beyond[some] <= slack)[1]
        outside[some] = exact > threshold
    return outside


def stream_length(d: Dictionary) -> int:
    """Activations in the stream that a dictionary was built on."""
    return int(d.metadata.get("n_activations", d.n))


def regions_at(d: Dictionary, n: int) -> int:
    """Regions founded among the first n activations: K of a build on that prefix.

    Raises ValueError where n is negative or beyond the stream.
    """
    if not 0 <= n <= stream_length(d):
        raise ValueError(f"n must lie in 0 … {stream_length(d):,}, the stream's length, not {n:,}")
    return int((d.exemplar_index < n).sum())


def prefix_regions(d: Dictionary, u: Tensor, n: int) -> Tensor:
    """Voronoi regions of the first n activations among the exemplars founded by then.

    u : (N, D) the directions `d` was grown on, N >= n >= 1. Returns (n,) int64 < regions_at(d, n).
    """
    return nearest(u[:n], d.exemplars[: regions_at(d, n)].to(u.device))[0].cpu()


def doubling_reached(d: Dictionary, *, tolerance: float = TOLERANCE) -> int | None:
    """Activations after which the last doubling had added less than `tolerance`, beyond doubt.

    The stream is looked at four times a doubling, from 1,000 activations on, and the first success
    counts; the look at its end alone is `growth_state`. None if never.
    """
    n = stream_length(d)
    looks = [int(n / 2 ** (i / 4)) for i in range(200) if n / 2 ** (i / 4) >= min(n, 1000)]
    for at in reversed(looks):
        half = regions_at(d, at // 2)
        if half and poisson_interval(regions_at(d, at) - half).high < tolerance * half:
            return at
    return None


@dataclass(frozen=True)
class GrowthState:
    """Whether a growth is over.

    state : "saturated", "growing", "undecided", or "revisits" where the stream repeats itself.
    gain : regions of the second half as a share of those of the first, with a 95 % interval.
    quiet : activations since the last region was founded.
    revisited : share of the second half that repeats earlier text.
    """

    state: str
    gain: Interval
    quiet: int
    revisited: float

    def __str__(self) -> str:
        if self.state == "revisits":
            return f"revisits: {self.revisited:.0%} of the second half was read before"
        gain = f"{self.gain:.0%}"
        return f"{self.state}: the second half added {gain}"


def growth_state(
    d: Dictionary,
    revisits: Tensor,
    *,
    tolerance: float = TOLERANCE,
    max_revisited: float = MAX_REVISITED,
) -> GrowthState:
    """Saturated when the last doubling of the stream added less than `tolerance`, beyond doubt.

    The number founded in the second half has its exact Poisson interval (Garwood 1936), which
    takes foundings for independent. Above `max_revisited` there is no verdict on growth: text read
    again founds nothing, whatever the model does.

    A fixed quiet window is no substitute: at a growth of b regions per e-fold, the next w
    activations after n are quiet with probability (n / (n + w))^b, which goes to one.

    d : a dictionary as built. revisits : (n,) bool of its stream, by `revisited`.
    Raises ValueError where `revisits` has not the stream's length, or that is below two.
    """
    n = stream_length(d)
    if len(revisits) != n or n < 2:
        raise ValueError(
            f"revisits must have the stream's length, {n:,} (at least 2), not {len(revisits):,}"
        )
    half = regions_at(d, n // 2)
    new = len(d) - half
    gain = Interval(*(float(x / half) for x in poisson_interval(new)))
    share = revisits[n // 2 :].double().mean().item()
    state = "undecided"
    if share > max_revisited:
        state = "revisits"
    elif gain.high < tolerance:
        state = "saturated"
    elif gain.low > tolerance:
        state = "growing"
    return GrowthState(state, gain, n - 1 - int(d.exemplar_index[-1]), share)
