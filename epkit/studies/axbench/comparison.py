"""The methods side by side on the same activations: results on test rows, and what each costs.

A `Comparison` is filled step by step: dictionaries of every kind and text, what is fitted to
labels, sparse autoencoders. Everything learns and is chosen from training rows alone. A method has
a list of results, one a *run*: another order of the stream, another seed, another draw.

Activations go to where a dictionary or an autoencoder is in blocks; row scores are the CPU's.

Does not know: models, how dictionaries came about, tables.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.checks import compute_device
from epkit.dictionary import Dictionary
from epkit.share.sae import load_sae, train_topk_sae
from epkit.studies.axbench import methods, probes
from epkit.studies.axbench.configurations import FEW, ONE, best_readings, try_configurations
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.protocol import RowActivations, evaluate

TOKEN_STRENGTHS, ROW_STRENGTHS = (0.1, 1.0), (0.001, 0.01, 0.1, 1.0)
"""Of probes on tokens and on rows, tried by cross-validation on training rows."""

ACTIVE = 32
"""Latents of the TopK SAE that are active at a token."""

DIFFMEAN, PROBE = "DiffMean", "linear probe"
POOLED_PROBE, MEAN_PROBE = "probe on max-pooled rows", "probe on row means"
SAE = "TopK SAE"
LABELLED = (DIFFMEAN, PROBE, POOLED_PROBE, MEAN_PROBE, "PCA", "LAT", "bag of words")
"""Methods that are fitted to labels, in the order of tables."""

DIRECTIONS = {
    DIFFMEAN: probes.difference_of_means,
    "PCA": probes.principal_component,
    "LAT": probes.lat,
}


def named(kind: str, reading: str, built_on: str) -> str:
    """The name of a method that reads a dictionary."""
    return f"{kind}, {reading}, {built_on}"


@dataclass(eq=False)
class Comparison:
    """Results and costs by method.

    rows, concepts : the benchmark. tokens : {built on: (n, D) activations}. fed : {built on: tokens
    fed to the model for them, beyond the benchmark's rows}.
    results : {method: what `evaluate` gives, a frame a run}; costs : {method: tokens and seconds}.
    """

    rows: RowActivations
    concepts: Sequence[Concept]
    tokens: Mapping[str, Tensor]
    fed: Mapping[str, int]
    results: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    costs: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(
        self, method: str, scores: np.ndarray | Tensor, seconds: float, build_tokens: int,
        forward_tokens: int | None = None,
    ) -> None:  # fmt: skip
        """One more run of a method by its row scores (R, C).

        seconds : of this run; costs hold the mean. forward_tokens : None for the benchmark's rows.
        """
        fed = self.rows.n_fed if forward_tokens is None else forward_tokens
        runs = self.results.setdefault(method, [])
        runs.append(evaluate(scores, self.concepts))
        before = self.costs[method]["seconds"] * (len(runs) - 1) if len(runs) > 1 else 0.0
        self.costs[method] = {
            "build tokens": build_tokens, "forward tokens": fed,
            "seconds": (before + seconds) / len(runs),
        }  # fmt: skip

    def built_on(self, name: str) -> dict[str, int]:
        """What building on one set of activations costs in tokens."""
        return {
            "build_tokens": len(self.tokens[name]),
            "forward_tokens": self.rows.n_fed + self.fed[name],
        }

    def read(self, features: methods.Features, rule: str, k: int) -> np.ndarray:
        """Row scores (R, C) by the k best features of every concept."""
        return methods.read_all(features, self.concepts, methods.few_features(rule, k))

    def aurocs(self) -> dict[str, np.ndarray]:
        """{method: (runs, C) AUROC on test rows}."""
        return {
            method: np.stack([run.auroc for run in runs]) for method, runs in self.results.items()
        }

    def frame(self) -> pd.DataFrame:
        """All results in one table, with the columns method and run (0, 1, …) first."""
        keys = {(m, i): run for m, runs in self.results.items() for i, run in enumerate(runs)}
        return pd.concat(keys, names=["method", "run"]).reset_index(level=[0, 1])


def add_dictionaries(
    comparison: Comparison,
    built_on: str,
    runs: Mapping[str, Sequence[Dictionary]],
    seconds: Mapping[str, float],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Every run of every kind of dictionary of one text, by each of `configurations.READINGS`.

    A kind chooses its own basis, score, rule and number of regions, by cross-validation of its
    first run on training rows; the other runs are read in the same way.

    runs, seconds : by kind; of making one run. Returns the choices, as `best_readings` gives them,
    by (kind, reading).
    """
    firsts = {(kind, 0): many[0] for kind, many in runs.items()}
    grid, scores = try_configurations(comparison.rows, firsts, comparison.concepts, seed=seed)
    chosen = best_readings(grid).drop(columns="p").rename_axis(["dictionary", "reading"])
    cost = comparison.built_on(built_on)
    for (kind, reading), g in chosen.iterrows():
        took = seconds[kind] + g.pooling + g.choosing
        comparison.add(named(kind, reading, built_on), scores[g["at"]], took, **cost)
    for kind, many in runs.items():
        for d in many[1:]:
            began = time.perf_counter()
            readings = chosen.loc[kind]
            pooled = methods.pool_regions(comparison.rows, d, bases=sorted({*readings.basis}))
            pooling = time.perf_counter() - began + seconds[kind]
            for reading, g in readings.iterrows():
                began = time.perf_counter()
                found = comparison.read(pooled[g.basis, g.score], g.rule, g.k)
                took = pooling + time.perf_counter() - began
                comparison.add(named(kind, reading, built_on), found, took, **cost)
    return chosen


def add_labelled(
    comparison: Comparison, texts: Sequence[str], *, seed: int = 0
) -> pd.DataFrame:  # fmt: skip
    """What is fitted to labels: linear directions, probes, words.

    texts : of every row. Returns the cross-validated AUROC of every probe (rows) at every strength
    tried (columns); each takes its best.
    """
    rows, concepts = comparison.rows, comparison.concepts
    folds = methods.training_folds(concepts, seed)
    labelled = int(np.mean([rows.lengths[c.train].sum() for c in concepts]))  # tokens of a concept
    tried = {}

    def add_directions(name, method, began, **options) -> None:
        w = torch.stack([method(rows, c, **options) for c in concepts])
        scores = probes.direction_scores(rows, w)
        comparison.add(name, scores, time.perf_counter() - began, labelled)

    for name, method in DIRECTIONS.items():
        add_directions(name, method, time.perf_counter())
    began = time.perf_counter()
    tried[PROBE] = {s: probes.cross_validate_probe(rows, folds, s) for s in TOKEN_STRENGTHS}
    add_directions(PROBE, probes.linear_probe, began, strength=_best(tried[PROBE]))
    for name, how in ((POOLED_PROBE, "max"), (MEAN_PROBE, "mean")):
        began = time.perf_counter()
        vectors = probes.pooled_rows(rows, how)
        tried[name] = {s: probes.cross_validate_rows(vectors, folds, s) for s in ROW_STRENGTHS}
        scores = probes.row_probe(vectors, concepts, _best(tried[name]))
        comparison.add(name, scores, time.perf_counter() - began, labelled)
    began = time.perf_counter()
    words = probes.bag_of_words(texts, concepts)
    comparison.add("bag of words", words, time.perf_counter() - began, 0, forward_tokens=0)
    return pd.DataFrame(tried).sort_index().T


def _best(tried: Mapping[float, float]) -> float:
    return max(tried, key=tried.get)


def add_topk_sae(
    comparison: Comparison, built_on: str, latents: int, few: int, *, epochs: int, seed: int = 0
) -> float:
    """A TopK SAE trained on the same tokens, its best latent and the `few` best.

    Returns the share of the variance of the first concept's test rows that it explains.
    """
    device, rows, concepts = compute_device(None), comparison.rows, comparison.concepts
    began = time.perf_counter()
    sae = train_topk_sae(
        comparison.tokens[built_on], latents, min(ACTIVE, latents), epochs=epochs, seed=seed,
        device=device,
    )  # fmt: skip
    features = methods.pool_latents(rows, sae)
    making = time.perf_counter() - began
    for reading, k in ((ONE, 1), (FEW, few)):
        began = time.perf_counter()
        scores = comparison.read(features, "SAE-A", k)
        seconds = making + time.perf_counter() - began
        comparison.add(
            named(SAE, reading, built_on), scores, seconds, **comparison.built_on(built_on)
        )
    return float(sae.explained_variance(rows.of(concepts[0].test).to(device)))


def add_published_sae(comparison: Comparison, weights: str) -> None:
    """An SAE of this model and layer: its best latent, and the latent each concept is named for.

    weights : a file, or owner/repository/path on the hub.
    """
    began = time.perf_counter()
    sae = load_sae(weights, device=compute_device(None))
    features = methods.pool_latents(comparison.rows, sae)
    scores = comparison.read(features, "SAE-A", 1)
    comparison.add("SAE-A", scores, time.perf_counter() - began, 0)
    ids = [c.sae_id for c in comparison.concepts]
    if min(ids) >= 0:
        comparison.add("SAE", features.pooled[:, ids], 0.0, 0)


def compare_readouts(
    comparison: Comparison, built_on: str, d: Dictionary, *, seed: int = 0
) -> dict[str, np.ndarray]:
    """The scores a token can give a region, `methods.READOUTS`, on one dictionary.

    Each has its own best configuration on training rows. {"Otsu, one region": (1, C) AUROC, …}.
    """
    grid, scores = try_configurations(
        comparison.rows, {(built_on, 0): d}, comparison.concepts, scores=methods.READOUTS, seed=seed
    )
    found = {}
    for score in methods.READOUTS:
        chosen = best_readings(grid[grid.score == score]).droplevel("built on")
        for reading in (ONE, FEW):
            result = evaluate(scores[chosen["at"][reading]], comparison.concepts)
            found[f"{score}, {reading}"] = result.auroc.to_numpy()[None]
    return found
