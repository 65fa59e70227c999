"""What was found, as tables and sentences; results kept as files and read again.

Does not know: how scores came about; activations, but for the author's own scoring.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from epkit.stats import bootstrap_difference
from epkit.studies.axbench.configurations import CORPUS, TRAINING, Dictionaries
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.methods import few_features, pool_regions, read_all
from epkit.studies.axbench.protocol import RowActivations, evaluate

PAIRS = [
    ("EP, one region", "DiffMean"), ("EP, one region", "random exemplars, one region"),
    ("EP, one region", "TopK SAE, same tokens, one latent"),
    ("EP, few regions", "linear probe"), ("EP, few regions", "random exemplars, few regions"),
    ("EP, few regions", "TopK SAE, same tokens, few latents"),
]  # fmt: skip
"""Methods that are compared on the same concepts."""

CONFIGURATION = ["built on", "p", "K", "basis", "score", "rule", "k"]
SECONDS = ["pooling", "choosing"]
KINDS = ("methods", "concepts", "grid")


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


def paired_differences(aurocs: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Mean difference over the same concepts of every pair of `PAIRS`, with its 95 % interval.

    aurocs : {method: (C,)}.
    """
    lines = []
    for a, b in PAIRS:
        i = bootstrap_difference(aurocs[a], aurocs[b])
        says = "better" if i.low > 0 else "worse" if i.high < 0 else "no difference shown"
        lines.append({
            "": a, "against": b, "difference": i.value, "low": i.low, "high": i.high,
            "verdict": says,
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("")


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


def compared_lines(where: str, pairs: pd.DataFrame, aurocs: pd.Series) -> list[str]:
    """Every pair of `paired_differences` as a line, under a heading; aurocs: means by method."""
    return [f"{where}:"] + [
        f"  {a} {aurocs[a]:.3f} against {row.against} {aurocs[row.against]:.3f}: "
        f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}], {row.verdict}"
        for a, row in pairs.iterrows()
    ]


def detection_verdict(grid: pd.DataFrame, concepts: Iterable[Concept]) -> list[str]:
    """Which text to build on, by cross-validation, and how far the comparison goes."""
    one, few = (part.groupby("built on").cv.max() for part in (grid[grid.k == 1], grid[grid.k > 1]))
    least = min(int(c.train_labels.sum()) for c in concepts)
    return [
        f"Cross-validated, the unrelated corpus against the benchmark's own text: "
        f"{one[CORPUS]:.3f} against {one[TRAINING]:.3f} for one region, {few[CORPUS]:.3f} against "
        f"{few[TRAINING]:.3f} for few.",
        "Where an interval holds zero, nothing is shown either way. Where random exemplars at "
        "equal K do about as well, it is the cosine to many real activations that detects, and the "
        "partition adds what the difference says and no more.",
        "Caveat: AxBench's positives and negatives come from different writers, so what tells "
        f"writers apart scores well too. Here a concept has {least} positive training texts or "
        "more; with few, a concept can be near chance for every method.",
    ]


# ---- files --------------------------------------------------------------------------------------


def write_results(
    folder: str | Path,
    about: Mapping[str, object],
    table: pd.DataFrame,
    chosen: pd.DataFrame,
    results: Mapping[str, pd.DataFrame],
    grid: pd.DataFrame,
) -> None:
    """Three tables of a run as CSV: by method, by concept, by configuration.

    about : columns that all have, "benchmark" among them, which names the files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    label = str(about["benchmark"]).lower().replace(" ", "_").replace("/", "_")
    said = {m: ", ".join(f"{k} {row[k]}" for k in CONFIGURATION) for m, row in chosen.iterrows()}
    methods = table.round(4).reset_index().assign(**about)
    methods = methods.assign(configuration=methods.method.map(said))
    concepts = pd.concat([r.round(5).assign(method=m, **about) for m, r in results.items()])
    grid = grid.drop(columns=SECONDS).round(5).assign(**about)
    for kind, frame in zip(KINDS, (methods, concepts, grid), strict=True):
        frame.to_csv(folder / f"{label}_{kind}.csv", index=False)


def read_results(folder: str | Path, pattern: str) -> dict[str, list[pd.DataFrame]]:
    """What `write_results` wrote of the runs whose label matches: {kind: a table per run}."""
    return {
        kind: [
            pd.read_csv(path)
            for path in sorted(Path(folder).glob(f"{pattern}_{kind}.csv"), reverse=True)
        ]
        for kind in KINDS
    }
