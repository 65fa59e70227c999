"""Tables of builds: sizes and verdicts, the usual stopping rule, K of longer streams predicted.

`runs` is the joined `builds.order_builds` of all layers and percentiles, with columns layer and p.

Does not know: dictionaries, activations, what was published.
"""

from collections.abc import Mapping

import pandas as pd

from epkit.calibration import Calibration
from epkit.stats import Interval, t_interval
from epkit.studies.saturation.builds import PARTS
from epkit.studies.saturation.estimates import extrapolate
from epkit.studies.saturation.pool import MIXED

CELL = ["p", "layer", "domain"]


def count_text(interval: Interval) -> str:
    """A number of regions and its limits, without decimals."""
    return f"{interval.value:,.0f} [{interval.low:,.0f}, {interval.high:,.0f}]"


def stream_table(runs: pd.DataFrame, calibrations: Mapping[int, Calibration]) -> pd.DataFrame:
    """K with its interval over orders, growth, verdicts, estimates; a row per p, layer, domain."""
    groups = runs.groupby(CELL, sort=False)
    return pd.DataFrame({
        "θ": [calibrations[layer].thresholds[p] for p, layer, _ in groups.groups],
        "K": groups.K.apply(t_interval),
        "added by the second half": groups.apply(lambda g: (g.K / g.half - 1).mean()),
        "verdicts": groups.verdict.apply(
            lambda said: ", ".join(f"{state} {k}" for state, k in said.value_counts().items())
        ),
        "Chao1": groups["Chao1 whole"].first(),
        "Chao2": groups["Chao2 whole"].first(),
        "K at twice the length": groups.apply(lambda g: extrapolate(g.half.mean(), g.K.mean())),
    })  # fmt: skip


def stopping_rule(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per p: how many streams fell quiet, and which share of their regions came after."""
    quiet = runs.assign(quiet=runs["quiet at"].notna()).groupby("p").quiet
    stopped = runs[runs["quiet at"].notna()]
    later = stopped["founded later"] / (stopped.K - stopped["founded later"])
    later = later.groupby(stopped.p)
    return pd.DataFrame({
        "streams": quiet.size(),
        "quiet once": quiet.sum(),
        "founded after, mean": later.mean(),
        "founded after, most": later.max(),
    }).fillna(0)  # fmt: skip


def depth_table(table: pd.DataFrame, p: float) -> pd.DataFrame:
    """K with its interval: columns layer, domain, K, low, high, of builds at one p."""
    k = table[table.p == p].groupby(["layer", "domain"], sort=False).K.apply(t_interval)
    return pd.DataFrame(
        [(*key, *v) for key, v in k.items()], columns=["layer", "domain", "K", "low", "high"]
    )


def predictions(runs: pd.DataFrame) -> pd.DataFrame:
    """Predicted over observed K of the whole, from the first half; mean over orders first.

    A row per p, layer and domain (not the mixed stream), a column a method.
    """
    columns = ["quarter", "half", "K", "Chao1", "Chao2"]
    of = runs[runs.domain != MIXED].groupby(CELL, sort=False)[columns].mean()
    laws = [extrapolate(a, b) for a, b in zip(of.quarter, of.half, strict=True)]
    predicted = {
        "K stays": of.half,
        "Chao1": of.Chao1,
        "Chao2": of.Chao2,
        "log law": [law.low for law in laws],
        "between": [law.value for law in laws],
        "power law": [law.high for law in laws],
    }
    return pd.DataFrame(predicted, index=of.index).div(of.K, axis=0)


def by_method(ratios: pd.DataFrame) -> pd.DataFrame:
    """`predictions` as a long table: columns p, layer, domain, method, ratio."""
    return ratios.stack().rename("ratio").rename_axis([*CELL, "method"]).reset_index()


def prediction_errors(ratios: pd.DataFrame) -> pd.DataFrame:
    """Of `predictions`, a row a method; per p the mean error, the typical one, the share below."""
    by_p = {
        "mean error": ratios.groupby("p").mean().T - 1,
        "typical error": (ratios - 1).pow(2).groupby("p").mean().T ** 0.5,
        "below K of the whole": (ratios < 1).groupby("p").mean().T,
    }
    errors = pd.concat(by_p, axis=1).swaplevel(axis=1)
    return errors.sort_index(axis=1, level=0, sort_remaining=False)


def longer_stretch(long: pd.DataFrame) -> pd.DataFrame:
    """How the growth laws hold over a doubling and over two: mean over layers, a row per p, times.

    long : `builds.long_builds`, a row per (p, layer). "held": the share of layers whose K lies
    between the laws, give or take 5 %.
    """
    rows = []
    for (p, _), k in long.iterrows():
        for times in PARTS[1:3]:
            half, whole = k[f"1/{2 * times}"], k[f"1/{times}"]
            value, low, high = extrapolate(half, whole, times)
            rows.append({
                "p": p, "times": times, "log law": low / k["1/1"] - 1,
                "power law": high / k["1/1"] - 1, "between": value / k["1/1"] - 1,
                "held": 0.95 * low <= k["1/1"] <= 1.05 * high,
            })  # fmt: skip
    return pd.DataFrame(rows).groupby(["p", "times"]).mean()
