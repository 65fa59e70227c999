"""The remedies of `variants` on both parts of every pair, beside the plain rule at equal K.

1. `try_remedies`: every remedy on the runs that are there; random exemplars as the control.
2. `at_equal_k`: where a remedy changes K, the plain rule once more at a threshold that founds as
   many regions, since every score depends on K.
3. `measure_rules`: stability between the parts and probing of every rule; `remedy_table` and
   `gain_table` say what comes of it. Intervals are those of `splits`.

Does not know: models, tokens, how concepts are detected (a function is given).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.matching import match
from epkit.partition import partition_at
from epkit.stats import Interval, bootstrap_pairs, t_interval
from epkit.studies.stability.recurrence import value_for_regions
from epkit.studies.stability.splits import Pairs, Runs, compare
from epkit.studies.stability.variants import (
    average,
    dense_first,
    merge,
    reanchor,
    threshold_of_means,
)

Tried = dict[tuple[str, int, str], Dictionary]
"""{(rule, pair, "A" | "B"): dictionary}."""

RANDOM = "random exemplars, equal K"
EQUAL_K = {"merged": "plain, equal K as merged", "dense first": "plain, equal K as dense first"}
"""The plain rule that a remedy is compared with where it changes K."""

COMPARED = ("re-anchored", "merged", "dense first", "average of two orders", RANDOM)
STABILITY = ("exemplars", "means", "agreement")


class Measured(NamedTuple):
    """stability : columns `STABILITY`, a row per pair. auroc : (pairs, concepts)."""

    stability: pd.DataFrame
    auroc: np.ndarray

    def means(self) -> dict[str, float]:
        """Every score, averaged."""
        stable = {score: float(self.stability[score].mean()) for score in STABILITY}
        return stable | {"AUROC": float(np.mean(self.auroc))}

    def gain_over(self, other: "Measured") -> dict[str, Interval]:
        """Every score less that of `other`, measured on the same pairs and concepts."""
        apart = {s: self.stability[s].to_numpy() - other.stability[s].to_numpy() for s in STABILITY}
        gains = {score: t_interval(values) for score, values in apart.items()}
        return gains | {"AUROC": bootstrap_pairs(np.subtract(self.auroc, other.auroc))}


def try_remedies(x: Tensor, pairs: Pairs, runs: Runs, controls: Runs, percentile: float) -> Tried:
    """Every remedy on both parts of every pair of x (N, D), the plain rule and the control."""
    tried: Tried = {}
    centre_of = runs[percentile, 0, "A"]
    for s, both in enumerate(pairs):
        for name, rows in zip("AB", both, strict=True):
            d, part = runs[percentile, s, name], x[rows.to(x.device)]
            order, theta, centre = 10 * s + 5 + (name == "B"), d.threshold, d.centre
            tried["plain", s, name] = d
            tried["re-anchored", s, name] = reanchor(d, part)
            tried["merged", s, name] = merge(d, part, threshold_of_means(d, percentile))
            dense = dense_first(
                centre_of.directions(part), theta, n_pilot=min(2000, len(part)), seed=order
            )
            tried["dense first", s, name] = partition_at(part, theta, centre, order=dense)
            again = partition_at(part, theta, centre, order=order, recount=False)
            matched = match(d, again).pairs.to(x.device)
            tried["average of two orders", s, name] = average(d, again, matched, part)
            tried[RANDOM, s, name] = controls[percentile, s, name]
    return tried


def at_equal_k(x: Tensor, pairs: Pairs, tried: Tried) -> Tried:
    """The plain rule at the K that merging, and density, leave in the first part A.

    With random exemplars at the K of merging, since that is far from the K of the plain rule.
    """
    plain, first = tried["plain", 0, "A"], x[pairs[0][0].to(x.device)]
    theta, centre = plain.threshold, plain.centre

    def count(threshold: float) -> int:
        return len(partition_at(first, threshold, centre, order=0, recount=False))

    made: Tried = {}
    for rule, name in EQUAL_K.items():
        k = len(tried[rule, 0, "A"])
        threshold = value_for_regions(count, k, theta / 2, min(1.9, 2 * theta))
        for s, both in enumerate(pairs):
            for half, rows in zip("AB", both, strict=True):
                part, order = x[rows.to(x.device)], 10 * s + (half == "B")
                made[name, s, half] = partition_at(part, threshold, centre, order=order)
                if rule == "merged":
                    made["random exemplars, equal K as merged", s, half] = random_dictionary(
                        tried[rule, s, half], part, seed=order + 7
                    )
    return made


def measure_rules(
    tried: Tried,
    fresh: Tensor,
    detect: Callable[[Dictionary], np.ndarray],
    known: Mapping[str, Measured],
) -> dict[str, Measured]:
    """Stability between the parts and detection by part A, of every rule in order.

    Parameters
    ----------
    fresh : (n, D) held-out activations on which the parts' partitions are compared.
    detect : dictionary → AUROC of every concept (C,).
    known : rules that have been measured before.
    """
    measured = {}
    for rule in dict.fromkeys(rule for rule, *_ in tried):
        if rule in known:
            measured[rule] = known[rule]
            continue
        ones = {s: d for (name, s, half), d in tried.items() if (name, half) == (rule, "A")}
        stable = [compare(one, tried[rule, s, "B"], fresh) for s, one in ones.items()]
        auroc = np.array([detect(one) for one in ones.values()])
        measured[rule] = Measured(pd.DataFrame(stable), auroc)
    return measured


def remedy_table(tried: Tried, measured: Mapping[str, Measured]) -> pd.DataFrame:
    """Median K of every rule, and the mean of every score, indexed by rule."""
    rows = []
    for rule, found in measured.items():
        ks = [len(d) for (name, _, half), d in tried.items() if (name, half) == (rule, "A")]
        rows.append({"rule": rule, "K": int(np.median(ks)), **found.means()})
    return pd.DataFrame(rows).set_index("rule")


def gain_table(measured: Mapping[str, Measured]) -> pd.DataFrame:
    """What every remedy gains over the plain rule at its K, as `Interval`s, indexed by rule."""
    rows = []
    for rule in COMPARED:
        base = EQUAL_K.get(rule, "plain")
        gains = measured[rule].gain_over(measured[base])
        rows.append({"rule": rule, "against": base, **gains})
    return pd.DataFrame(rows).set_index("rule")
