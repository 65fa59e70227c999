"""Results kept as files and read again: a run's own tables, and its rows of the common one.

Does not know: how the numbers came about.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from epkit.plots.criteria import criterion_row
from epkit.stats import minimum_detectable
from epkit.studies.axbench.comparison import named
from epkit.studies.axbench.configurations import CORPUS, ONE
from epkit.studies.axbench.rivals import DRAWN, EP, KINDS
from epkit.studies.axbench.tables import Aurocs, mean_over, run_difference

CONFIGURATION = ["p", "K", "basis", "score", "rule", "k"]
SECONDS = ["pooling", "choosing"]
FILES = ("methods", "concepts", "grid")
CHOSEN, EQUAL = "chosen", "equal K"
"""Comparisons: at each text's best percentile, and of all kinds of dictionary at one percentile."""

DETECTION = "detection"
"""The criterion: AUROC of the best region per concept, of dictionaries of unrelated text."""


def write_results(
    folder: str | Path,
    about: Mapping[str, object],
    table: pd.DataFrame,
    chosen: pd.DataFrame,
    results: Mapping[str, pd.DataFrame],
    grid: pd.DataFrame,
) -> None:
    """Three tables of a run as CSV: by method, by concept and run, by configuration.

    about : columns that all have: benchmark, which names the files, model, layer. table : of
    `tables.score_rows`. chosen : of `configurations.choose_configurations`. results :
    {comparison: `Comparison.frame`}.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    label = str(about["benchmark"]).lower().replace(" ", "_").replace("/", "_")
    limits = pd.DataFrame(
        table["AUROC"].tolist(), index=table.index, columns=["AUROC", "low", "high"]
    )
    methods = limits.join(table.drop(columns="AUROC")).round(4).reset_index().assign(**about)
    words = {
        named(EP, reading, text): ", ".join(f"{k} {row[k]}" for k in CONFIGURATION)
        for (text, reading), row in chosen.iterrows()
    }
    methods = methods.assign(configuration=methods.method.map(words))
    concepts = pd.concat([r.round(5).assign(comparison=c, **about) for c, r in results.items()])
    grid = grid.drop(columns=SECONDS).round(5).assign(**about)
    for kind, frame in zip(FILES, (methods, concepts, grid), strict=True):
        frame.to_csv(folder / f"{label}_{kind}.csv", index=False)


def read_results(folder: str | Path, pattern: str) -> dict[str, list[pd.DataFrame]]:
    """What `write_results` wrote of the runs whose label matches: {kind: a table per run}."""
    return {
        kind: [
            pd.read_csv(path)
            for path in sorted(Path(folder).glob(f"{pattern}_{kind}.csv"), reverse=True)
        ]
        for kind in FILES
    }


def read_aurocs(frames: list[pd.DataFrame], comparison: str) -> dict[str, np.ndarray]:
    """{method: (runs, C)} over the concepts of all recorded benchmarks, for methods all have.

    frames : of `read_results`, kind "concepts". Runs of the same number stand in one row.
    """
    found: dict[str, list[np.ndarray]] = {}
    for frame in frames:
        own = frame[frame.comparison == comparison]
        for method, part in own.groupby("method", sort=False):
            values = part.pivot_table(index="run", columns="concept", values="auroc").to_numpy()
            found.setdefault(method, []).append(values)
    whole = {m: parts for m, parts in found.items() if len(parts) == len(frames)}
    return {method: np.hstack(parts) for method, parts in whole.items()}


def about_recorded(frames: list[pd.DataFrame]) -> str:
    """Which benchmarks, how many concepts, which model and layer; frames : of kind "concepts"."""
    first, names = frames[0].iloc[0], ", ".join(frame.benchmark[0] for frame in frames)
    n = sum(frame.concept.nunique() for frame in frames)
    return f"{names}, {n} concepts, {first.model} layer {first.layer}"


def detection_rows(equal: Aurocs, setting: str) -> pd.DataFrame:
    """Detection by the best region on unrelated text, as the table over all notebooks keeps it.

    equal : AUROCs at equal K. "detectable" is of the difference from random exemplars.
    """
    drawn, rows = equal[named(DRAWN, ONE, CORPUS)], []
    for kind in KINDS:
        found = equal[named(kind, ONE, CORPUS)]
        gain = minimum_detectable(run_difference(found, drawn)) if kind != DRAWN else np.nan
        rows.append(criterion_row(DETECTION, kind, mean_over(found), gain, setting))
    return pd.DataFrame(rows).round(3)
