"""What was found, as tables: settings, baselines, dictionaries at equal K, readouts.

AUROCs come as {method: (runs, C)}. Every interval resamples concepts *and* runs (orders, seeds,
draws), independently of each other; a difference is of the same concepts. "detectable" is the least
true difference that an interval of that width would have shown (power .8).

Does not know: how scores came about; activations, but for the author's own scoring; files.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from epkit.stats import Interval, bootstrap_pairs, minimum_detectable
from epkit.studies.axbench.comparison import (
    DIFFMEAN,
    LABELLED,
    POOLED_PROBE,
    PROBE,
    SAE,
    named,
)
from epkit.studies.axbench.configurations import (
    CORPUS,
    FEW,
    ONE,
    READINGS,
    TRAINING,
    Dictionaries,
)
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.methods import few_features, pool_regions, read_all
from epkit.studies.axbench.protocol import RowActivations, evaluate
from epkit.studies.axbench.rivals import DRAWN, EP, KINDS

TEXTS = (CORPUS, TRAINING)
BETTER, WORSE, OPEN = "better", "worse", "no difference shown"
AGAINST = ((ONE, DIFFMEAN), (ONE, PROBE), (FEW, PROBE), (FEW, POOLED_PROBE), (ONE, SAE), (FEW, SAE))
"""What EP's readings are compared with: fitted to tokens' labels, to rows, or not at all (SAE)."""

Aurocs = Mapping[str, np.ndarray]


def mean_over(aurocs: np.ndarray) -> Interval:
    """Mean of (runs, C) AUROCs, resampling both."""
    return bootstrap_pairs(aurocs, draws=10_000)


def run_difference(a: np.ndarray, b: np.ndarray) -> Interval:
    """Mean of a (runs, C) less that of b (other runs, C), resampling concepts and both's runs."""
    return bootstrap_pairs([2 * a, -2 * b], draws=10_000)


def with_sign(interval: Interval) -> str:
    """A difference as text."""
    return f"{interval:+.3f}"


def concept_table(concepts: Iterable[Concept], texts: Sequence[str]) -> pd.DataFrame:
    """Concepts with their rows and the beginning of one positive test text."""
    return pd.DataFrame([
        {
            "concept": c.name,
            "training +/−": f"{c.train_labels.sum()}/{(~c.train_labels).sum()}",
            "test +/−": f"{c.test_labels.sum()}/{(~c.test_labels).sum()}",
            "hard negatives": len(c.hard), "a positive": texts[c.test[0]][:85],
        }
        for c in concepts
    ])  # fmt: skip


def dictionary_table(
    dictionaries: Dictionaries, seconds: Mapping[tuple[str, float], float]
) -> pd.DataFrame:
    """Dictionaries with their size and the seconds they took."""
    return pd.DataFrame([
        {
            "built on": name, "p": p, "K": len(d), "threshold": d.threshold, "activations": d.n,
            "seconds": seconds[name, p],
        }
        for (name, p), d in dictionaries.items()
    ])  # fmt: skip


def score_table(table: pd.DataFrame, caption: str) -> Styler:
    """A table of scores to show: three decimals, whole tokens, names escaped."""
    style = table.style.format(precision=3, na_rep="—", escape="html").set_caption(caption)
    style = style.format_index(escape="html")
    counts = [c for c in ("build tokens", "forward tokens") if c in table]
    if counts:
        style = style.format("{:,.0f}", subset=counts).format("{:.1f}", subset="seconds")
    return style


