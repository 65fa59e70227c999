"""Statistics of results: intervals over independent units, paired differences, AUROC.

Does not know: models, tokens, dictionaries.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from epkit.geometry import Arrays


class Interval(NamedTuple):
    """A value and the limits of its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


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


def auroc(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of every column: (R, F), (R,) bool → (F,). Ties count one half.

    The rank form (Mann and Whitney 1947), for thousands of columns at once.
    """
    n, positives = len(labels), int(labels.sum())
    if not 0 < positives < n:
        raise ValueError("AUROC needs rows of both classes")
    ranks = rankdata(np.asarray(scores), axis=0)[labels].sum(axis=0)
    return (ranks - positives * (positives + 1) / 2) / (positives * (n - positives))
