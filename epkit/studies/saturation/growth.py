"""Saturation: does a dictionary still grow, how large would it be, and do domains differ in size?

1. `grow` clusters a stream of directions in any order of its documents (`document_orders`), or
   disjoint runs of documents (`document_blocks`), in one calibration; `regions_at` reads K after
   any number of activations, so that streams compare at equal length.
2. `growth_state` calls a growth saturated, growing or undecided by what the second half of the
   stream added; it refuses to judge a second half that repeats the first (`revisited`).
3. `chao1` and `chao2` estimate the regions of an endless stream from how many are rare
   (Chao 1984, 1987). They assume fixed classes and independent draws. Regions depend on the
   stream, and the Voronoi cells of rare exemplars fill with common activations, which hides how
   rare they are. `extrapolate` gives K at a stated length instead, between two laws of growth.

Does not know: models, tokenizers, texts (token ids are numbers to compare), calibration.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from epkit.calibration import Calibration
from epkit.clustering import LeaderClustering
from epkit.dictionary import Dictionary
from epkit.geometry import nearest
from epkit.stats import Interval, poisson_interval

TOLERANCE = 0.1
"""Growth at a doubling that still counts as none: K is reproducible to about ±10 % (published)."""
SPAN = 16
"""Tokens in a row that, met again in a later window, are a repetition and not a common phrase."""
MAX_REVISITED = 0.25
"""Most of the second half that may repeat: growth is then understated by a third at most."""


def document_orders(document: Tensor, n_orders: int, *, seed: int = 0) -> list[Tensor]:
    """Orders of a stream that move whole documents and keep the order within each.

    document : (n,) of every activation, equal ones next to one another. Returns n_orders tensors
    (n,) int64 of stream positions; the first order is the stream's own. Raises ValueError for
    fewer than one order, an empty stream, a document in two places.
    """
    if n_orders < 1:
        raise ValueError(f"n_orders must be at least 1, not {n_orders}")
    parts = _runs(document)
    rng = np.random.default_rng(seed)
    moved = [[parts[i] for i in rng.permutation(len(parts))] for _ in range(n_orders - 1)]
    return [torch.cat(order) for order in [parts, *moved]]


def document_blocks(document: Tensor, n_blocks: int, length: int) -> list[Tensor]:
    """Disjoint runs of `length` activations, each from the start of a document, none shared.

    `document` as for `document_orders`. Returns n_blocks tensors (length,) int64 of positions.
    Raises ValueError for a count below one, or a stream too short for the blocks.
    """
    if min(n_blocks, length) < 1:
        raise ValueError(f"n_blocks and length must be at least 1, not {n_blocks} and {length}")
    starts = np.array([int(part[0]) for part in _runs(document)])
    blocks, end = [], 0
    while len(blocks) < n_blocks:
        at = int(np.searchsorted(starts, end))
        if at == len(starts) or starts[at] + length > len(document):
            raise ValueError(
                f"{n_blocks} blocks of {length:,} activations do not fit into {len(document):,} "
                f"without sharing a document: {len(blocks)} do; take fewer or shorter ones"
            )
        end = int(starts[at]) + length
        blocks.append(torch.arange(end - length, end))
    return blocks


def _runs(document: Tensor) -> list[Tensor]:
    """Positions of every document, in stream order."""
    if not len(document):
        raise ValueError("the stream has no activations")
    document = document.cpu()
    sizes = torch.unique_consecutive(document, return_counts=True)[1]
    if len(sizes) > len(document.unique()):
        raise ValueError("a document lies in two places of the stream; number it anew each time")
    return list(torch.arange(len(document)).split(sizes.tolist()))


# ---- growth -------------------------------------------------------------------------------------


def grow(u: Tensor, calibration: Calibration, percentile: float) -> Dictionary:
    """Cluster directions in the order given: (n, D) unit rows -> Dictionary, on the CPU.

    What `build_from` does with a stream, for directions at hand that are taken in many orders.
    Raises ValueError for no rows, or a percentile the calibration does not have.
    """
    if percentile not in calibration.thresholds:
        raise ValueError(f"the calibration has no percentile {percentile:g}")
    part = LeaderClustering(calibration.centre, calibration.thresholds[percentile])
    part.fit_directions(u.to(part.device))
    return part.dictionary(percentile=percentile).to("cpu")


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


# ---- does a stream repeat itself, is its growth over? -------------------------------------------


def revisited(token: Tensor, window: Tensor, span: int = SPAN) -> Tensor:
    """Which activations repeat text of an earlier window.

    An activation is revisited when it lies in `span` tokens in a row that also stand in an earlier
    window; a window shorter than that is compared as a whole. This finds documents read again
    whether or not windows are cut in the same places. Repetition inside one window does not count.

    token, window : (n,) of every activation in stream order (`activations.places`).
    Returns (n,) bool. Raises ValueError where lengths differ, or for a span below 1.
    """
    if len(token) != len(window) or span < 1:
        raise ValueError(f"needs one window per token ({len(token)}, {len(window)}), span ≥ 1")
    if not len(token):
        return torch.zeros(0, dtype=torch.bool)
    sizes = torch.unique_consecutive(window.cpu(), return_counts=True)[1].numpy()
    ends = sizes.cumsum()
    run = np.repeat(np.arange(len(sizes)), sizes)
    at = np.arange(len(run))
    # Padded by −1, so that a short window is one span of its own and no span leaves its window.
    column = at[:, None] + np.arange(span)
    inside = column < ends[run][:, None]
    ids = np.where(inside, token.cpu().numpy()[np.minimum(column, len(run) - 1)], -1)
    starts = inside[:, -1] | (at == ends[run] - sizes[run])
    keys = np.unique(ids[starts], axis=0, return_inverse=True)[1].ravel()
    first = np.full(keys.max() + 1, len(sizes))
    np.minimum.at(first, keys, run[starts])
    again = at[starts][run[starts] > first[keys]]
    edges = np.zeros(len(run) + 1, dtype=np.int64)
    np.add.at(edges, again, 1)
    np.add.at(edges, np.minimum(again + span, ends[run[again]]), -1)
    return torch.from_numpy(edges.cumsum()[:-1] > 0)


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
        gain = f"{self.gain.value:.0%} [{self.gain.low:.0%}, {self.gain.high:.0%}]"
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


# ---- how large would it be? ---------------------------------------------------------------------


def chao1(counts: Tensor) -> Interval:
    """Classes there are, seen or not, from how often each was seen (Chao 1984, bias-corrected).

    K + f1 (f1 − 1) / (2 (f2 + 1)) with f1 classes seen once and f2 seen twice. A lower bound where
    classes differ in frequency. The 95 % interval takes the log of the unseen part for normal
    (Chao 1987) and has no width where f1 < 2. counts : (K,) ints; zeros are left out. Raises
    ValueError where no class was seen.
    """
    return _chao(counts, 1.0)


def chao2(region: Tensor, document: Tensor) -> Interval:
    """`chao1` by incidence: in how many documents each region occurs (Chao 1987).

    The unseen part is multiplied by (m − 1) / m for m documents, which must be independent; their
    activations need not be. region, document : (n,) of every activation.
    """
    pairs = torch.stack([region.cpu(), document.cpu()]).unique(dim=1)
    m = len(pairs[1].unique())
    return _chao(pairs[0].bincount(), (m - 1) / max(m, 1))


def _chao(counts: Tensor, scale: float) -> Interval:
    counts = counts[counts > 0]
    k, f1, f2 = len(counts), int((counts == 1).sum()), int((counts == 2).sum())
    if not k:
        raise ValueError("an estimate of unseen classes needs at least one seen class")
    unseen = scale * f1 * (f1 - 1) / (2 * (f2 + 1))
    if not unseen:
        return Interval(float(k), float(k), float(k))
    variance = unseen + f1 * (scale * (2 * f1 - 1) / (2 * (f2 + 1))) ** 2
    if f2:
        variance += f2 * (scale * f1 * (f1 - 1) / (2 * (f2 + 1) ** 2)) ** 2
    else:
        variance -= (scale * f1**2 / 2) ** 2 / (k + unseen)
    factor = math.exp(1.96 * math.sqrt(math.log1p(max(variance, 0.0) / unseen**2)))
    return Interval(k + unseen, k + unseen / factor, k + unseen * factor)


def extrapolate(half: float, whole: float, factor: float = 2.0) -> Interval:
    """K of a stream `factor` times as long, from K after its half and after the whole.

    low : every doubling adds as many regions as the last one did (K grows with the logarithm of
    the length). high : every doubling multiplies K as the last one did (a power of the length).
    value : their geometric mean. The limits are two laws, not a confidence interval: check them by
    predicting the whole from its half. Means over several orders make the laws less noisy.
    Raises ValueError unless 0 < half <= whole and factor >= 1.
    """
    if not 0 < half <= whole or factor < 1:
        raise ValueError(f"needs 0 < half ≤ whole and factor ≥ 1, not {half}, {whole}, {factor}")
    doublings = math.log2(factor)
    low = whole + (whole - half) * doublings
    high = whole * (whole / half) ** doublings
    return Interval(math.sqrt(low * high), low, high)
