"""How much more lies between two regions than chance gives, over all pairs of a dictionary.

1. `share_between`: for every pair of points, the share of the others that lies between, and what
   permuting the points would give.
2. `near_and_far`: the tenth of all pairs that are nearest to each other, and the farther half.
3. `excess_table`: the mean excess of the runs of a kind at several percentiles, beside other kinds
   of points at the same distances.

Chance is exact: were the points as near to A as they are, and as near to B as they are, but in an
order that had nothing to do with each other, the expected share between is the product of the share
nearer to A than B is and the share nearer to B than A is. That is the mean over all permutations.

Pairs share their ends, so they are not independent: intervals resample the points that pairs are
made of, a pair counting as often as both its ends were drawn together (the pigeonhole bootstrap,
Owen 2007, doi 10.1214/07-AOAS122), and runs (orders, draws) are averaged within a resample. The
points that may lie between stay as they are.

Does not know: words, models, dictionaries; how a point was found.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.blocks.products import gamma
from epkit.geometry import distances
from epkit.stats import Interval, minimum_detectable

EP = "EP"
NEAREST, FARTHER = 0.1, 0.5
"""Pairs among the nearest tenth are near, those beyond the median far."""
BINS = 10
"""Distances are compared in tenths of EP's pairs."""
DRAWS = 500


class Between(NamedTuple):
    """Of all pairs of K points: (K, K) float64 each, symmetric, nan on the diagonal.

    apart : distance. share : of the other points, between the two. chance : the same if nearness to
    one had nothing to do with nearness to the other.
    """

    apart: np.ndarray
    share: np.ndarray
    chance: np.ndarray


def share_between(points: Tensor) -> Between:
    """What lies between every two of the points: (K, D) unit rows.

    C lies between A and B when d(A, C) < d(A, B) and d(B, C) < d(A, B) (Rumbelow 2026). Distances
    within rounding of d(A, B) count as not nearer. ValueError for fewer than three points.
    """
    k = len(points)
    if k < 3:
        raise ValueError(f"something can lie between two of three points or more, got {k}")
    apart, margin = distances(points, points), gamma(points.shape[1])
    apart = (apart + apart.T) / 2
    share, chance = (torch.zeros(k, k, dtype=torch.float64) for _ in range(2))
    for a in range(k):
        limit = apart[a][:, None] - margin
        to_a, to_b = apart[a][None, :] < limit, apart < limit  # (B, C)
        ends = torch.zeros(k, k, dtype=torch.bool, device=apart.device)
        ends[:, a] = True
        ends.fill_diagonal_(True)
        to_a, to_b = to_a & ~ends, to_b & ~ends
        of_a, of_b, both = (x.sum(1).double().cpu() / (k - 2) for x in (to_a, to_b, to_a & to_b))
        share[a], chance[a] = both, of_a * of_b
    found = [x.double().cpu().numpy() for x in (apart, share, chance)]
    for values in found:
        np.fill_diagonal(values, np.nan)
    return Between(*found)


