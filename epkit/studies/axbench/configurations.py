"""Dictionaries for detection, every way to read them, and the choice among these on training rows.

A configuration is: built on which text, percentile, basis, score, selection rule, and how many
regions are read. All are tried by cross-validation on *training* rows; the best of each text are
the headline configurations, before a test row is looked at. The published rule is read beside them.

Does not know: models, baselines, tables beyond its own grid.
"""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from epkit.calibration import calibrate
from epkit.dictionary import Dictionary
from epkit.partition import partition
from epkit.stats import auroc
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.methods import (
    RULES,
    SCORES,
    Features,
    Folds,
    pool_regions,
    rank_features,
    read_best,
    training_folds,
)
from epkit.studies.axbench.protocol import RowActivations

CORPUS, TRAINING = "unrelated text", "own training text"
"""What dictionaries are built on: (a) an unrelated corpus, (b) the training rows, no labels."""

KS = (1, 4, 8)
"""Regions read together; with the projection score one alone."""

ONE, FEW, PUBLISHED_RULE = "one region", "few regions", "one by the published rule"
READINGS = (ONE, FEW, PUBLISHED_RULE)
"""The best of one region, the best of several, and what the method's first version prescribes: the
exemplar's cosine, the contrast rule."""

Dictionaries = Mapping[tuple[str, float], Dictionary]
"""{(built on, percentile): dictionary}."""


def build_dictionaries(
    tokens: Mapping[str, Tensor], percentiles: Sequence[float], n_calibration: int, *, seed: int = 0
) -> tuple[dict[tuple[str, float], Dictionary], dict[tuple[str, float], float]]:
    """Dictionaries of every set of activations, and the seconds each took, calibration included.

    Parameters
    ----------
    tokens : {`CORPUS`, `TRAINING`: (n, D) activations}.
    n_calibration : activations that centre and thresholds come from: the corpus's first, and a
        seeded draw of the training text's.
    """
    dictionaries, seconds = {}, {}
    for name, x in tokens.items():
        began = time.perf_counter()
        sample = x[:n_calibration] if name == CORPUS else x
        calibration = calibrate(sample, percentiles, max_rows=n_calibration, seed=seed)
        calibrating = time.perf_counter() - began
        for p in percentiles:
            began = time.perf_counter()
            found = partition(x, [p], calibration=calibration, recount=False)
            dictionaries[name, p] = found[p]
            seconds[name, p] = calibrating + time.perf_counter() - began
    return dictionaries, seconds


def try_configurations(
    rows: RowActivations,
    dictionaries: Dictionaries,
    concepts: Sequence[Concept],
    *,
    scores: Sequence[str] = SCORES,
    seed: int = 0,
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Every configuration, one row each, and its row scores (R, C) in the same order.

    scores : of regions, those of `pool_regions`.

    Columns: built on, p, K, basis, score, rule, k; cv, mean AUROC over concepts and folds on
    held-out training rows; pooling and choosing, seconds.
    """
    folds = training_folds(concepts, seed)
    grid, found = [], []
    for (name, p), d in dictionaries.items():
        began = time.perf_counter()
        pooled = pool_regions(rows, d, scores=scores)
        pooling = time.perf_counter() - began
        for (basis, score), features in pooled.items():
            for rule in RULES:
                ks = KS[:1] if score == "projection" else KS
                tried = validate_readings(features, concepts, folds, rule, ks)
                for k, (row_scores, cv, choosing) in zip(ks, tried, strict=True):
                    found.append(row_scores)
                    grid.append({
                        "built on": name, "p": p, "K": len(d), "basis": basis, "score": score,
                        "rule": rule, "k": k, "cv": cv, "pooling": pooling, "choosing": choosing,
                    })  # fmt: skip
    return pd.DataFrame(grid), found


def validate_readings(
    features: Features, concepts: Sequence[Concept], folds: Folds, rule: str, ks: Sequence[int]
) -> list[tuple[np.ndarray, float, float]]:
    """What reading the k best features by `rule` gives, and how well it does on training rows.

    Features are ranked once for all k, on every concept's training rows and on those of every fold.

    Returns
    -------
    For every k: row scores (R, C) as `read_all` gives them; mean AUROC over concepts and folds on
    held-out training rows (test rows are not looked at); seconds, the ranking included.
    """
    began = time.perf_counter()

    def ranked(c: Concept) -> np.ndarray:
        return rank_features(features, c.train, c.train_labels, rule)[: max(ks)].copy()

    whole, learnt = [ranked(c) for c in concepts], [ranked(learn) for learn, _ in folds]
    ranking, found = time.perf_counter() - began, []
    for k in ks:
        began, values, columns = time.perf_counter(), [], []
        for (learn, check), best in zip(folds, learnt, strict=True):
            scores = read_best(features, best, k, learn.train, learn.train_labels)
            values.append(auroc(scores[check.train], check.train_labels))
        for c, best in zip(concepts, whole, strict=True):
            columns.append(read_best(features, best, k, c.train, c.train_labels))
        seconds = ranking + time.perf_counter() - began
        found.append((np.stack(columns, axis=1), float(np.mean(values)), seconds))
    return found


def best_readings(grid: pd.DataFrame) -> pd.DataFrame:
    """The configuration of every reading that does best by `cv`, for each text built on.

    Returns rows of `grid` by (built on, reading), with the column `at`: the place in the grid.
    """
    first = (grid.basis == "exemplar") & (grid.score == "cosine") & (grid.rule == "contrast")
    some = {ONE: grid.k == 1, FEW: grid.k > 1, PUBLISHED_RULE: first & (grid.k == 1)}
    best = {
        (name, reading): part.cv.idxmax()
        for name in grid["built on"].unique()
        for reading, mask in some.items()
        if len(part := grid[mask & (grid["built on"] == name)])
    }
    index = pd.MultiIndex.from_tuples(best, names=["built on", "reading"])
    chosen = grid.loc[[*best.values()]].drop(columns="built on")
    return chosen.rename_axis("at").reset_index().set_index(index)


def choose_configurations(grid: pd.DataFrame) -> pd.DataFrame:
    """`best_readings` at each text's best percentile, that of the highest `cv` of one and of few.

    A text has one percentile for all readings: the two best `cv` are added up.
    """
    best = grid.assign(several=grid.k > 1).groupby(["built on", "p", "several"]).cv.max()
    percentile = best.groupby(["built on", "p"]).sum().groupby("built on").idxmax()
    own = [at in set(percentile) for at in zip(grid["built on"], grid.p, strict=True)]
    return best_readings(grid[own])
