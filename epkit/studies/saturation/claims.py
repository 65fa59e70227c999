"""Ratios of K with their intervals: the published direction, and domains against the mixed stream.

A ratio is a difference of logarithms, with Student's interval over repetitions (orders, or sets of
documents). One domain at two depths is paired by repetition; two domains share none and are two
groups.

Does not know: dictionaries, activations; how K was measured is a `Measurement`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from epkit.stats import Interval, t_interval
from epkit.studies.saturation.pool import MIXED

VERDICT_BY = "own θ"
"""The measurement whose intervals decide."""


class Measurement(NamedTuple):
    """A way to measure K.

    table : columns domain, layer, p, K and `unit`, a row a build. p : whose builds count.
    unit : the column that tells repetitions apart, "order" or "block".
    """

    table: pd.DataFrame
    p: float
    unit: str


class Claim(NamedTuple):
    """A published statement and the ratio of K that it is held against.

    low, high : limits of the ratio within which it holds. ratio : Measurement -> Interval.
    """

    published: str
    measured: str
    low: float
    high: float
    ratio: Callable[[Measurement], Interval]

    @property
    def expected(self) -> str:
        if self.high == float("inf"):
            return f"above {self.low:g}"
        return f"{self.low:g} to {self.high:g}"

    def verdict(self, interval: Interval) -> str:
        """ "agrees" or "disagrees" where the whole interval does, else "open"."""
        if self.low <= interval.low and interval.high <= self.high:
            return "agrees"
        apart = interval.high < self.low or interval.low > self.high
        return "disagrees" if apart else "open"


def ratio_text(interval: Interval) -> str:
    """A ratio and its limits, with two decimals."""
    return f"{interval:.2f}"


def depth_ratio(
    measured: Measurement, domain: str, over: Sequence[int], under: Sequence[int]
) -> Interval:
    """K of a domain at some layers over its K at others (geometric means), paired."""
    logs = _mean_log(measured, domain, over) - _mean_log(measured, domain, under)
    return _ratio(t_interval(logs))


def domain_ratio(measured: Measurement, a: str, b: str, layer: int) -> Interval:
    """K of domain a over K of domain b at a layer, as two groups (Welch)."""
    return _ratio(t_interval(*(_mean_log(measured, name, [layer]) for name in (a, b))))


def _mean_log(measured: Measurement, domain: str, layers: Sequence[int]) -> np.ndarray:
    """Mean over layers of log K, one number a repetition."""
    table, p, unit = measured
    rows = table[(table.domain == domain) & (table.p == p) & table.layer.isin(layers)]
    return np.log(rows.K.astype(float)).groupby(rows[unit]).mean().to_numpy()


def _ratio(logs: Interval) -> Interval:
    return Interval(*map(float, np.exp(logs)))


def published_claims(layers: Sequence[int], domains: Sequence[str]) -> list[Claim]:
    """The published direction (Rumbelow 2026; Gemma-2-2B, p 8) as ratios at these layers.

    Only what can be measured: statements on domains that are there, on a middle of three layers.
    """
    inf, third = float("inf"), len(layers) // 3
    first, last, there = [layers[0]], [layers[-1]], set(domains)

    def depth(domain: str, over: Sequence[int], under: Sequence[int]):
        return lambda measured: depth_ratio(measured, domain, over, under)

    def half_of_chat(layer: int):
        return lambda measured: domain_ratio(measured, "code", "chat", layer)

    grows, flat = "chat, deepest / shallowest", "code, deepest / shallowest"
    peaks, about = "maths, middle / ends", "code is about half of chat"
    claims = []
    if "chat" in there:
        claims.append(Claim("chat grows with depth", grows, 1, inf, depth("chat", last, first)))
    if "code" in there:
        claims.append(Claim("code is flat", flat, 0.8, 1.25, depth("code", last, first)))
    if "maths" in there and third:
        middle = depth("maths", layers[third:-third], first + last)
        claims.append(Claim("maths peaks mid-depth", peaks, 1, inf, middle))
    if {"code", "chat"} <= there:
        at = [(f"code / chat, layer {layer}", half_of_chat(layer)) for layer in layers]
        claims += [Claim(about, measured, 0.35, 0.7, ratio) for measured, ratio in at]
    return claims


def claim_table(claims: Sequence[Claim], measurements: Mapping[str, Measurement]) -> pd.DataFrame:
    """Columns published, measured, expected, an Interval per measurement, verdict; a row a claim.

    `measurements` must hold "own θ", the published practice, by which the verdict is.
    """
    rows = []
    for claim in claims:
        found = {name: claim.ratio(measured) for name, measured in measurements.items()}
        row = {name: getattr(claim, name) for name in ("published", "measured", "expected")}
        rows.append(row | found | {"verdict": claim.verdict(found[VERDICT_BY])})
    columns = ["published", "measured", "expected", *measurements, "verdict"]
    return pd.DataFrame(rows, columns=columns)


def mixed_table(sets: Measurement, domains: Sequence[str], layers: Sequence[int]) -> pd.DataFrame:
    """Domains against the mixed stream, and K against distinct tokens; a row a layer.

    sets : its table has a column types. Columns: "<domain> / mixed", an Interval; Spearman's ρ of K
    with distinct tokens over all sets; the domains from the lowest mean K up.
    """
    rows = []
    for layer in layers:
        part = sets.table[(sets.table.p == sets.p) & (sets.table.layer == layer)]
        ratios = {f"{name} / mixed": domain_ratio(sets, name, MIXED, layer) for name in domains}
        order = part.groupby("domain").K.mean().sort_values().index
        rows.append({"layer": layer} | ratios | {
            "ρ, all sets": stats.spearmanr(part.K, part["types"])[0],
            "order of domains": " < ".join(order),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("layer")