def near_and_far(apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The limits of near and of far pairs: ((0, tenth), (median, largest)) of distances (K, K)."""
    of_pairs = apart[np.triu_indices(len(apart), 1)]
    tenth, median = np.quantile(of_pairs, [NEAREST, FARTHER])
    return np.array([-np.inf, tenth]), np.array([median, np.inf])


class Resampled(NamedTuple):
    """A mean over pairs: its value, and (DRAWS,) values of resamples."""

    value: float
    draws: np.ndarray

    def interval(self) -> Interval:
        return Interval(self.value, *np.nanquantile(self.draws, [0.025, 0.975]).tolist())

    def minus(self, other: "Resampled") -> Interval:
        """The difference from one that was resampled by itself."""
        return Resampled(self.value - other.value, self.draws - other.draws).interval()


def mean_over_pairs(values: np.ndarray, of: np.ndarray, *, seed: int) -> Resampled:
    """Mean of values (K, K) over the pairs `of` (K, K) bool, symmetric; nan where there are none.

    In a resample of the K points a pair counts as often as its two points were drawn together.
    """
    k = len(values)
    weights = np.random.default_rng(seed).multinomial(k, np.full(k, 1 / k), size=DRAWS)
    weights = np.vstack([np.ones(k), weights])
    pairs = of.astype(np.float64)
    total, n = ((weights @ m * weights).sum(1) for m in (np.where(of, values, 0.0), pairs))
    means = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    return Resampled(float(means[0]), means[1:])


def averaged(found: Sequence[Resampled]) -> Resampled:
    """The mean of several, nan left out."""
    known = [f for f in found if np.isfinite(f.value)]
    if not known:
        return Resampled(np.nan, np.full(DRAWS, np.nan))
    draws = np.array([f.draws for f in known])
    n = np.isfinite(draws).sum(0)
    mean = np.divide(np.nansum(draws, 0), n, out=np.full(DRAWS, np.nan), where=n > 0)
    return Resampled(float(np.mean([f.value for f in known])), mean)


def excess_table(
    between: Mapping[float, Mapping[str, Sequence[Between]]], span: str, *, seed: int = 0
) -> pd.DataFrame:
    """Between and chance of near or far pairs, a row per percentile and kind.

    Parameters
    ----------
    between : per percentile and kind of points its runs (`share_between`); "EP" is compared.
    span : "near" (each run's own nearest tenth of pairs) or "far" (beyond its median).

    Returns
    -------
    Indexed by p and points; columns K, runs, "d(A, B)", between, chance (means), excess, an
    `Interval` of between less chance; "EP more", an `Interval` of how much greater EP's excess is
    than that of the kind's pairs at the distances of EP's (None for EP, and where a kind has no
    such pairs), and "detectable", the least such difference that would have been shown (power .8).
    """
    rows = []
    for p, kinds in between.items():
        edges = _edges(kinds[EP], span)
        base = _in_bins(kinds[EP], edges, seed)
        for kind, of in kinds.items():
            row = {"p": p, "points": kind, "K": round(np.mean([len(b.apart) for b in of]))}
            row |= {"runs": len(of)} | _own_pairs(of, span, seed)
            more = None if kind == EP else _compared(base, _in_bins(of, edges, seed + 500))
            row["EP more"], row["detectable"] = more, minimum_detectable(more) if more else np.nan
            rows.append(row)
    return pd.DataFrame(rows).set_index(["p", "points"])


def also_table(tables: Mapping[str, pd.DataFrame], over: str) -> pd.DataFrame:
    """EP's rows of several `excess_table`s, indexed by what they are of and p.

    "EP more" and "detectable" are those of the row of the points `over`.
    """
    rows = {}
    for name, table in tables.items():
        against = table.xs(over, level="points")[["EP more", "detectable"]]
        rows[name] = table.xs(EP, level="points").assign(**against)
    return pd.concat(rows, names=["pairs"])


def _own_pairs(of: Sequence[Between], span: str, seed: int) -> dict[str, object]:
    """Means over each run's own near or far pairs."""
    inside = [_within(b, near_and_far(b.apart)[span == "far"]) for b in of]
    each = [
        [values[own].mean() for values in between] for between, own in zip(of, inside, strict=True)
    ]
    means = dict(zip(("d(A, B)", "between", "chance"), np.mean(each, axis=0).tolist(), strict=True))
    excess = averaged([
        mean_over_pairs(b.share - b.chance, i, seed=seed + r)
        for r, (b, i) in enumerate(zip(of, inside, strict=True))
    ])  # fmt: skip
    return means | {"excess": excess.interval()}


def _within(b: Between, limits: Sequence[float]) -> np.ndarray:
    """Which pairs lie within two distances: (K, K) bool."""
    return (b.apart > limits[0]) & (b.apart <= limits[1])


def _edges(own: Sequence[Between], span: str) -> np.ndarray:
    """Distances that cut EP's near or far pairs into tenths: (BINS + 1,)."""
    inside = [b.apart[_within(b, near_and_far(b.apart)[span == "far"])] for b in own]
    edges = np.quantile(np.concatenate(inside), np.linspace(0, 1, BINS + 1))
    edges[0] -= 1e-9
    return edges


def _in_bins(of: Sequence[Between], edges: np.ndarray, seed: int) -> list[Resampled]:
    """The excess of pairs in every bin of distances, over runs; nan where a kind has no pairs."""
    return [
        averaged([
            mean_over_pairs(b.share - b.chance, _within(b, limits), seed=seed + r)
            for r, b in enumerate(of)
        ])
        for limits in pairwise(edges)
    ]  # fmt: skip


def _compared(own: Sequence[Resampled], other: Sequence[Resampled]) -> Interval | None:
    """Own less other, over the bins in which both have pairs."""
    common = [(a, b) for a, b in zip(own, other, strict=True) if np.isfinite(a.value - b.value)]
    if not common:
        return None
    a, b = (averaged(side) for side in zip(*common, strict=True))
    return a.minus(b)
