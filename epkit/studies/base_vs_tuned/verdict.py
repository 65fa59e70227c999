"""The verdict: the notebook's tables in sentences, worded as the numbers have it.

Does not know: dictionaries, models; it reads tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from epkit.studies.base_vs_tuned.agreement import FLOOR, NOISE, OTHER, SAME, brief_interval
from epkit.studies.base_vs_tuned.counterparts import GROUPS
from epkit.studies.base_vs_tuned.final_tokens import FINAL, kind_label

PERSISTED, MEDIAN = "persisted ≥ .7", "median cosine"
NEAR = 0.1
"""Shares persisted that differ by less are called alike."""
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class VerdictTables:
    """What the verdict reads: tables of `agreement`, `final_tokens`, `refusing`, `counterparts`.

    percentile : of all positions, {layer: p}. shown (layer, p) of the sentences on cosines.
    """

    cosines: pd.DataFrame
    lost: pd.DataFrame
    members: pd.DataFrame
    final: pd.DataFrame
    counterpart: pd.DataFrame
    ranks: pd.DataFrame
    percentile: Mapping[int, float]
    shown: tuple[int, float]


def tuning_verdict(tables: VerdictTables, *, embedded: bool) -> list[str]:
    """The sentences, one a line. embedded: the pair is the one that is fine-tuned here."""
    lines = [*_on_cosines(tables), _on_members(tables)]
    for layer in tables.percentile:
        lines += _on_final_tokens(tables, layer)
    return [
        *lines,
        _on_all_ranks(tables.ranks),
        _on_harm(tables.final),
        _published(tables, embedded),
    ]


def _cosines(tables: VerdictTables, name: str, layer: int, p: float) -> pd.Series:
    """The row of a comparison, by exemplars."""
    return tables.cosines.loc[(layer, p, "exemplar", name)]


def _on_cosines(tables: VerdictTables) -> list[str]:
    layer, p = tables.shown
    floor, other, same, noise = (
        _cosines(tables, name, *tables.shown) for name in (FLOOR, OTHER, SAME, NOISE)
    )
    kept = {name: row[PERSISTED].value for name, row in (("floor", floor), ("other", other))}
    gaps = list(tables.lost["own centres"])
    seen = sum(gap.low > 0 for gap in gaps)
    return [
        f"Layer {layer}, p {p:g}, exemplars: in another stream order the median matched cosine is "
        f"{other[MEDIAN].value:.2f} between base and tuned and {floor[MEDIAN].value:.2f} between "
        f"base and base; at the published cutoff .7 {kept['other']:.0%} and {kept['floor']:.0%} "
        f"persist. Of its own regions the same model drops {1 - kept['floor']:.0%} at .7, so a "
        "region dropped there "
        + ("says nothing about the fine-tune." if kept["other"] > kept["floor"] - NEAR
           else "says something about the fine-tune only as one of many."),
        f"Beyond that floor the fine-tune costs a mean cosine of {min(g.value for g in gaps):.3f} "
        f"to {max(g.value for g in gaps):.3f}; the 95 % interval is above zero in {seen} of "
        f"{len(gaps)} settings (layers, percentiles, bases).",
        f"With the same stream order {same[PERSISTED].value:.0%} persist at .7 (median cosine "
        f"{same[MEDIAN].value:.2f}); a random push of equal size leaves "
        f"{noise[PERSISTED].value:.0%}.",
    ]  # fmt: skip


def _on_members(tables: VerdictTables) -> str:
    floor, other, same, noise = (
        tables.members.loc[(*tables.shown, name)].AMI.value for name in (FLOOR, OTHER, SAME, NOISE)
    )
    return (
        f"By members: adjusted mutual information {other:.2f} (other order, tuned) against "
        f"{floor:.2f} (other order, same model), {same:.2f} in the same order against {noise:.2f} "
        "for an equal-sized random push."
    )


def _on_final_tokens(tables: VerdictTables, layer: int) -> list[str]:
    p = tables.percentile[layer]
    mine = tables.final.loc[layer].loc[kind_label(p)]
    largest, ami = (
        mine["prompts in the largest"],
        mine["AMI of region and harm"].map(brief_interval),
    )
    lines = [
        f"Layer {layer}, p {p:g}, final tokens: the largest region holds {largest.base.value:.0%} "
        f"of the prompts in the base and {largest.tuned.value:.0%} in the tuned model; region and "
        f"harm share AMI {ami.base} in the base and {ami.tuned} in the tuned model; with random "
        f"exemplars {ami['base, random exemplars']} and {ami['tuned, random exemplars']}."
    ]
    key = (layer, kind_label(p), "own", "members", "recurring")
    if key in tables.ranks.index:
        lines += [_on_counterpart(tables.counterpart.loc[layer]), _on_rank(tables.ranks.loc[key])]
    return lines


def _on_counterpart(was: pd.DataFrame) -> str:
    """was : a row an order."""
    return (
        f"  The refusal region's best counterpart in the base overlaps it by "
        f"{was.overlap.min():.2f} to {was.overlap.max():.2f} (Jaccard) in the same order, and by "
        f"{was['overlap, base orders'].mean():.2f} in other orders, where the tuned model's own "
        f"regions overlap it by {was['overlap, own orders'].mean():.2f} (means). "
        f"{was['at final tokens'].mean():.0%} of the counterpart's members are final tokens, and "
        f"it has the nearest mean in {was['is the same'].sum()} of {len(was)} orders. Harmful are "
        f"{was['base harmful'].mean():.0%} of the prompts in it in the base and "
        f"{was.harmful.mean():.0%} in the tuned model."
    )


def _on_rank(row: pd.Series) -> str:
    (rank, p), (rank_large, p_large), (rank_like, p_like) = (
        (row[f"{group}: rank"], row[f"{group}: p"]) for group in GROUPS
    )
    below = sum(interval.high < ALPHA for interval in (p, p_large, p_like))
    return (
        f"  The refusal region is {rank} by its missing counterpart (mean p {p}), {rank_large} of "
        f"those with 8 members or more ({p_large}), {rank_like} beside 20 of its size and "
        f"coherence ({p_like}). p lies below .05, interval included, in {below} of 3 comparisons "
        "(against 20 the least possible is .048)."
    )


def _on_all_ranks(ranks: pd.DataFrame) -> str:
    whole = ranks.drop(index=FINAL, level="dictionary", errors="ignore")
    whole = whole.xs("recurring", level="score")
    values = [interval.value for interval in whole["all: p"]]
    apart = sum(
        max(row[f"{group}: p"].high for group in GROUPS) < ALPHA for _, row in whole.iterrows()
    )
    return (
        f"Over all {len(whole)} settings (layer, p, centre, similarity; dictionaries of all "
        f"positions) the mean p against all regions runs from {min(values):.3f} to "
        f"{max(values):.3f}, and the refusal region is set apart in all three comparisons in "
        f"{apart}: what was put in {'can be' if apart > len(whole) / 2 else 'is not'} found by "
        "asking which region is new."
    )


def _on_harm(final: pd.DataFrame) -> str:
    up = over = 0
    amis = final["AMI of region and harm"].unstack("checkpoint")
    for _, ami in amis.iterrows():
        up += ami.tuned.low > ami.base.high
        over += ami.tuned.low > max(ami.base.high, ami["tuned, random exemplars"].high)
    return (
        "Which region a final token lies in says more about harm in the tuned model than in the "
        f"base, in every order, in {up} of {len(amis)} settings (layer, dictionary), and more than "
        f"with random exemplars in {over}."
    )


def _published(tables: VerdictTables, embedded: bool) -> str:
    p = tables.cosines.index.unique("p")[-1]
    medians = {
        layer: _cosines(tables, FLOOR, layer, p)[MEDIAN].value for layer in tables.percentile
    }
    return (
        "Published for Gemma-2-2B against -it "
        f"({'another model, far more tuning, ' if embedded else ''}one order each): layer 12, "
        "p 10: 15 of 203 and 145 regions persisted at .7, median cosine .24; layer 20: 5 "
        "persisted, median .20. No floor was given; here the coarsest dictionaries of one model "
        f"(p {p:g}) have a median of "
        + " and ".join(f"{value:.2f} (layer {layer})" for layer, value in medians.items())
        + " in two orders."
    )
