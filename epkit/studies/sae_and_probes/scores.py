"""Probes on regions, random exemplars and latents over many labelled sets, and their comparison.

Every set counts alike: intervals and paired differences are over sets, and the scores of several
draws of random exemplars are averaged within a set.

Does not know: texts, models.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from epkit.dictionary import Dictionary
from epkit.progress import progress
from epkit.share.sae import SparseAutoencoder
from epkit.stats import Interval, bootstrap_difference, bootstrap_mean, bootstrap_ratio
from epkit.studies.sae_and_probes import EP, RANDOM
from epkit.studies.sae_and_probes.probing import (
    best_column,
    logistic,
    raw_probes,
    region_probes,
    scores,
)
from epkit.studies.sae_and_probes.sets import ProbingSet

SAE = "SAE"
PUBLISHED = {10: "82 % of raw, 97–98 % of top-1", 1: "91 % of raw, 97–98 % of top-1"}
"""Accuracy that one-hot probes keep by percentile, Gemma-2-2B and all sets (Rumbelow 2026)."""

Activations = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class ProbeScores:
    """Accuracy and AUROC of every probe on every set.

    results : columns accuracy, AUROC; index probe, kind ("EP", "random exemplars", "SAE", or "" for
        those on the activation itself), p (nan where there is none), set.
    names : the S sets, in the order in which `values` gives them.
    probes, percentiles : those of dictionaries.
    """

    results: pd.DataFrame
    names: list[str]
    probes: list[str]
    percentiles: list[float]

    def values(
        self, probe: str, kind: str = "", p: float = np.nan, of: str = "accuracy"
    ) -> np.ndarray:
        """A probe's score on every set: (S,)."""
        part = self.results[of].reset_index()
        at = part.p.isna() if np.isnan(p) else part.p == p
        part = part[(part.probe == probe) & (part.kind == kind) & at]
        return part.set_index("set")[of].loc[self.names].to_numpy()

    def summary(self) -> pd.DataFrame:
        """A row a probe, dictionary and kind of exemplars, with intervals over sets."""
        rows = [self._row("raw"), self._row("raw best coordinate")]
        rows += [self._row("SAE latents", SAE), self._row("SAE best latent", SAE)]
        for probe in self.probes:
            for p in self.percentiles:
                published = PUBLISHED.get(p, "") if probe == "one-hot" else ""
                rows.append(self._row(probe, EP, p, published))
                rows.append(self._row(probe, RANDOM, p))
        table = pd.DataFrame([*rows, self._row("majority")])
        return table.set_index(["probe", "p", "exemplars"])

    def against_random(self, sizes: Mapping[float, int]) -> pd.DataFrame:
        """EP less random exemplars, paired over sets; index probe and p.

        sizes : {p: K}. Column says: "better" or "worse" in accuracy where the interval leaves out
            zero, else "no difference shown".
        """
        rows = []
        for probe in self.probes:
            for p in self.percentiles:
                accuracy, area = (
                    bootstrap_difference(
                        *(self.values(probe, kind, p, of) for kind in (EP, RANDOM))
                    )
                    for of in ("accuracy", "AUROC")
                )
                rows.append({
                    "probe": probe, "p": p, "K": sizes[p],
                    "accuracy: EP − random": accuracy, "AUROC: EP − random": area,
                    "says": "better" if accuracy.low > 0 else "worse" if accuracy.high < 0
                    else "no difference shown",
                })  # fmt: skip
        return pd.DataFrame(rows).set_index(["probe", "p"])

    def _row(self, probe: str, kind: str = "", p: float = np.nan, published: str = "") -> dict:
        own, raw = self.values(probe, kind, p), self.values("raw")
        return {
            "probe": probe,
            "exemplars": kind if kind != SAE else "",
            "p": p,
            "accuracy": bootstrap_mean(own),
            "AUROC": bootstrap_mean(self.values(probe, kind, p, "AUROC")),
            "of raw accuracy": bootstrap_ratio(own, raw),
            "of raw above chance": above_chance(own, raw),
            "of the best coordinate's accuracy": bootstrap_ratio(
                own, self.values("raw best coordinate")
            ),
            "published, Gemma-2-2B": published,
        }


