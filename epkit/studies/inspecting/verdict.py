"""What notebook 02 found, in sentences: regions beside random exemplars and random groups.

Does not know: where the numbers come from.
"""

import numpy as np
import pandas as pd

from epkit.stats import Interval
from epkit.studies.inspecting.matched import WEIGHTED
from epkit.studies.inspecting.tables import CHANCE, EP, HELD, RANDOM, SHARE

COMPARED = {
    "more than": "more often than",
    "less than": "less often than",
    "as": "no more and no less often than",
}


def against(a: Interval, b: Interval) -> str:
    """Of two independent intervals: whether their values differ by more than both explain.

    "more than", "less than" or "as".
    """
    noise = (((a.high - a.low) ** 2 + (b.high - b.low) ** 2) ** 0.5) / 2
    if a.value - b.value > noise:
        return "more than"
    return "less than" if b.value - a.value > noise else "as"


def exemplar_frequencies(
    ids: np.ndarray, exemplars: np.ndarray, random: np.ndarray
) -> tuple[float, float]:
    """How often the token of the median exemplar occurs: of a dictionary's, and of random ones'.

    ids : (n,) tokens of the activations read; exemplars, random : (K,) tokens of exemplars.
    """
    times = np.bincount(ids, minlength=int(max(exemplars.max(), random.max())) + 1)
    return float(np.median(times[exemplars])), float(np.median(times[random]))


def evidence_verdict(
    evidence: pd.DataFrame,
    lens: pd.DataFrame,
    *,
    where: str,
    min_members: int,
    n_drawn: int,
    n_evident: int,
    chance: np.ndarray,
    frequencies: tuple[float, float],
    matched: pd.DataFrame,
) -> list[str]:
    """The answer in four sentences or more: all regions, those drawn, the comparison, the lens.

    Parameters
    ----------
    evidence, lens : of `evidence_table` and `promotion_table`.
    where : the layer and percentile, as the sentence says them.
    n_drawn, n_evident : regions drawn and listed, and those of them that are evident.
    chance : (R,) how many of as many random groups were, in every draw.
    frequencies : of `exemplar_frequencies`; matched : of `matched.matched_table`.
    """
    ep, rand, floor = (evidence.loc[name, SHARE] for name in (EP, RANDOM, CHANCE))
    ep_held, rand_held = (evidence.loc[name, HELD] for name in (EP, RANDOM))
    low, high = np.quantile(chance, [0.025, 0.975])
    merit = "That regions can be read is no merit of EP's choice of exemplars. "
    first, mixed = lens.loc["mean", ["own region", "another region"]]
    return [
        f"Of all {evidence.loc[EP, 'n']:,} regions of {min_members} members or more at {where}, "
        f"{_percent(ep)} have members that evidently share a token, a form or a class, of random "
        f"groups {_percent(floor)}, and of the regions around as many random exemplars "
        f"{_percent(rand)}. Such regions hold {_percent(ep_held)} of all activations, and around "
        f"random exemplars {_percent(rand_held)}.",
        f"Of the {n_drawn} that were drawn and listed it is {n_evident}; of as many random groups "
        f"of the same sizes {chance.mean():.1f} (95 %: {low:.0f} to {high:.0f}).",
        f"So, by this rule, EP's regions are about one evident thing "
        f"{COMPARED[against(ep, rand)]} those around random exemplars, counted by regions, and "
        f"{COMPARED[against(ep_held, rand_held)]} those, counted by activations. "
        f"{merit if ep.value <= rand.value else ''}"
        f"The tokens of exemplars differ (the median exemplar of EP has a token that occurs "
        f"{frequencies[0]:,.0f} times among these activations, of the random ones "
        f"{frequencies[1]:,.0f} times).",
        _matched_sentence(matched),
        f"The logit lens of the mean names the next token of {_percent(first, 1)} of members "
        f"among its ten, that of another region {_percent(mixed, 1)}.",
    ]


def _matched_sentence(matched: pd.DataFrame) -> str:
    """What is left of the difference where exemplars' tokens are equally frequent."""
    before, after = (
        against(matched.loc[EP, SHARE], matched.loc[r, SHARE]) for r in (RANDOM, WEIGHTED)
    )
    ep, rand = (_percent(matched.loc[name, SHARE]) for name in (EP, WEIGHTED))
    if before == after:
        reason = "rarer tokens are not all of the reason" if after != "as" else "as before"
    else:
        reason = f"without the weights it was {COMPARED[before]}"
    return (
        "Where random exemplars are weighted to have tokens as frequent as EP's, and first places "
        f"of windows are left out, it is {ep} of EP's regions and {rand} of theirs: EP's are about "
        f"one evident thing {COMPARED[after]} theirs ({reason})."
    )


def _percent(interval: Interval, digits: int = 0) -> str:
    value, low, high = (f"{x:.{digits}%}" for x in interval)
    return f"{value} [{low}, {high}]"
