"""Which directions do what their lens says: means with intervals, the rule, what goes with it.

The rule, fixed before these texts were looked at: a direction does what its lens says if steering
along it raises its promoted tokens, and ablating it lowers them at its members, each by more than
95 % of random directions do with the tokens that *their* lens names. By luck 5 % pass either half.
Random directions have the activations' spread; isotropic ones are judged by them like the rest.

Intervals resample regions. Does not know: models, texts.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from epkit.dictionary import Dictionary
from epkit.stats import (
    Interval,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_pairs,
    minimum_detectable,
    proportion,
    rank_correlation,
    wins,
)
from epkit.studies.effects.drawing import EP, MADE_UP, RANDOM, Trial
from epkit.studies.effects.measures import ABLATE, STEER

QUANTILE = 0.95
GROUP = ["kind", "percentile", "basis"]


def drawn_sizes(
    trials: Sequence[Trial], own: dict[float, Dictionary], random: dict[float, Dictionary]
) -> pd.DataFrame:
    """Regions, drawn and in all, with their median members in the build and among these texts."""
    rows = []
    for kind, dictionaries in ((EP, own), (RANDOM, random)):
        for p, d in dictionaries.items():
            drawn = [t for t in trials if (t.kind, t.percentile, t.basis) == (kind, p, "exemplar")]
            counts = d.counts.cpu().numpy()
            rows.append({
                "directions": kind, "p": f"{p:g}", "K": len(d), "drawn": len(drawn),
                "members, drawn": np.median(counts[[t.region for t in drawn]]),
                "members, all": np.median(counts),
                "tokens ablated as members": np.median([int(t.members.sum()) for t in drawn]),
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["directions", "p"])


def judged(effects: pd.DataFrame) -> pd.DataFrame:
    """A row a direction: what steering and ablating gave, and whether it passes the rule.

    effects : of `measure_all`. `raised` and `lowered` are Δlogit of the promoted tokens, the second
    with its sign turned; `raises`, `lowers` and `both` whether they pass.
    """
    made = effects.copy()
    made["percentile"] = made["percentile"].fillna(-1.0)
    steered, ablated = (made[made.edit == e].set_index([*GROUP, "region"]) for e in (STEER, ABLATE))
    found = pd.DataFrame({
        "raised": steered["lift"], "lowered": -ablated["lift"], "z": steered["z"],
        "loss members": ablated["loss members"], "kl members": ablated["kl members"],
    }).reset_index()  # fmt: skip
    null = found[found.kind == MADE_UP]
    for value, passes in (("raised", "raises"), ("lowered", "lowers")):
        found[passes] = found[value] > np.quantile(null[value], QUANTILE)
    return found.assign(both=found["raises"] & found["lowers"])


def promoted_table(effects: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Δlogit of promoted tokens a group of directions: `Interval` cells.

    "P(above)": the probability that a direction of the group moves its tokens further than a random
    direction does; both are resampled.
    """
    null, rows = found[found.kind == MADE_UP], {}
    for group, own in found.groupby(GROUP, sort=False):
        row = {}
        for edit, value in ((STEER, "raised"), (ABLATE, "lowered")):
            measured = _of(effects, group, edit)
            row[f"{edit}: own tokens"] = bootstrap_mean(measured["lift"])
            row[f"{edit}: another's"] = bootstrap_mean(measured["other"])
            pairs = wins(own[[value]].to_numpy(), null[[value]].to_numpy())
            row[f"{edit}: P(above)"] = "–" if group[0] == MADE_UP else bootstrap_pairs(pairs)
        rows[group] = row
    return _framed(rows)


def behaviour_table(effects: pd.DataFrame) -> pd.DataFrame:
    """KL and Δloss in nats a token, a group of directions: `Interval` cells."""
    rows = {}
    for group in (
        effects.fillna({"percentile": -1.0})[GROUP].drop_duplicates().itertuples(index=False)
    ):
        steered, ablated = (_of(effects, tuple(group), edit) for edit in (STEER, ABLATE))
        rows[tuple(group)] = {
            "steered: KL": bootstrap_mean(steered["kl"]),
            "ablated: KL, members": bootstrap_mean(ablated["kl members"]),
            "KL, others": bootstrap_mean(ablated["kl"]),
            "Δloss, members": bootstrap_mean(ablated["loss members"]),
            "Δloss, others": bootstrap_mean(ablated["loss"]),
            "Δloss, members − others": bootstrap_difference(
                ablated["loss members"], ablated["loss"]
            ),
        }
    return _framed(rows)


