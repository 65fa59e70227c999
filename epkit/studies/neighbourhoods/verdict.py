"""The verdict of the study in sentences: what each table of it shows, with its intervals.

Does not know: activations, dictionaries; how a table came about.
"""

from collections.abc import Mapping

import pandas as pd

from epkit.stats import Interval
from epkit.studies.neighbourhoods.sizes import SMALL


def between_said(excess: pd.DataFrame, p: float) -> str:
    """Of an `excess_table`: what lies between far and near anchors."""
    near, far = (excess.loc[(span, p)] for span in ("near: d < 0.9", "far: d ≥ 0.9"))
    little = "little" if abs(far["EP: excess"].value) < 0.02 else "something"
    random, made_up = near["EP − random exemplars"], near["EP − made-up directions"]
    return (
        f"BETWEEN. Of anchors 0.9 to 1.2 apart the criterion says {little}: "
        f"{far['EP: between']:.0%} of all regions lie between them, "
        f"{_percent(far['EP: excess'])} more than if nearness to one had nothing to do with "
        f"nearness to the other. Between nearer anchors lie {near['EP: between']:.2%}, "
        f"{_percent(near['EP: excess'], 2)} beyond chance; that is {_compared(random)} random "
        f"exemplars at the same distances (difference {_percent(random, 2)}) and "
        f"{_compared(made_up)} made-up directions ({_percent(made_up, 2)})."
    )


def paths_said(paths: pd.DataFrame, gains: Mapping[float, Mapping[str, Interval]], p: float) -> str:
    """Of `compare_paths`: how near steps are, and how often they pass what lies between."""
    ep, random = (paths.loc[(p, name)] for name in ("EP", "random exemplars"))
    gain = gains[p]["random exemplars"]
    no_difference = gain.low <= 0 <= gain.high
    return (
        f"PATHS. A step has a mean cosine of {ep['mean cosine of a step']}; exemplars allow at "
        f"most {ep['1 − θ']:.3f}; random exemplars, which may lie nearer, have "
        f"{random['mean cosine of a step']} in more and shorter steps. Inner nodes lie between the "
        f"ends more often than all regions do, by {ep['more than of all regions']}, "
        f"{_compared(gain)} those of random exemplars (difference {gain})"
        + (
            ": paths show how activations lie, not what the partition found"
            if no_difference
            else ""
        )
        + "."
    )


def splits_said(nesting: pd.DataFrame) -> str:
    """Of a `nesting_table`: how purely fine regions lie in coarse ones."""
    steps = [
        f"{row['EP']:.2f} for p {fine:g} in p {coarse:g} (shuffled {row['shuffled']:.2f}; random "
        f"exemplars with as many in common {row['random, as many shared']:.2f}, EP "
        f"{_compared(row['EP − random'])} that: {row['EP − random']})"
        for (coarse, fine), row in nesting.iterrows()
    ]
    return (
        "SPLITS. Two members of a fine region share their coarse one with probability "
        f"{'; '.join(steps)}. So fine regions nest far from perfectly in coarse ones."
    )


def neighbours_said(sharing: pd.DataFrame) -> str:
    """Of a `sharing_table`: a line for everything that neighbours can share."""
    lines = []
    for measure, row in sharing.iterrows():
        pairs, control = row["more than random pairs"], row["EP more than those"]
        lines.append(
            f"NEIGHBOURS, {measure}: {row['neighbours']:.3f}, {_compared(pairs)} random pairs of "
            f"equal size with {row['random pairs']:.3f} (difference {pairs}); "
            f"{_compared(control)} random exemplars at the same distances with "
            f"{row['random exemplars, same distance']:.3f} (difference {control})."
        )
    return "\n".join(lines)


def small_regions_said(recurring: pd.DataFrame, layer: int, p: float, n_new: int) -> str:
    """Of a `recurrence_table`: whether small regions recur among n_new activations."""
    row = recurring.loc[(layer, p)]
    where = f"SMALL REGIONS at layer {layer}, p = {p:g}"
    if not row["small"]:
        return f"{where}: there is none with at most {SMALL} members."
    recur, same, chance = row["small that recur"], row["same word"], row["same word, shuffled"]
    near, nowhere = row["any within θ, small"], row["any within θ, made-up"]
    control = row["EP − random"]
    beside = control and (
        f", {_compared(control)} random exemplars of the same size (difference {_percent(control)})"
    )
    real = near.low > nowhere.high and same and same.low > chance.high
    return (
        f"{where} ({row['small']:,} of {row['K']:,} have at most {SMALL} members in the build "
        f"half): {_percent(recur)} get a new member in other documents{beside or ''}. "
        f"Some new activation comes within θ of {_percent(near)} of them, of made-up directions "
        f"{_percent(nowhere)}. New members are the exemplar's own word in {_percent(same)}, "
        f"shuffled {_percent(chance)}. So those that recur "
        f"{'are rare features rather than' if real else 'cannot be told from'} noise; the "
        f"{1 - recur.value:.0%} without a new member among {n_new:,} new activations could be "
        "either."
    )


def density_said(shape: pd.DataFrame, layer: int, p: float) -> str:
    """Of a `shape_table`: how crowded small regions are."""
    median = shape["density of regions of at most three"]
    return (
        f"Small means another thing for random exemplars: {median['random exemplars']:,.0f} "
        "activations lie within θ of a small one of theirs (median), which others take, and "
        f"{median['EP']:,.0f} within θ of a small region of EP (layer {layer}, p = {p:g})."
    )


def rate_said(recurring: pd.DataFrame) -> str:
    """Of a `recurrence_table`: whether small regions gain as things of a steady rate would."""
    steady = [
        row["new members"].low > row["others in build"]
        for _, row in recurring.iterrows()
        if row["new members"]
    ]
    return (
        f"In {sum(steady)} of {len(steady)} dictionaries small regions get more new members than "
        "they had others in the build half, as things of a steady rate would that were picked for "
        "being small."
    )


def _compared(difference: Interval) -> str:
    if difference.low > 0:
        return "more than"
    return "less than" if difference.high < 0 else "not evidently different from"


def _percent(interval: Interval | None, digits: int = 1) -> str:
    if interval is None:
        return "none there"
    value, low, high = (f"{x:.{digits}%}" for x in interval)
    return f"{value} [{low}, {high}]"
