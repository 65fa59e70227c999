"""Tables of builds: where growth stopped, K by depth, K of longer streams predicted.

`runs` is the joined `builds.order_builds` of all streams and percentiles, with columns layer and p.

Does not know: dictionaries, activations, what was published.
"""

import pandas as pd

from epkit.stats import poisson_interval, t_interval
from epkit.studies.saturation.estimates import extrapolate
from epkit.studies.saturation.pool import MIXED

CELL = ["p", "layer", "domain"]


def stream_table(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per p and domain: K over orders, what the last doubling added, both stopping rules.

    "least that could be told": the upper end of the 95 % interval of a doubling that adds nothing,
    as a share of K; above a tenth, no stream of that K can be called saturated. Rules: how many
    orders stopped, after how many activations (median), what share of K came later (most).
    """
    groups = runs.groupby(["p", "domain"], sort=False)
    table = pd.DataFrame({
        "K": groups.K.apply(_range),
        "the last doubling added": groups.apply(lambda g: (g.K / g.half - 1).mean()),
        "least that could be told": poisson_interval(0).high / groups.half.mean(),
        "verdicts": groups.verdict.apply(
            lambda said: ", ".join(f"{state} {k}" for state, k in said.value_counts().items())
        ),
    })  # fmt: skip
    for title, rule in (("published rule", "quiet"), ("our rule", "doubled")):
        table[title] = groups.apply(_stopped, rule)
    return table


def _range(k: pd.Series) -> str:
    return f"{k.min():,}–{k.max():,}" if k.min() < k.max() else f"{k.min():,}"


def _stopped(runs: pd.DataFrame, rule: str) -> str:
    stopped = runs[runs[f"{rule} at"].notna()]
    if stopped.empty:
        return f"0 of {len(runs)}"
    return (
        f"{len(stopped)} of {len(runs)} at {stopped[f'{rule} at'].median():,.0f}, "
        f"then +{stopped[f'{rule} missed'].max():.0%}"
    )


def stopping_marks(runs: pd.DataFrame) -> pd.DataFrame:
    """Where a stream's own order stopped by each rule: columns p, domain, rule, n, K."""
    return pd.DataFrame([
        {
            "p": row.p, "domain": row.domain, "rule": rule, "n": at,
            "K": int((row.founded < at).sum()),
        }
        for _, row in runs[runs.order == 0].iterrows()
        for rule, at in (("published", row["quiet at"]), ("ours", row["doubled at"]))
        if at == at
    ], columns=["p", "domain", "rule", "n", "K"])  # fmt: skip


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


def prediction_errors(ratios: pd.DataFrame) -> pd.DataFrame:
    """Of `predictions`, a row a method; per p the mean error, the typical one, the share below."""
    by_p = {
        "mean error": ratios.groupby("p").mean().T - 1,
        "typical error": (ratios - 1).pow(2).groupby("p").mean().T ** 0.5,
        "below K of the whole": (ratios < 1).groupby("p").mean().T,
    }
    errors = pd.concat(by_p, axis=1).swaplevel(axis=1)
    return errors.sort_index(axis=1, level=0, sort_remaining=False)
