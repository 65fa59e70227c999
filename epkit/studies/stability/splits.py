"""The runs of pairs of parts: documents that no other part has, read in several orders.

1. `runs_of`: per percentile and pair, part A in two orders ("A", "A again") and part B ("B"), all
   with one centre and threshold, and beside each as many random exemplars of the same part.
2. `compare`, `comparisons`: how alike two runs are, pair by pair; `sensitivity` is their table.
3. `score_correlations`: what a score of a region says about its recurrence.
4. `cut_table`: what the stable, the large or any regions alone tell of labelled concepts.

Intervals are Student's over pairs (`recurrence.disjoint_pairs`), which have no document in common;
those of probing resample pairs and concepts together.

Tensors stay where the activations are; what comes back as a table has left the device.

Does not know: models, tokens, how concepts are detected (a function is given).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from torch import Tensor

from epkit.calibration import Calibration
from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.matching import adjusted_mutual_information
from epkit.partition import partition, stream_order
from epkit.stats import bootstrap_pairs, t_interval
from epkit.studies.stability.recurrence import recurrence, stability_score

Runs = Mapping[tuple[float, int, str], Dictionary]
"""{(percentile, pair, "A" | "A again" | "B"): dictionary}."""

Pairs = Sequence[tuple[Tensor, Tensor]]
"""Per pair the rows of part A and of part B, of `recurrence.disjoint_pairs`."""

KINDS = {"another order": "A again", "other documents": "B"}
"""What a run A is compared with, and the name of that run."""

SCORES: dict[str, Callable[[Dictionary], Tensor]] = {
    "D": stability_score,
    "log N": lambda d: d.counts.double().log10().cpu(),
    "coherence c": lambda d: d.coherence.double().cpu(),
}
"""Scores of a region that may predict its recurrence: dictionary → (K,) float64 on the CPU."""

BLOCK = 1 << 16


def permuted(rows: Tensor, seed: int) -> Tensor:
    """Rows in a seeded order: (n, …) → (n, …), where they are."""
    return rows[stream_order(len(rows), seed).to(rows.device)]


def runs_of(x: Tensor, pairs: Pairs, calibration: Calibration) -> tuple[Runs, Runs]:
    """All runs on x (N, D), and their controls: as many random exemplars of the same part."""
    percentiles, made, drawn = list(calibration.thresholds), {}, {}
    for s, (a, b) in enumerate(pairs):
        for i, (name, rows) in enumerate((("A", a), ("A again", a), ("B", b))):
            order, part = 10 * s + i, x[rows.to(x.device)]
            found = partition(
                part, percentiles, order=order, calibration=calibration, device=x.device
            )
            for p, d in found.items():
                made[p, s, name] = d
                drawn[p, s, name] = random_dictionary(d, part, seed=order)
    keys = sorted(made)
    return {key: made[key] for key in keys}, {key: drawn[key] for key in keys}


# ---- how alike two runs are ---------------------------------------------------------------------


def compare(one: Dictionary, two: Dictionary, fresh: Tensor) -> dict[str, float]:
    """Matched cosines of exemplars and means, agreement on `fresh` (n, D), share of matches ≥ .7.

    Cosines are means over the regions of `one`; agreement is the adjusted mutual information.
    """
    exemplars = recurrence(one, two)
    return {
        "exemplars": exemplars.mean().item(),
        "means": recurrence(one, two, "mean").mean().item(),
        "agreement": adjusted_mutual_information(one.assign(fresh)[0], two.assign(fresh)[0]),
        "≥ .7": (exemplars >= 0.7).double().mean().item(),
    }


def comparisons(runs: Runs, controls: Runs, fresh: Tensor) -> pd.DataFrame:
    """`compare` of every run A with its other order and the other part, for runs and controls.

    Indexed by p, compared with, dictionaries ("regions" or "random exemplars") and pair.
    """
    rows = []
    for p, s in dict.fromkeys((p, s) for p, s, _ in runs):
        for kind, other in KINDS.items():
            for name, of in (("regions", runs), ("random exemplars", controls)):
                key = {"p": p, "compared with": kind, "dictionaries": name, "pair": s}
                rows.append(key | compare(of[p, s, "A"], of[p, s, other], fresh))
    table = pd.DataFrame(rows).set_index(["p", "compared with", "dictionaries", "pair"])
    return table.sort_index()


def sensitivity_table(compared: pd.DataFrame, sizes: pd.Series) -> pd.DataFrame:
    """Means over pairs, random exemplars beside regions, and their differences as `Interval`s.

    compared : of `comparisons`. sizes : K of every run, indexed by percentile, pair and name.
    """
    rows = []
    for p in sizes.index.unique(0):
        for kind in KINDS:
            own, drawn = (compared.loc[p, kind, name] for name in ("regions", "random exemplars"))
            row = {"p": p, "K": sizes[p].median(), "compared with": kind}
            for score in own:
                row |= {score: own[score].mean(), f"{score}, random": drawn[score].mean()}
                if score != "≥ .7":
                    row[f"{score}, difference"] = t_interval(own[score] - drawn[score])
            rows.append(row)
    return pd.DataFrame(rows).set_index(["p", "compared with"])


# ---- what predicts recurrence -------------------------------------------------------------------

Correlations = dict[tuple[str, str, str, str], list[float]]
"""{(basis, compared with, dictionaries, score): Spearman's ρ of every pair}."""


def score_correlations(runs: Runs, controls: Runs, percentile: float) -> Correlations:
    """Spearman's ρ of every score with recurrence over the regions of a run A, by pair."""
    rho: Correlations = {}
    for basis in ("exemplar", "mean"):
        for kind, other in KINDS.items():
            for name, of in (("regions", runs), ("random exemplars", controls)):
                pairs = [(d, of[p, s, other]) for (p, s, run), d in of.items()
                         if p == percentile and run == "A"]  # fmt: skip
                recurred = [recurrence(one, two, basis) for one, two in pairs]
                for score, take in SCORES.items():
                    rho[basis, kind, name, score] = [
                        float(spearmanr(take(one), values).statistic)
                        for (one, _), values in zip(pairs, recurred, strict=True)
                    ]
    return rho


def correlation_table(rho: Correlations) -> pd.DataFrame:
    """Mean over pairs of every correlation, with its interval (value, low, high) and as text."""
    rows = []
    for (basis, kind, name, score), values in rho.items():
        mean = t_interval(values)
        key = {"basis": basis, "compared with": kind, "dictionaries": name, "score": score}
        rows.append(key | mean._asdict() | {"text": str(mean)})
    return pd.DataFrame(rows)


# ---- what a cut keeps ---------------------------------------------------------------------------


def rankings(run: Dictionary, other: Dictionary) -> dict[str, Tensor]:
    """What regions may be chosen by: {name: (K,) on the CPU}; `other` is the other part's run."""
    return {
        "most stable, measured": recurrence(run, other, "mean"),
        "largest D": stability_score(run),
        "largest": run.counts.cpu(),
    }


def cut_table(
    scores: Sequence[dict[str, Tensor]],
    shares: Sequence[float],
    detect: Callable[[int, np.ndarray], np.ndarray],
    *,
    n_draws: int,
) -> pd.DataFrame:
    """Probing with a share of the regions: chosen by each score, or as many at random.

    Parameters
    ----------
    scores : per pair {name: (K,)}, the largest stay (`rankings`); at least eight regions do.
    shares : of the regions.
    detect : (pair, regions that stay) → AUROC of every concept (C,).
    n_draws : random choices per pair and share, whose AUROC are averaged.

    Returns
    -------
    a row per choice and share: `chosen by`, `share`, the mean over pairs and concepts (`value`,
    `low`, `high`), and `against random`, an `Interval` or None.
    """
    cuts: dict[tuple[str, float], list[np.ndarray]] = {}
    for s, ranking in enumerate(scores):
        k = len(next(iter(ranking.values())))
        for share in shares:
            n = max(8, round(share * k))
            for name, score in ranking.items():
                kept = score.double().sort(descending=True, stable=True).indices[:n].numpy()
                cuts.setdefault((name, share), []).append(detect(s, kept))
            draws = [np.random.default_rng(1000 * s + i).permutation(k)[:n] for i in range(n_draws)]
            drawn = np.mean([detect(s, kept) for kept in draws], axis=0)
            cuts.setdefault(("at random", share), []).append(drawn)
    found = {key: np.array(values) for key, values in cuts.items()}
    rows = []
    for (name, share), values in found.items():
        drawn = found["at random", share]
        gain = None if name == "at random" else bootstrap_pairs(values - drawn)
        row = {"chosen by": name, "share": share, **bootstrap_pairs(values)._asdict()}
        rows.append(row | {"against random": gain})
    return pd.DataFrame(rows)
