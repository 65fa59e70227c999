"""How large would a partition become? Estimates of the number of its regions.

1. `chao1` and `chao2` estimate the regions of an endless stream from how many are rare
   (Chao 1984, 1987). They assume fixed classes and independent draws. Regions depend on the
   stream, and the Voronoi cells of rare exemplars fill with common activations, which hides how
   rare they are.
2. `extrapolate` gives K at a stated length instead, between two laws of growth.

Does not know: models, tokens, activations, how regions are made.
"""

import math

from torch import Tensor

from epkit.stats import Interval


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
    document = document.cpu().unique(return_inverse=True)[1]
    m = int(document.max()) + 1 if len(document) else 1
    pairs = (region.cpu() * m + document).unique()
    return _chao((pairs // m).bincount(), (m - 1) / m)


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
