"""Statistics of results: every interval, paired difference, rank and test that a study reports.

- Intervals of a mean: `bootstrap_mean`, `bootstrap_difference` (paired, or of two groups), and
  `t_interval` for a handful of values. Of a share: `proportion`. Of a count: `poisson_interval`.
- Activations of one document are not independent, so documents are resampled:
  `bootstrap_clusters`, `bootstrap_ratio`, and `bootstrap_pairs` for texts of two kinds (`wins`).
- `rank_correlation`, `auroc`, `rank_test`.
- `jackknife`, for what cannot be resampled with replacement.
- `minimum_detectable`, `least_detectable`: what could have been shown where no difference is.

Bootstraps are scipy's, percentile method (Efron 1979), with the options `level` (.95), `draws` and
`seed` (0). Inputs are sequences, arrays or tensors. Values that are all equal, or only one, give an
interval without width. All functions raise ValueError for no values, values that are not finite,
paired values of different lengths and a level outside (0, 1).

Does not know: models, tokens, dictionaries.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from epkit.checks import Arrays, number, one_of, whole

Values = Arrays | Sequence[float]


class Interval(NamedTuple):
    """A value and the limits of its interval.

    As text "0.500 [0.400, 0.600]"; a format is that of all three numbers: f"{interval:.0%}".
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return format(self, ".3f")

    def __format__(self, spec: str) -> str:
        value, low, high = (format(number, spec or ".3f") for number in self)
        return f"{value} [{low}, {high}]"

    def side(self, above: str, below: str, neither: str) -> str:
        """What a difference shows: `above` or `below` zero where its whole interval is there."""
        return above if self.low > 0 else below if self.high < 0 else neither


def bootstrap_mean(values: Values, **options) -> Interval:
    """Mean of (n,) independent values, with its bootstrap interval (10,000 draws)."""
    return _bootstrap(np.mean, _finite(values), **options)


def bootstrap_difference(a: Values, b: Values, *, paired: bool = True, **options) -> Interval:
    """Mean of a less mean of b, with its bootstrap interval (10,000 draws).

    paired : a and b (n,) are the same units measured both ways, and units are resampled; otherwise
        they are two groups, (n,) and (m,), each resampled by itself.
    """
    if paired:
        return bootstrap_mean(np.subtract(*_finite_pair(a, b)), **options)
    groups = _finite(a), _finite(b)
    return _bootstrap(lambda a, b, axis: a.mean(axis) - b.mean(axis), *groups, **options)


def t_interval(a: Values, b: Values | None = None, *, level: float = 0.95) -> Interval:
    """Mean of a few independent values, or of a less mean of b (Welch 1947), by Student's t.

    A bootstrap of so few is too narrow. Raises ValueError for fewer than two values on a side.
    """
    groups = [_finite(x) for x in (a, b) if x is not None]
    sizes = np.array([len(x) for x in groups])
    if sizes.min() < 2:
        raise ValueError(f"a t interval needs at least two values on each side, got {sizes.min()}")
    value = float(groups[0].mean() - (0.0 if b is None else groups[1].mean()))
    if not any(np.ptp(x) for x in groups):
        return Interval(value, value, value)
    errors = np.array([x.var(ddof=1) for x in groups]) / sizes
    freedom = errors.sum() ** 2 / (errors**2 / (sizes - 1)).sum()
    low, high = stats.t.interval(1 - 2 * _tail(level), freedom, value, np.sqrt(errors.sum()))
    return Interval(value, float(low), float(high))


def bootstrap_ratio(above: Values, below: Values, **options) -> Interval:
    """Σ above / Σ below over n units that have both, resampling units (10,000 draws).

    above, below : (n,), such as a document's sum and its length. The limits are nan where some
        resample leaves Σ below at zero or less, since the ratio is then unbounded; ValueError where
        it is so itself.
    """
    above, below = _finite_pair(above, below)
    if below.sum() <= 0:
        raise ValueError(f"a ratio needs a positive sum below, got {below.sum():g}")
    return _bootstrap(_ratio, above, below, paired=True, **options)


def bootstrap_clusters(values: Values, clusters: Arrays, **options) -> Interval:
    """Mean of (n,) values, resampling whole clusters of them (10,000 draws; Field and Welsh 2007).

    clusters : (n,) what each value belongs to, such as the document of every activation. For a
        paired difference give differences as values.
    """
    values, clusters = _finite_pair(values, clusters)
    own = np.unique(clusters, return_inverse=True)[1]
    return bootstrap_ratio(np.bincount(own, values), np.bincount(own), **options)


