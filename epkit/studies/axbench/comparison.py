"""The methods side by side on the same activations: results on test rows, and what each costs.

A `Comparison` is filled step by step: the chosen configurations, the baselines, random exemplars at
equal K, sparse autoencoders. Everything learns from training rows alone.

Activations go to where a dictionary or an autoencoder is in blocks; row scores are the CPU's.

Does not know: models, how configurations were chosen, tables.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.checks import compute_device
from epkit.controls import random_dictionary
from epkit.share.sae import load_sae, train_topk_sae
from epkit.studies.axbench import methods
from epkit.studies.axbench.configurations import Dictionaries
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.protocol import RowActivations, evaluate

STRENGTHS = (0.01, 0.1, 1.0)
"""Of the linear probe, tried by cross-validation."""

ACTIVE = 32
"""Latents of the TopK SAE that are active at a token."""

DIRECTIONS = {
    "DiffMean": methods.difference_of_means,
    "PCA": methods.principal_component,
    "LAT": methods.lat,
}


@dataclass(eq=False)
class Comparison:
    """Results and costs by method.

    rows, concepts : the benchmark. tokens : {built on: (n, D) activations}. fed : {built on: tokens
    fed to the model for them, beyond the benchmark's rows}.
    results : {method: what `evaluate` gives}; costs : {method: tokens and seconds}.
    """

    rows: RowActivations
    concepts: Sequence[Concept]
    tokens: Mapping[str, Tensor]
    fed: Mapping[str, int]
    results: dict[str, pd.DataFrame] = field(default_factory=dict)
    costs: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(
        self, method: str, scores: np.ndarray | Tensor, seconds: float, build_tokens: int,
        forward_tokens: int | None = None,
    ) -> None:  # fmt: skip
        """A method by its row scores (R, C); forward_tokens: None for the benchmark's rows."""
        fed = self.rows.n_fed if forward_tokens is None else forward_tokens
        self.results[method] = evaluate(scores, self.concepts)
        self.costs[method] = {
            "build tokens": build_tokens, "forward tokens": fed, "seconds": seconds,
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


def add_chosen(
    comparison: Comparison,
    chosen: pd.DataFrame,
    scores: Sequence[np.ndarray],
    seconds: Mapping[tuple[str, float], float],
) -> None:
    """The chosen configurations; seconds: of building, by (built on, p)."""
    for method, g in chosen.iterrows():
        took = seconds[g["built on"], g.p] + g.pooling + g.choosing
        comparison.add(method, scores[g["at"]], took, **comparison.built_on(g["built on"]))


def add_baselines(
    comparison: Comparison, texts: Sequence[str], *, seed: int = 0
) -> dict[float, float]:
    """Linear directions, words, and a probe on row means.

    texts : of every row. Returns the cross-validated AUROC of the probe at every strength tried.
    """
    rows, concepts = comparison.rows, comparison.concepts
    labelled = int(np.mean([rows.lengths[c.train].sum() for c in concepts]))  # tokens of a concept

    def add_directions(name, method, began, **options) -> None:
        w = torch.stack([method(rows, c, **options) for c in concepts])
        scores = methods.direction_scores(rows, w)
        comparison.add(name, scores, time.perf_counter() - began, labelled)

    began = time.perf_counter()
    cv = {s: methods.cross_validate_probe(rows, concepts, s, seed=seed) for s in STRENGTHS}
    add_directions("linear probe", methods.linear_probe, began, strength=max(cv, key=cv.get))
    for name, method in DIRECTIONS.items():
        add_directions(name, method, time.perf_counter())
    began = time.perf_counter()
    words = methods.bag_of_words(texts, concepts)
    comparison.add("bag of words", words, time.perf_counter() - began, 0, forward_tokens=0)
    began = time.perf_counter()
    means = methods.row_mean_probe(rows, concepts)
    took = time.perf_counter() - began
    comparison.add("probe on row means (not AxBench's)", means, took, labelled)
    return cv


def add_random_exemplars(
    comparison: Comparison, chosen: pd.DataFrame, dictionaries: Dictionaries, n_draws: int
) -> dict[str, list[float]]:
    """As many random activations as exemplars, read as the chosen configurations are.

    Results are means over the draws, seeded 0 … n_draws − 1. Returns {method: mean AUROC of every
    draw}.
    """
    pools, found = {}, {}
    for method, g in chosen.iterrows():
        key = g["built on"], g.p, g.basis
        if key not in pools:
            began = time.perf_counter()
            d, x = dictionaries[key[:2]], comparison.tokens[key[0]]
            drawn = (
                random_dictionary(d, x, seed=i, recount=g.basis == "mean") for i in range(n_draws)
            )
            made = [methods.pool_regions(comparison.rows, r, bases=[g.basis]) for r in drawn]
            pools[key] = made, time.perf_counter() - began
        pooled, making = pools[key]
        began = time.perf_counter()
        features = [one[g.basis, g.score] for one in pooled]
        draws = [evaluate(comparison.read(f, g.rule, g.k), comparison.concepts) for f in features]
        seconds = (making + time.perf_counter() - began) / n_draws
        name = method.replace("EP", "random exemplars")
        means = {c: np.mean([r[c] for r in draws], axis=0) for c in ("auroc", "hard")}
        comparison.results[name] = draws[0].assign(**means)
        comparison.costs[name] = comparison.costs[method] | {
            "build tokens": int(g.K), "seconds": seconds,
        }  # fmt: skip
        found[name] = [float(r.auroc.mean()) for r in draws]
    return found


def add_topk_saes(
    comparison: Comparison, chosen: pd.DataFrame, *, epochs: int, seed: int = 0
) -> list[tuple[int, float]]:
    """TopK SAEs with as many latents as regions, trained on the same tokens as the dictionary.

    Returns for every SAE its latents, and the share of the variance of the first concept's test
    rows that it explains.
    """
    device, latents, made = compute_device(None), {}, []
    rows, concepts = comparison.rows, comparison.concepts
    for method, g in chosen.iterrows():
        built_on, key = g["built on"], (g["built on"], g.p)
        if key not in latents:
            began, k = time.perf_counter(), int(g.K)
            sae = train_topk_sae(
                comparison.tokens[built_on], k, min(ACTIVE, k), epochs=epochs, seed=seed,
                device=device,
            )  # fmt: skip
            latents[key] = methods.pool_latents(rows, sae), time.perf_counter() - began
            explained = sae.explained_variance(rows.of(concepts[0].test).to(device))
            made.append((len(sae), explained))
        features, making = latents[key]
        began = time.perf_counter()
        scores = comparison.read(features, "SAE-A", g.k)
        seconds = making + time.perf_counter() - began
        name = method.replace("EP", "TopK SAE, same tokens").replace("region", "latent")
        comparison.add(name, scores, seconds, **comparison.built_on(built_on))
    return made


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
