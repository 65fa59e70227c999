"""The sentences that notebook 03 ends with, from its tables alone.

Does not know: how the numbers came about.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from epkit.studies.axbench import tables
from epkit.studies.axbench.comparison import DIFFMEAN, POOLED_PROBE, PROBE
from epkit.studies.axbench.configurations import (
    CORPUS,
    FEW,
    ONE,
    PUBLISHED_RULE,
    TRAINING,
    best_readings,
)
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.rivals import DRAWN, EP
from epkit.studies.axbench.tables import BETTER, OPEN, WORSE, Aurocs

WORDS = {BETTER: "better than", WORSE: "worse than", OPEN: "not shown to differ from"}


@dataclass(frozen=True, eq=False)
class Detection:
    """What was measured on one benchmark.

    where : the benchmark, with its number of concepts. p : the percentile of `equal`.
    chosen : AUROCs at each text's best percentile, with all that is fitted to labels; equal : those
    of all kinds of dictionary at one percentile.
    """

    where: str
    p: float
    chosen: Aurocs
    equal: Aurocs

    def sentences(self) -> list[str]:
        """The verdict, a sentence a line, the answer first."""
        return [self.answer(), *self._few(), *self._equal(), *self.against()]

    def answer(self) -> str:
        """The headline: one region, both settings, both rules, beside its control and probes."""
        table = tables.settings_table(self.chosen)
        said = []
        for text in (CORPUS, TRAINING):
            best, first = (table.loc[(text, reading)] for reading in (ONE, PUBLISHED_RULE))
            said.append(
                f"built on {text} {best['EP'].value:.3f} by the best rule ({_beside(best)}) and "
                f"{first['EP'].value:.3f} by the published one ({_beside(first)})"
            )
        others = ", ".join(
            f"{m} {self.chosen[m].mean():.3f}" for m in (DIFFMEAN, PROBE, POOLED_PROBE)
        )
        return (
            f"{self.where}: mean AUROC of one region per concept, {'; '.join(said)}. "
            f"Fitted to labels: {others}."
        )

    def _few(self) -> list[str]:
        table = tables.settings_table(self.chosen)
        return [
            f"  Few regions, built on {text}: {row['EP'].value:.3f}, {_beside(row)}."
            for text in (CORPUS, TRAINING)
            for row in [table.loc[(text, FEW)]]
        ]

    def _equal(self) -> list[str]:
        """Which dictionaries beat random exemplars at equal K, and which do worse."""
        lines = []
        for text in (CORPUS, TRAINING):
            table = tables.equal_table(self.equal, text)
            for reading in (ONE, FEW):
                own = table.loc[reading].drop(DRAWN)
                order = table.loc[reading, "AUROC"].map(lambda i: -i.value).sort_values().index
                ranked = " > ".join(
                    f"{k} {table.loc[(reading, k), 'AUROC'].value:.3f}" for k in order
                )
                lines.append(
                    f"  Equal K (p {self.p:g}), built on {text}, {reading}: {ranked}. "
                    f"{_against_random(own)}"
                )
        return lines

    def against(self) -> list[str]:
        """EP beside what is fitted to labels, and an SAE."""
        return [
            f"  EP, {reading}, built on {text}, is {WORDS[row['EP is']]} {other} "
            f"({row['its AUROC']:.3f}): {tables.with_sign(row.difference)}{_could(row)}."
            for (text, reading, other), row in tables.against_table(self.chosen).iterrows()
        ]


def recorded_sentences(where: str, aurocs: Aurocs, grids: Iterable[pd.DataFrame]) -> list[str]:
    """What recorded runs found: both settings of the grids, then comparisons over all concepts.

    grids : of `configurations.try_configurations`, a benchmark each, with AUROC on test rows, of
    one order of the stream and without an interval.
    """
    lines = [f"{where}, recorded with one order of the stream (intervals over concepts alone):"]
    for grid in grids:
        best, p = best_readings(grid), grid.p.min()
        first = best_readings(grid[grid.p == p]).AUROC.xs(PUBLISHED_RULE, level="reading")
        said = [
            f"built on {text} {best.loc[(text, ONE)].AUROC:.3f} by the best rule, "
            f"{first[text]:.3f} by the published one at p {p:g}"
            for text in (CORPUS, TRAINING)
        ]
        few = f"few regions, built on {CORPUS}: {best.loc[(CORPUS, FEW)].AUROC:.3f}"
        lines.append(f"  {grid.benchmark.iloc[0]}, one region: {'; '.join(said)}; {few}.")
    for (text, reading), row in tables.settings_table(aurocs).iterrows():
        lines.append(f"  EP, {reading}, built on {text}: {row['EP'].value:.3f}, {_beside(row)}.")
    return lines + Detection(where, 0, aurocs, {}).against()


def readout_sentence(table: pd.DataFrame) -> str:
    """Otsu and least squares against the cosine, in one sentence; table : of `readout_table`."""
    parts = []
    for score, own in table.groupby("score", sort=False):
        counts = [int((own["it is"] == word).sum()) for word in (BETTER, WORSE, OPEN)]
        parts.append(
            f"{score} reads better than the cosine in {counts[0]} of {len(own)} cases, worse in "
            f"{counts[1]}, not shown to differ in {counts[2]} (mean difference "
            f"{own.difference.map(lambda i: i.value).mean():+.3f}, detectable "
            f"{own.detectable.median():.3f})"
        )
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}."


def caveat(concepts: Iterable[Concept]) -> str:
    """What the benchmark cannot tell."""
    least = min(int(c.train_labels.sum()) for c in concepts)
    return (
        "Caveat: AxBench's positives and negatives come from different writers, so what tells "
        f"writers apart scores well too. Here a concept has {least} positive training texts or "
        "more; with few, a concept can be near chance for every method."
    )


def _beside(row: pd.Series) -> str:
    """A row of `settings_table`: what EP is beside random exemplars."""
    return (
        f"{WORDS[row['EP is']]} {DRAWN} at equal K, {row[DRAWN].value:.3f}: "
        f"{tables.with_sign(row.difference)}{_could(row)}"
    )


def _could(row: pd.Series) -> str:
    """What an open difference could have shown; nothing where it is shown."""
    return f", detectable {row.detectable:.3f}" if OPEN in row.to_list() else ""


def _against_random(own: pd.DataFrame) -> str:
    """Kinds of `equal_table` sorted by what they are beside random exemplars."""
    parts = []
    for verdict, words in WORDS.items():
        names = [name for name, row in own.iterrows() if row["it is"] == verdict]
        if names:
            parts.append(f"{', '.join(names)}: {words} {DRAWN}")
    gain, least = tables.with_sign(own.loc[EP, "against random"]), own.detectable.median()
    return f"{'; '.join(parts)} (EP {gain}; detectable {least:.3f})."
