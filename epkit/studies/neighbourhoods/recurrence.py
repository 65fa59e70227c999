"""Recurrence: regions founded on one half of a stream and counted on the other.

A new member is an activation of the second half that is nearest to the exemplar and within θ of it.
A region has its exemplar as a member by construction, so what its size foretells is N − 1, the
others. Controls: as many random exemplars, of which small regions are paired with those that have
as many members; made-up directions, for which is counted whether anything comes within θ at all.

Does not know: models; what a word is beyond its number.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import Calibration
from epkit.checks import Arrays
from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.partition import partition
from epkit.stats import Interval, Values, bootstrap_difference, bootstrap_mean, rank_correlation
from epkit.studies.neighbourhoods.neighbours import (
    directions_like,
    least_distances,
    regions_within,
)
from epkit.studies.neighbourhoods.sizes import SMALL

SIZES = {
    "1": (1, 1), "2–3": (2, 3), "4–7": (4, 7), "8–15": (8, 15), "16–31": (16, 31),
    "32–": (32, np.inf),
}  # fmt: skip
"""Bins of members in the build half."""

MADE_UP = 1000


@dataclass(frozen=True, eq=False)
class Recurrence:
    """What the second half of a stream brings to regions founded on the first.

    ep, random : of the dictionary and of as many random exemplars, tables of `new_members`.
    reached : (S,) whether anything new comes within θ of each small region of `ep`.
    made_up : (M,) the same of made-up directions.
    """

    ep: pd.DataFrame
    random: pd.DataFrame
    reached: Tensor
    made_up: Tensor


def found_on_half(
    x: Arrays, u: Tensor, calibration: Calibration, half: int, word: np.ndarray, *, seed: int = 0
) -> dict[float, Recurrence]:
    """Found regions on the first rows of a stream and count them on the others.

    Parameters
    ----------
    x, u : (n, D) activations, and their directions seen from the calibration's centre.
    calibration : centre and thresholds of the whole stream, for every percentile.
    half : rows that found regions.
    word : (n,) the word of every activation as a whole number.
    seed : of all controls.

    Returns
    -------
    {percentile: Recurrence}.
    """
    old, new, found = x[:half], u[half:], {}
    empty = least_distances(directions_like(u[:half], MADE_UP, seed=seed), new)
    percentiles = list(calibration.thresholds)
    made = partition(old, percentiles, calibration=calibration, recount=False, device=u.device)
    for p, d in made.items():
        control = random_dictionary(d, old, seed=seed, recount=False)
        ep, random = (new_members(one, u, half, word, seed=seed) for one in (d, control))
        small = torch.as_tensor(np.flatnonzero(ep["old"] <= SMALL), device=u.device)
        reached = least_distances(d.exemplars[small], new) <= d.threshold
        found[p] = Recurrence(ep, random, reached, empty <= d.threshold)
    return found


def new_members(
    dictionary: Dictionary, u: Tensor, half: int, word: np.ndarray, *, seed: int = 0
) -> pd.DataFrame:
    """Members of every region in both halves of a stream: u (n, D) directions, word (n,).

    Columns `old` and `new`, members within θ before and from row `half`; `same word`, the share of
    the new ones that have the exemplar's word, and `shuffled`, the same of words shuffled among new
    activations; both are nan where nothing new comes.
    """
    k, region = len(dictionary), regions_within(dictionary, u).numpy()
    is_in, at = region[half:] >= 0, region[half:]
    old, new = (np.bincount(r[r >= 0], minlength=k) for r in (region[:half], at))
    wanted = word[dictionary.exemplar_index.cpu().numpy()][at]
    shuffled = np.random.default_rng(seed).permutation(word[half:])
    same = [
        np.bincount(at[is_in], (later == wanted)[is_in], minlength=k)
        for later in (word[half:], shuffled)
    ]
    same = [np.divide(n, new, out=np.full(k, np.nan), where=new > 0) for n in same]
    return pd.DataFrame({"old": old, "new": new, "same word": same[0], "shuffled": same[1]})


def of_the_same_size(
    a: pd.DataFrame, b: pd.DataFrame, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Whether small regions recur, 1 or 0, in random pairs of equal size, one from either table."""
    rng = np.random.default_rng(seed)
    sides = []
    for size in range(1, SMALL + 1):
        sets = [(t.loc[t["old"] == size, "new"] > 0).to_numpy(float) for t in (a, b)]
        sides.append([rng.permutation(values)[: min(map(len, sets))] for values in sets])
    return tuple(np.concatenate(side) for side in zip(*sides, strict=True))


def recurrence_table(founded: Mapping[tuple[int, float], Recurrence]) -> pd.DataFrame:
    """What new activations bring to small regions, a row per layer and percentile."""
    rows = [
        {"layer": layer, "p": p} | _recurrence_row(found) for (layer, p), found in founded.items()
    ]
    return pd.DataFrame(rows).set_index(["layer", "p"])


def _recurrence_row(found: Recurrence) -> dict:
    ep, random = found.ep, found.random
    few = ep[ep["old"] <= SMALL]
    recurs, random_recurs = of_the_same_size(few, random[random["old"] <= SMALL])
    gain = bootstrap_difference(recurs, random_recurs, draws=2000) if len(recurs) else None
    return {
        "K": len(ep), "of one member": (ep["old"] == 1).mean(), "small": len(few),
        "small that recur": _mean(few["new"] > 0), "others in build": (few["old"] - 1).mean(),
        "new members": _mean(few["new"]),
        "random of the same size, that recur": _mean(random_recurs), "EP − random": gain,
        "same word": _mean(few["same word"]), "same word, shuffled": _mean(few["shuffled"]),
        "any within θ, small": _mean(found.reached), "any within θ, made-up": _mean(found.made_up),
        "others ~ new (Spearman)": rank_correlation(ep["old"], ep["new"], draws=300),
        "the same, random": rank_correlation(random["old"], random["new"], draws=300),
    }  # fmt: skip


def recurrence_by_size(found: Recurrence) -> pd.DataFrame:
    """New members by size in the build half, a row per dictionary and size (`plot_new_members`)."""
    rows = []
    for name, table in (("EP", found.ep), ("random exemplars", found.random)):
        for size, limits in SIZES.items():
            there = table[table["old"].between(*limits)]
            if len(there):
                recur, new = _mean(there["new"] > 0), _mean(there["new"])
                rows.append({
                    "dictionary": name, "size": size, "regions": len(there),
                    "others": (there["old"] - 1).mean(),
                    "mean new": new.value, "low": new.low, "high": new.high,
                    "recur": recur.value, "recur low": recur.low, "recur high": recur.high,
                    "same word": there["same word"].mean(),
                })  # fmt: skip
    return pd.DataFrame(rows)


def _mean(values: Values) -> Interval | None:
    """The mean of those that are finite; None where none is."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    return bootstrap_mean(values, draws=2000) if len(values) else None