def rule_table(found: pd.DataFrame) -> pd.DataFrame:
    """The share of every group that passes, and its difference from random exemplars'.

    Shares have Wilson's interval, at the random directions that there are; the difference
    resamples both groups, and "detectable" is the least that would have been shown.
    """
    rows = {}
    for group, own in found.groupby(GROUP, sort=False):
        shares = {
            "steering raises": proportion(own["raises"]),
            "ablating lowers": proportion(own["lowers"]),
            "both": proportion(own["both"]),
        }
        minus, least = "–", "–"
        if group[0] == EP:
            control = found[_is(found, (RANDOM, *group[1:]))]
            minus = bootstrap_difference(own["both"], control["both"], paired=False)
            least = minimum_detectable(minus)
        rows[group] = {
            "n": len(own),
            **shares,
            "both, less random exemplars": minus,
            "detectable": least,
        }
    return _framed(rows)


def loss_beyond_random(effects: pd.DataFrame, percentile: float, basis: str) -> Interval:
    """Δloss of members under ablation, less that of a random direction at the same tokens.

    percentile : the one whose regions lent the random directions their texts.
    """
    own = _of(effects, (EP, percentile, basis), ABLATE)
    null = _of(effects, (MADE_UP, -1.0, "–"), ABLATE)
    return bootstrap_difference(own["loss members"], null["loss members"])


def correlates_table(found: pd.DataFrame, dictionaries: dict[float, Dictionary]) -> pd.DataFrame:
    """Spearman's correlation over regions of how far they move their tokens with what they are.

    dictionaries : {percentile: the one of EP}; rows are percentile and basis. `Interval` cells,
    "–" where one side is constant.
    """
    rows = {}
    for (_, p, basis), own in found[found.kind == EP].groupby(GROUP, sort=False):
        d, region = dictionaries[p], own["region"].to_numpy()
        facts = {
            "z": own["z"].to_numpy(), "members": d.counts.cpu().numpy()[region],
            "coherence": d.coherence.cpu().numpy()[region],
        }  # fmt: skip
        rows[p, basis] = {
            f"{value} ~ {name}": _correlation(own[value], fact)
            for value in ("raised", "lowered")
            for name, fact in facts.items()
        }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.rename_axis(["p", "basis"])


def region_listing(
    found: pd.DataFrame,
    percentile: float,
    basis: str,
    names: Sequence[str],
    promoted: dict[int, str],
    n: int,
) -> pd.DataFrame:
    """The n/2 regions that steering raised most and the n/2 it raised least, a row each.

    names : of all regions; promoted : {region: its promoted tokens, as text}.
    """
    own = found[_is(found, (EP, percentile, basis))]
    own = own.sort_values("raised", ascending=False, kind="stable")
    own = own if len(own) <= n else pd.concat([own.head(n // 2), own.tail(n // 2)])
    return pd.DataFrame([
        {
            "region": f"{r.region} {names[r.region]}", "promoted": promoted[r.region],
            "raised": r.raised, "lowered": r.lowered, "Δloss, members": loss,
            "passes": "both" if r.both else "raises" if r.raises else "lowers" if r.lowers else "–",
        }
        for r, loss in zip(own.itertuples(), own["loss members"], strict=True)
    ])  # fmt: skip


def _of(effects: pd.DataFrame, group: tuple, edit: str) -> pd.DataFrame:
    """The rows of a group, by region; -1 stands for no percentile."""
    filled = effects.fillna({"percentile": -1.0})
    return filled[_is(filled, group) & (filled.edit == edit)]


def _is(frame: pd.DataFrame, group: tuple) -> pd.Series:
    kind, percentile, basis = group
    return (frame.kind == kind) & (frame.percentile == percentile) & (frame.basis == basis)


def _framed(rows: dict[tuple, dict]) -> pd.DataFrame:
    """Rows by group, the percentile as text."""
    named = {(k, "–" if p < 0 else f"{p:g}", b): row for (k, p, b), row in rows.items()}
    frame = pd.DataFrame.from_dict(named, orient="index")
    return frame.rename_axis(["directions", "p", "basis"])


def _correlation(x, y) -> Interval | str:
    if len(x) < 3 or min(np.ptp(x), np.ptp(y)) == 0:
        return "–"
    return rank_correlation(x, y)


def as_percent(cell: object) -> str:
    """A cell of `rule_table`: shares in percent."""
    if isinstance(cell, float) and np.isnan(cell):
        return "–"
    return f"{cell:.0%}" if isinstance(cell, Interval | float) else str(cell)


def as_decimal(cell: object) -> str:
    """A cell of two decimals, or the text that stands there."""
    return f"{cell:.2f}" if isinstance(cell, Interval | float) else str(cell)