def above_chance(own: np.ndarray, raw: np.ndarray) -> Interval:
    """The share of what the raw probe has above chance, both (S,); nan where it has nothing."""
    if raw.mean() <= 0.5:
        return Interval(np.nan, np.nan, np.nan)
    return bootstrap_ratio(own - 0.5, raw - 0.5)


def score_sets(
    sets: Sequence[ProbingSet],
    activations: Activations,
    found: Mapping[float, Dictionary],
    drawn: Mapping[float, Sequence[Dictionary]],
    sae: SparseAutoencoder,
    *,
    k: int = 16,
    seed: int = 0,
) -> ProbeScores:
    """Train all probes on every set's training rows and score them on its test rows.

    Parameters
    ----------
    activations : of every set, (n_train, D) and (n_test, D).
    found, drawn : {p: dictionary} and {p: random exemplars, one a draw}.
    k : regions of the top-k readout.
    """
    rows, probes = [], []
    with progress(len(sets), "sets", "probing") as update:
        for done, (one, (train, test)) in enumerate(zip(sets, activations, strict=True), 1):
            data = train, one.train_labels, test
            made = [("", np.nan, raw_probes(*data, seed=seed))]
            made.append((SAE, np.nan, _latent_probes(sae, *data, seed=seed)))
            for kind, p, dictionary in _dictionaries(found, drawn):
                made.append((kind, p, region_probes(dictionary, *data, k=k, seed=seed)))
            probes = [*made[-1][2]]
            for kind, p, probabilities in made:
                about = {"set": one.name, "kind": kind, "p": p}
                for probe, probability in probabilities.items():
                    rows.append(about | {"probe": probe} | scores(probability, one.test_labels))
            update(done)
    groups = pd.DataFrame(rows).groupby(["probe", "kind", "p", "set"], dropna=False)
    results = groups[["accuracy", "AUROC"]].mean()
    return ProbeScores(results, [one.name for one in sets], probes, [*found])


def scores_by_size(
    table: ProbeScores,
    sets: Sequence[ProbingSet],
    activations: Activations,
    found: Mapping[float, Dictionary],
) -> pd.DataFrame:
    """One-hot and raw accuracy of the sets with more training texts and of the others; index p.

    With the share of test texts that lie in a region which has training texts.
    """
    larger, raw, rows = larger_half(sets), table.values("raw"), []
    for p, d in found.items():
        seen = []
        for parts in activations:
            known, asked = (d.assign(rows)[0].cpu().numpy() for rows in parts)
            seen.append(np.isin(asked, known).mean())
        own = table.values("one-hot", EP, p)
        rows.append({
            "p": p,
            "K": len(d),
            "test texts in a region with training texts": bootstrap_mean(seen),
            "larger sets: one-hot": bootstrap_mean(own[larger]),
            "raw, larger": bootstrap_mean(raw[larger]),
            "smaller sets: one-hot": bootstrap_mean(own[~larger]),
            "raw, smaller": bootstrap_mean(raw[~larger]),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("p")


def larger_half(sets: Sequence[ProbingSet]) -> np.ndarray:
    """(S,) bool, the half of the sets with more training texts; of equal ones the later."""
    sizes = np.array([len(one.train) for one in sets])
    return sizes.argsort(kind="stable").argsort() >= len(sets) // 2


def _dictionaries(found, drawn) -> Iterator[tuple[str, float, Dictionary]]:
    """(kind, p, dictionary) of every dictionary and every draw."""
    for p, own in found.items():
        yield EP, p, own
        for random in drawn[p]:
            yield RANDOM, p, random


def _latent_probes(sae: SparseAutoencoder, train, labels, test, *, seed: int) -> dict:
    """{probe: probabilities (m,)} on an SAE's latents; encoded where it is, read on the host."""
    a, b = (sae.encode(rows).cpu().numpy() for rows in (train, test))
    return {
        "SAE best latent": best_column(a, labels, b)[0],
        "SAE latents": logistic(a, labels, b, seed=seed),
    }
