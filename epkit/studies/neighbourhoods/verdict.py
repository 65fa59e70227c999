"""The verdict of the study in sentences: what each table of it shows, with its intervals.

Does not know: activations, dictionaries; how a table came about.
"""

from collections.abc import Mapping

import pandas as pd

from epkit.stats import Interval, least_detectable, minimum_detectable
from epkit.studies.neighbourhoods.sizes import SMALL


def between_said(near: pd.DataFrame) -> str:
    """Of an `excess_table` of near pairs of means, the published setting: EP beside the others."""
    levels, others = near.index.unique("p"), [k for k in near.index.unique("points") if k != "EP"]
    own = [
        f"p {p:g} {row['between']:.2%}, by chance {row['chance']:.2%} (excess "
        f"{_percent(row['excess'], 2)})"
        for p, row in near.xs("EP", level="points").iterrows()
    ]
    above = [p for p in levels if near.loc[(p, "EP"), "excess"].low > 0]
    shown = "Nothing more than chance is shown"
    if above:
        shown = "More than chance at " + ("every p" if len(above) == len(levels) else _all(above))
    compared = [
        f"{kind}: "
        + ", ".join(f"p {p:g} {_against(near.loc[(p, kind), 'EP more'])}" for p in levels)
        for kind in others
    ]
    return (
        "BETWEEN, as published (means; near: the nearest tenth of all pairs). Between two near "
        f"regions lie, of all others: {'; '.join(own)}. {shown}. EP's excess beside that of other "
        f"points at the same distances, {'; '.join(compared)}."
    )


def also_between_said(tables: Mapping[str, pd.DataFrame]) -> str:
    """What the published claim is not about: {what: `excess_table` of EP's other pairs}."""
    lines = [
        f"{what}: "
        + ", ".join(
            f"p {p:g} {row['between']:.1%}, by chance {row['chance']:.1%} (excess "
            f"{_percent(row['excess'], 2)})"
            for p, row in table.xs("EP", level="points").iterrows()
        )
        for what, table in tables.items()
    ]
    return f"ALSO BETWEEN, outside the published setting. {'; '.join(lines)}."


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
    purest = nesting["EP"].max()
    how = "far from perfectly" if purest < 0.75 else "in part" if purest < 0.95 else "nearly whole"
    return (
        "SPLITS. Two members of a fine region share their coarse one with probability "
        f"{'; '.join(steps)}. So fine regions nest {how} in coarse ones."
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


def _all(levels: list[float]) -> str:
    return "p " + ", ".join(f"{p:g}" for p in levels)


def _against(more: Interval | None) -> str:
    if more is None:
        return "no pairs so near"
    least = f"not shown to differ, {minimum_detectable(more):.2%} would have been"
    return f"{more.side('greater', 'smaller', least)} ({_percent(more, 2)})"


def _compared(difference: Interval) -> str:
    would = least_detectable(difference, "({:.3f} would have been) ")
    return difference.side("more than", "less than", f"not evidently {would}different from")


def _percent(interval: Interval | None, digits: int = 1) -> str:
    if interval is None:
        return "none there"
    value, low, high = (f"{x:.{digits}%}" for x in interval)
    return f"{value} [{low}, {high}]"
