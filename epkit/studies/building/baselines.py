"""Dictionaries of one stream at equal K: what each way of choosing directions gives on new text.

Coverage is the share of new activations within EP's θ of a direction, nearness the mean cosine to
the nearest one. Both are taken by document, averaged over the runs of a kind, and documents are
resampled; what the choice of order or seed does stands beside, as the spread of the runs.

Does not know: models, corpora.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.controls import DRAWN, EP
from epkit.dictionary import Dictionary
from epkit.lm.chunks import means_by_document
from epkit.plots.criteria import criterion_row
from epkit.stats import bootstrap_difference, bootstrap_mean, minimum_detectable

COVERAGE, NEARNESS = "within θ", "mean cosine to the nearest"


def by_document(
    runs: Sequence[Dictionary], fresh: Tensor, document: Tensor, threshold: float
) -> dict[str, np.ndarray]:
    """{criterion: (R, documents)} of every run on new activations: fresh (M, D), document (M,)."""
    found = {COVERAGE: [], NEARNESS: []}
    for d in runs:
        distance = d.assign(fresh)[1].cpu()
        found[COVERAGE].append(means_by_document((distance <= threshold).float(), document))
        found[NEARNESS].append(means_by_document(1 - distance, document))
    return {name: torch.stack(values).numpy() for name, values in found.items()}


def baseline_table(
    kinds: Mapping[str, Sequence[Dictionary]],
    fresh: Tensor,
    document: Tensor,
    threshold: float,
) -> pd.DataFrame:
    """One row per criterion and kind, with `Interval`s over documents.

    Columns: runs; K; value; spread, the standard deviation over runs (nan for one); against random,
    the paired difference; detectable, the least difference that would have been shown (power .8).
    """
    scores = {name: by_document(runs, fresh, document, threshold) for name, runs in kinds.items()}
    rows = []
    for criterion in (COVERAGE, NEARNESS):
        control = scores[DRAWN][criterion].mean(0)
        for name, runs in kinds.items():
            found = scores[name][criterion]
            each = found.mean(1)
            gain = bootstrap_difference(found.mean(0), control) if name != DRAWN else None
            rows.append({
                "criterion": criterion, "dictionary": name, "runs": len(runs),
                "K": round(np.mean([len(d) for d in runs])),
                "value": bootstrap_mean(found.mean(0)),
                "spread of runs": each.std(ddof=1) if len(each) > 1 else np.nan,
                "against random": gain,
                "detectable": minimum_detectable(gain) if gain else np.nan,
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["criterion", "dictionary"])


def criteria_rows(table: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Rows of `baseline_table` as the table over all notebooks keeps them."""
    return pd.DataFrame([
        criterion_row(criterion, name, row["value"], row["detectable"], setting)
        for (criterion, name), row in table.iterrows()
    ]).round(4)  # fmt: skip


def baseline_sentences(tables: Mapping[float, pd.DataFrame], where: str) -> list[str]:
    """Who covers and who lies nearest, in a sentence a criterion; tables : {p: baseline_table}."""
    sentences = []
    for criterion in (COVERAGE, NEARNESS):
        parts = []
        for p, table in tables.items():
            values = table.loc[criterion, "value"]
            order = sorted(values.index, key=lambda name: -values[name].value)
            parts.append(f"p {p:g}: " + " > ".join(f"{n} {values[n].value:.3f}" for n in order))
        better, worse = [], []
        for p, table in tables.items():
            gain = table.loc[(criterion, EP), "against random"]
            better += [f"{p:g}"] if gain.low > 0 else []
            worse += [f"{p:g}"] if gain.high < 0 else []
        said = [f"above random exemplars at p {', '.join(better)}"] if better else []
        said += [f"below them at p {', '.join(worse)}"] if worse else []
        sentences.append(
            f"{criterion[0].upper()}{criterion[1:]} at equal K, {where}: {'; '.join(parts)}. "
            f"EP is {' and '.join(said) or 'not shown to differ from random exemplars'}."
        )
    return sentences
