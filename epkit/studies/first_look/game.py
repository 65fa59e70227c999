"""A game that teaches the control: whose region is it, EP's or a random exemplar's?

Both kinds have as many exemplars, and every activation is counted for the nearest of its kind. A
round shows eight members of a region with at least eight. What a rule scores that says "EP" when
the members evidently share something tells how much there is to see.

Does not know: models, HTML, widgets.
"""

from dataclasses import dataclass
from math import comb

import numpy as np

from epkit.stats import Interval, bootstrap_difference
from epkit.studies.first_look.shipped import EP, RANDOM, Look
from epkit.studies.first_look.walk import group_patterns


@dataclass(frozen=True, eq=False)
class Round:
    """Eight stream positions, and of which kind the region is."""

    members: np.ndarray
    kind: str


def draw_rounds(look: Look, n: int = 10, *, seed: int = 0) -> list[Round]:
    """n rounds, each of either kind by a coin, regions of a kind drawn without replacement.

    Raises ValueError where a kind has fewer than n regions.
    """
    least = min(len(groups) for groups in look.groups.values())
    if least < n:
        raise ValueError(f"{n} rounds need {n} regions of either kind, and one has {least}")
    rng = np.random.default_rng(seed)
    order = {kind: rng.permutation(len(groups)) for kind, groups in look.groups.items()}
    kinds = [(EP, RANDOM)[coin] for coin in rng.integers(0, 2, n)]
    return [Round(look.groups[kind][order[kind][i]], kind) for i, kind in enumerate(kinds)]


def rule_score(look: Look) -> Interval:
    """Share of right answers of the rule, over all regions, both kinds counting alike.

    With its 95 % bootstrap interval over regions.
    """
    share = {
        kind: [float(p.kind != "none") for p in group_patterns(look.regions, groups)]
        for kind, groups in look.groups.items()
    }
    gap = bootstrap_difference(share[EP], share[RANDOM], paired=False)
    return Interval(*(0.5 + 0.5 * bound for bound in gap))


def chance_of(right: int, n: int) -> float:
    """The probability that a coin gets at least `right` of n rounds."""
    return sum(comb(n, k) for k in range(right, n + 1)) / 2**n


def score_text(right: int, n: int) -> str:
    """A score beside what chance gives."""
    return (
        f"{right} of {n} right. A coin gets {n / 2:g} on average, and as many as yours in "
        f"{chance_of(right, n):.0%} of games."
    )


def rule_text(score: Interval) -> str:
    """What the rule's score says about EP's regions and random exemplars'."""
    said = f"{score:.0%}"
    if score.low > 0.5:
        what = "EP's regions look a little more alike than random exemplars'"
        return f"Saying “EP” when members share something scores {said}: {what}."
    if score.high < 0.5:
        what = "random exemplars' regions look more alike than EP's"
        return f"Saying “EP” when members share something scores {said}, worse than a coin: {what}."
    return f"Saying “EP” when members share something scores {said}: no better than a coin."