def configuration_table(grid: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Mean AUROC on test rows: a row per dictionary, columns by `columns` of the grid."""
    return grid.pivot_table(index=["built on", "p", "K"], columns=list(columns), values="AUROC")


def score_rows(
    aurocs: Aurocs, hard: Mapping[str, float], costs: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """A row a method, the best first: AUROC with its interval, runs, hard negatives, costs.

    hard : mean accuracy on hard negatives.
    """
    rows = [
        {
            "method": m, "AUROC": mean_over(found), "runs": len(found), "hard negatives": hard[m],
            **costs[m],
        }
        for m, found in aurocs.items()
    ]  # fmt: skip
    table = pd.DataFrame(rows).set_index("method")
    return table.sort_values("AUROC", key=lambda column: column.map(lambda i: -i.value))


def settings_table(aurocs: Aurocs) -> pd.DataFrame:
    """EP against random exemplars at equal K: a row per text and reading that were measured."""
    rows = []
    for text in TEXTS:
        for reading in READINGS:
            names = [named(kind, reading, text) for kind in (EP, DRAWN)]
            if not aurocs.keys() >= {*names}:
                continue
            own, drawn = (aurocs[name] for name in names)
            gain = run_difference(own, drawn)
            rows.append({
                "built on": text, "reading": reading, "EP": mean_over(own),
                "random exemplars": mean_over(drawn), "difference": gain,
                "detectable": minimum_detectable(gain), "EP is": gain.side(BETTER, WORSE, OPEN),
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["built on", "reading"])


def equal_table(aurocs: Aurocs, text: str) -> pd.DataFrame:
    """Every kind of dictionary of one text at equal K, by its own best reading of one and of few.

    Columns: runs, AUROC, spread of runs (their standard deviation), against random exemplars,
    detectable, verdict.
    """
    rows = []
    for reading in (ONE, FEW):
        drawn = aurocs[named(DRAWN, reading, text)]
        for kind in KINDS:
            found = aurocs[named(kind, reading, text)]
            each = found.mean(1)
            gain = run_difference(found, drawn) if kind != DRAWN else None
            rows.append({
                "reading": reading, "dictionary": kind, "runs": len(found),
                "AUROC": mean_over(found),
                "spread of runs": each.std(ddof=1) if len(each) > 1 else np.nan,
                "against random": gain,
                "detectable": minimum_detectable(gain) if gain else np.nan,
                "it is": gain.side(BETTER, WORSE, OPEN) if gain else "the control",
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["reading", "dictionary"])


def against_table(aurocs: Aurocs) -> pd.DataFrame:
    """EP against what is fitted to labels and against an SAE, in both settings.

    Indexed by (built on, reading, against), for what was measured.
    """
    rows = []
    for text in TEXTS:
        for reading, other in AGAINST:
            own = named(EP, reading, text)
            name = other if other in LABELLED else named(other, reading, text)
            if not aurocs.keys() >= {own, name}:
                continue
            gain = run_difference(aurocs[own], aurocs[name])
            rows.append({
                "built on": text, "reading": reading, "against": other,
                "its AUROC": aurocs[name].mean(), "difference": gain,
                "detectable": minimum_detectable(gain), "EP is": gain.side(BETTER, WORSE, OPEN),
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["built on", "reading", "against"])


def readout_table(found: Mapping[str, Aurocs]) -> pd.DataFrame:
    """Otsu and least squares against the cosine: `comparison.compare_readouts` of every text.

    Indexed by (built on, reading, score).
    """
    rows = []
    for text, aurocs in found.items():
        for reading in (ONE, FEW):
            for score in ("Otsu", "least squares"):
                own, cosine = (aurocs[f"{s}, {reading}"] for s in (score, "cosine"))
                gain = run_difference(own, cosine)
                rows.append({
                    "built on": text, "reading": reading, "score": score, "AUROC": own.mean(),
                    "cosine": cosine.mean(), "difference": gain,
                    "detectable": minimum_detectable(gain), "it is": gain.side(BETTER, WORSE, OPEN),
                })  # fmt: skip
    return pd.DataFrame(rows).set_index(["built on", "reading", "score"])


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its intervals as text: differences with their sign."""
    signs = {"difference", "against random"}

    def text(column: str, value: object) -> object:
        if not isinstance(value, Interval):
            return value
        return with_sign(value) if column in signs else str(value)

    return table.apply(lambda column: column.map(lambda v: text(column.name, v)))


def author_scoring(
    rows: RowActivations,
    dictionaries: Dictionaries,
    concepts: Sequence[Concept],
    grid: pd.DataFrame,
    p: float,
) -> pd.DataFrame:
    """Mean AUROC of one region's projection at one percentile, as published and as it is here.

    The author's: raw, uncentred, every token's score rounded to three decimals. Ours is looked up.

    grid : of `try_configurations`, with a column AUROC.
    """
    projection = grid[(grid.score == "projection") & (grid.p == p)]
    ours = projection.set_index(["built on", "basis", "rule"]).AUROC
    lines = []
    for name in grid["built on"].unique():
        pooled = pool_regions(rows, dictionaries[name, p], as_published=True)
        for basis, rule in (("exemplar", "contrast"), ("mean", "SAE-A")):
            scores = read_all(pooled[basis, "projection"], concepts, few_features(rule, 1))
            lines.append({
                "built on": name, "basis": basis, "rule": rule,
                "author's": evaluate(scores, concepts).auroc.mean(),
                "ours": ours[name, basis, rule],
            })  # fmt: skip
    table = pd.DataFrame(lines).set_index(["built on", "basis", "rule"])
    return table.rename_axis(columns="scoring").sort_index()