def bootstrap_pairs(
    pairs: Arrays | Sequence[Arrays], *, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> Interval:
    """Mean over pairs of texts of two kinds, with the interval of resampling texts of both.

    Resamples are weights of rows and columns, the mean then a product of matrices: several times
    faster than scipy's bootstrap, for which arrays could not share their columns' resamples either.

    pairs : (W, V) a number per pair of texts, such as `wins`, the difference of two such arrays (a
        paired comparison of two scores), or differences of means. Several arrays (W_i, V) share
        their V reference texts; the value is then the mean of their means.

    Where no resample changes the value, as with an AUROC of 1, the interval is a point: too narrow.
    """
    arrays = [_array(array) for array in ([pairs] if hasattr(pairs, "ndim") else pairs)]
    shapes = [array.shape for array in arrays]
    if not shapes or any(len(s) != 2 or s[1] != shapes[0][-1] or 0 in s for s in shapes):
        raise ValueError(f"pairs must be arrays (W, V) with one V for all, got {shapes}")
    _finite(np.concatenate([array.ravel() for array in arrays]))
    rng, n = np.random.default_rng(seed), shapes[0][1]
    # Whole-number weights, divided once, so that an AUROC of 1 stays 1 in every resample.
    columns = rng.multinomial(n, np.full(n, 1 / n), size=whole("draws", draws, 20))
    value, resampled = 0.0, np.zeros(draws)
    for array in arrays:
        rows = rng.multinomial(len(array), np.full(len(array), 1 / len(array)), size=draws)
        value += array.mean() / len(arrays)
        resampled += (rows @ array * columns).sum(axis=1) / array.size / len(arrays)
    return _percentiles(value, resampled, level)


def wins(scores: Arrays, reference: Arrays) -> np.ndarray:
    """How often tokens of one text score above those of another: (W, T), (V, S) → (W, V) float64.

    Entry (i, j) is the share of token pairs, one of text i of `scores` and one of text j of
    `reference`, in which the first is higher; ties count half. Its mean is the AUROC over tokens
    (of equally long texts), and with T = S = 1 over texts.
    """
    scores, reference = _array(scores), np.sort(_array(reference), axis=1)
    flat = scores.ravel()
    below = [np.searchsorted(x, flat) + np.searchsorted(x, flat, "right") for x in reference]
    counts = np.stack(below, axis=1).reshape(*scores.shape, len(reference)).sum(axis=1)
    return counts / (2 * scores.shape[1] * reference.shape[1])


def proportion(flags: Iterable[bool], *, level: float = 0.95, method: str = "wilson") -> Interval:
    """Share of true flags (n,), by Wilson's interval (1927) or Clopper and Pearson's ("exact")."""
    flags = _finite([bool(flag) for flag in flags])
    test = stats.binomtest(int(flags.sum()), len(flags))
    limits = test.proportion_ci(1 - 2 * _tail(level), one_of("method", method, ("wilson", "exact")))
    return Interval(float(flags.mean()), float(limits.low), float(limits.high))


def poisson_interval(count: int, *, level: float = 0.95) -> Interval:
    """A count of independent events, with the exact interval of its expectation (Garwood 1936)."""
    count, tail = whole("count", count), _tail(level)
    low = stats.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    return Interval(float(count), float(low), float(stats.chi2.ppf(1 - tail, 2 * count + 2) / 2))


def rank_correlation(
    x: Values, y: Values, *, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> Interval:
    """Spearman's rank correlation of (n,) pairs, resampling pairs.

    Resamples in which one side is constant have none and are left out. The value alone is scipy's
    `spearmanr`. Raises ValueError for fewer than three pairs, or where one side is constant.
    """
    x, y = _finite_pair(x, y)
    if len(x) < 3 or min(np.ptp(x), np.ptp(y)) == 0:
        raise ValueError("a rank correlation needs at least three pairs, constant on neither side")
    resampled = _resampled(_spearman, (x, y), draws, seed, paired=True)
    value = float(stats.spearmanr(x, y).statistic)
    return _percentiles(value, resampled[np.isfinite(resampled)], level)


def auroc(scores: Arrays, labels: Arrays) -> np.ndarray:
    """Area under the ROC curve of every column: (R, F), (R,) bool → (F,). Ties count one half.

    The rank form (Mann and Whitney 1947), all columns at once: scikit-learn's `roc_auc_score` takes
    one at a time and builds its curve, which takes a hundred times as long for thousands. Raises
    ValueError for rows of one class alone, scores that are nan, another number of labels.
    """
    scores, labels = _array(scores), _array(labels).astype(bool)
    n, positives = len(labels), int(labels.sum())
    if len(scores) != n or np.isnan(scores).any():
        raise ValueError(f"AUROC needs {n} rows of scores without nan, one for every label")
    if not 0 < positives < n:
        raise ValueError(f"AUROC needs rows of both classes, got {positives} positives of {n}")
    ranks = stats.rankdata(scores, axis=0)[labels].sum(axis=0)
    return (ranks - positives * (positives + 1) / 2) / (positives * (n - positives))


class Rank(NamedTuple):
    """Where one of many stands: `rank` (1 is the highest score) of `n`, and p = rank / n."""

    rank: int
    n: int
    p: float

    def __str__(self) -> str:
        return f"{self.rank:,} of {self.n:,} (p = {self.p:.3g})"


def rank_test(scores: Values, region: int, among: Arrays | None = None) -> Rank:
    """Rank of a region's score (K,), ties counted against it, and the exact probability of it.

    If the region were one drawn at random, its rank would be this high or higher with probability
    p = rank / n: the exact permutation test with one labelled region. `among`, (n,) indices or (K,)
    bool, are the regions to compare with (those of like size, say), all by default; `region` itself
    is always counted. Raises ValueError where there is no such region.
    """
    scores = _array(scores)
    region = whole("region", region, 0, len(scores) - 1)
    others = np.full(len(scores), among is None)
    others[[] if among is None else _array(among)] = True
    others[region] = False
    rank, n = 1 + int((scores[others] >= scores[region]).sum()), 1 + int(others.sum())
    return Rank(rank, n, rank / n)


def minimum_detectable(interval: Interval, *, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest true effect that an interval of this width shows with the given power.

    (z + z_power) · se, with z of the level and se half the width over z: 2.8 se for 95 % and .8
    (Bloom 1995, Minimum detectable effects). To stand beside every "no difference shown". The
    interval is at `level`, of a mean, a paired difference or another estimate that is about normal;
    one without width says nothing of its error and gives nan.
    """
    z, width = stats.norm.ppf(1 - _tail(level)), interval.high - interval.low
    shown = z + stats.norm.ppf(number("power", power, 0.5, 1, open_high=True))
    return float(shown * width / (2 * z)) if width > 0 else float("nan")


def least_detectable(interval: Interval, form: str, none: str = "") -> str:
    """`minimum_detectable` as text, by a format of one number; `none` where it says nothing."""
    least = minimum_detectable(interval)
    return form.format(least) if np.isfinite(least) else none


def jackknife(value: float, left_out: Values, *, level: float = 0.95) -> Interval:
    """The interval of a value by those with a group left out (Tukey 1958), Student's t.

    For a value that a bootstrap would spoil, such as the agreement of two partitions: words that
    are repeated agree with themselves.
    """
    left_out = _finite(left_out)
    n = len(left_out)
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    reach = float(stats.t.ppf(1 - _tail(level), n - 1) * error)
    return Interval(float(value), float(value) - reach, float(value) + reach)


def _bootstrap(statistic, *samples, paired=False, level=0.95, draws=10_000, seed=0) -> Interval:
    value = float(statistic(*samples, axis=-1))
    if not any(np.ptp(x) for x in samples):
        return Interval(value, value, value)
    return _percentiles(value, _resampled(statistic, samples, draws, seed, paired=paired), level)


def _resampled(statistic, samples, draws: int, seed: int, *, paired: bool) -> np.ndarray:
    """(draws,) values of the statistic."""
    # Of a group of one, every resample is that one; scipy wants two.
    samples = [x if len(x) > 1 else x.repeat(2) for x in samples]
    with warnings.catch_warnings():
        # Of scipy's own limits, which are not used: a resample may have no value.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            samples, statistic, n_resamples=whole("draws", draws, 20), paired=paired,
            vectorized=True, batch=max(1, (1 << 21) // sum(map(len, samples))), method="percentile",
            rng=np.random.default_rng(seed),
        )  # fmt: skip
    return found.bootstrap_distribution


def _percentiles(value: float, resampled: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(resampled, [_tail(level), 1 - _tail(level)])
    return Interval(float(value), float(low), float(high))


def _tail(level: float) -> float:
    """What is left out on each side."""
    return (1 - number("level", level, 0, 1, open_low=True, open_high=True)) / 2


def _ratio(above: np.ndarray, below: np.ndarray, axis: int) -> np.ndarray:
    above, below = above.sum(axis=axis), below.sum(axis=axis)
    return above / np.where(below > 0, below, np.nan)


def _spearman(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    x, y = (stats.rankdata(side, axis=axis) for side in (x, y))
    x, y = (side - side.mean(axis=axis, keepdims=True) for side in (x, y))
    scale = np.sqrt((x**2).sum(axis=axis) * (y**2).sum(axis=axis))
    return (x * y).sum(axis=axis) / np.where(scale > 0, scale, np.nan)


def _array(values: Values) -> np.ndarray:
    """Numbers as numpy has them; a tensor's in float64, which holds every float type exactly."""
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    return (values.double() if values.is_floating_point() else values).numpy(force=True)


def _finite(values: Values) -> np.ndarray:
    values = _array(values).astype(np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        off = int((~np.isfinite(values)).sum())
        raise ValueError(
            f"needed are finite values (n,), got shape {values.shape}, {off} not finite"
        )
    return values


def _finite_pair(a: Values, b: Values) -> tuple[np.ndarray, np.ndarray]:
    if len(a) != len(b):
        raise ValueError(f"paired values need equal lengths, got {len(a)} and {len(b)}")
    return _finite(a), _finite(b)
