"""Concept detectors on a benchmark's row activations: regions, linear directions, latents, words.

Every method ends in row scores (R, C): one column per concept, all rows of the benchmark. Methods
learn from a concept's training rows alone.

- Regions. `pool_regions` takes the maximum over each row's tokens of every region's score, once;
  `read_all` then reads the best region of each concept, or combines the k best by logistic
  regression. A region is chosen on training rows by the *contrast* rule (largest mean cosine over
  tokens of positives minus that of negatives) or by the *SAE-A* rule (best training AUROC of the
  pooled score; ties go to the largest effect size).
- Latents of an SAE are read in the same way.
- Linear directions: `difference_of_means`, `linear_probe`, `principal_component`, `lat`.
- `bag_of_words` sees the words alone.

This module does not know models, tokenizers, where dictionaries come from, or which reading is
chosen (see `configurations`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.share.sae import SparseAutoencoder
from epkit.stats import auroc
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.protocol import RowActivations, max_pool, round_scores, segment_max

BASES = ("exemplar", "mean")
SCORES = ("cosine", "projection")
RULES = ("contrast", "SAE-A")
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Features:
    """What F features (regions on one basis, latents of an SAE) score on every row.

    pooled (R, F): maximum over the row's tokens. lengths (R,): tokens. sums (R, S): sum over the
    row's tokens of what the contrast rule compares; S is F, or D where `vectors` (F, D) turn a
    mean direction into the mean cosines of all regions.
    """

    pooled: np.ndarray
    sums: np.ndarray
    lengths: np.ndarray
    vectors: np.ndarray | None = None

    def mean(self, rows: np.ndarray) -> np.ndarray:
        """Mean over all tokens of `rows` of what the contrast rule compares: (F,)."""
        mean = self.sums[rows].sum(axis=0) / self.lengths[rows].sum()
        return mean if self.vectors is None else self.vectors @ mean


# ---- regions and latents ------------------------------------------------------------------------


def pool_regions(
    activations: RowActivations,
    dictionary: Dictionary,
    *,
    bases: Sequence[str] = BASES,
    as_published: bool = False,
) -> dict[tuple[str, str], Features]:
    """Row scores of every region, {(basis, score): Features of K regions}, in one pass.

    cosine: u·E with u the direction seen from the centre. projection: (a − c)·E. With
    `as_published` the projection is the author's: a·E, uncentred, every token's score rounded to
    three decimals. Uncentring moves a region's scores by one constant, so it changes no AUROC
    except through the rounding, whose ties count one half.
    """
    vectors = {"exemplar": dictionary.exemplars, "mean": dictionary.means}
    pooled: dict[tuple[str, str], list[Tensor]] = {(b, s): [] for b in bases for s in SCORES}
    totals = []
    for block, x in activations.blocks(np.arange(activations.n_rows)):
        x = x.to(dictionary.centre.device)
        lengths = activations.lengths[block]
        u = dictionary.directions(x)
        length = (x - dictionary.centre).norm(dim=1, keepdim=True)
        totals += [part.double().sum(0) for part in u.split(lengths.tolist())]
        for basis in bases:
            cosine = u @ vectors[basis].T
            projection = round_scores(x @ vectors[basis].T) if as_published else length * cosine
            pooled[basis, "cosine"] += segment_max(cosine, lengths)
            pooled[basis, "projection"] += segment_max(projection, lengths)
    sums = torch.stack(totals).cpu().numpy()
    return {
        (basis, score): Features(
            torch.stack(parts).cpu().numpy(), sums, activations.lengths,
            vectors[basis].double().cpu().numpy(),
        )
        for (basis, score), parts in pooled.items()
    }  # fmt: skip


def pool_latents(activations: RowActivations, sae: SparseAutoencoder) -> Features:
    """Row scores of every latent of an SAE, from its activations after the activation function."""
    pooled, sums = [], []
    for block, x in activations.blocks(np.arange(activations.n_rows)):
        latents = sae.encode(x.to(sae.w_enc.device))
        pooled += segment_max(latents, activations.lengths[block])
        sums += [p.double().sum(0) for p in latents.split(activations.lengths[block].tolist())]
    stacked = (torch.stack(parts).cpu().numpy() for parts in (pooled, sums))
    return Features(*stacked, activations.lengths)


def rank_features(
    features: Features, rows: np.ndarray, labels: np.ndarray, rule: str
) -> np.ndarray:
    """Features in order of their merit on labelled training rows: (F,) int64, the best first."""
    if rule == "contrast":
        contrast = features.mean(rows[labels]) - features.mean(rows[~labels])
        return np.argsort(-contrast, kind="stable")
    if rule != "SAE-A":
        raise ValueError(f"unknown selection rule {rule!r}; known are: {', '.join(RULES)}")
    pooled = features.pooled[rows]
    return np.lexsort((-_effect(pooled, labels), -auroc(pooled, labels)))


def _effect(pooled: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Difference of the class means over the pooled standard deviation, (R, F) → (F,)."""
    a, b = pooled[labels], pooled[~labels]
    spread = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 2)
    apart = a.mean(axis=0) - b.mean(axis=0)
    return np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 0)


Reading = Callable[[Features, np.ndarray, np.ndarray], np.ndarray]
"""(features, training rows, their labels) → scores (R,) of all rows."""


def few_features(rule: str, k: int) -> Reading:
    """Read the k best features by `rule`, by `read_best`."""

    def read(features: Features, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return read_best(features, rank_features(features, rows, labels, rule), k, rows, labels)

    return read


def read_best(
    features: Features, best: np.ndarray, k: int, rows: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Scores (R,) of all rows by the first k of `best` (n,), learnt on labelled training rows.

    One feature's score is read as it is; more are standardised and combined by scikit-learn's
    logistic regression.
    """
    if k == 1:
        return features.pooled[:, best[0]]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(features.pooled[np.ix_(rows, best[:k])], labels)
    return model.decision_function(features.pooled[:, best[:k]])


def read_all(features: Features, concepts: Sequence[Concept], reading: Reading) -> np.ndarray:
    """Row scores of one reading, learnt on every concept's training rows: (R, C)."""
    return np.stack([reading(features, c.train, c.train_labels) for c in concepts], axis=1)


Folds = Sequence[tuple[Concept, Concept]]
"""(a concept with the training rows to learn from, the same with those held out), fold by fold."""


def training_folds(concepts: Sequence[Concept], seed: int = 0) -> Folds:
    """Every concept's training rows in `FOLDS` stratified folds; test rows take no part."""
    split, folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed), []
    for c in concepts:
        for fold in split.split(c.train, c.train_labels):
            learn, check = (
                replace(c, train=c.train[rows], train_labels=c.train_labels[rows]) for rows in fold
            )
            folds.append((learn, check))
    return folds


# ---- linear directions --------------------------------------------------------------------------


def direction_scores(activations: RowActivations, directions: Tensor) -> np.ndarray:
    """Row scores of one direction per concept: (C, D) → (R, C), projections of raw activations."""
    return max_pool(activations, lambda x: x.to(directions.device) @ directions.T).cpu().numpy()


def difference_of_means(activations: RowActivations, concept: Concept) -> Tensor:
    """Mean over tokens of positives minus that of negatives, unit length: (D,)."""
    positive, negative = _sides(activations, concept)
    return _unit(positive.mean(0) - negative.mean(0))


def linear_probe(activations: RowActivations, concept: Concept, *, strength: float = 0.1) -> Tensor:
    """Logistic regression on tokens, each labelled like its row; its weights, unit length: (D,).

    Activations are divided by their mean norm, so that `strength` (scikit-learn's C) has no unit;
    it is to be chosen with `cross_validate_probe`.
    """
    positive, negative = _sides(activations, concept)
    x = torch.cat([positive, negative])
    labels = np.arange(len(x)) < len(positive)
    model = LogisticRegression(C=strength, max_iter=1000)
    model.fit((x / x.norm(dim=1).mean()).cpu().numpy(), labels)
    return _unit(torch.from_numpy(model.coef_[0]).float()).to(x.device)


def cross_validate_probe(
    activations: RowActivations, concepts: Sequence[Concept], strength: float, *, seed: int = 0
) -> float:
    """Mean AUROC over `training_folds` of `linear_probe` at one strength."""
    values = []
    for learn, check in training_folds(concepts, seed):
        w = linear_probe(activations, learn, strength=strength)
        scores = max_pool(activations, lambda x, w=w: x @ w[:, None], check.train)
        values.append(auroc(scores, check.train_labels))
    return float(np.mean(values))


def principal_component(activations: RowActivations, concept: Concept) -> Tensor:
    """First principal component of the tokens of positives, pointing to the positives: (D,)."""
    return _oriented(activations, concept, _sides(activations, concept)[0])


def lat(activations: RowActivations, concept: Concept, *, seed: int = 0) -> Tensor:
    """Linear artificial tomography (Zou et al. 2023), pointing to the positives: (D,).

    The first principal component of unit differences of random pairs of tokens of positives.
    """
    positive = _sides(activations, concept)[0]
    order = torch.randperm(len(positive), generator=torch.Generator().manual_seed(seed))
    order = order.to(positive.device)
    first, second = positive[order[: len(order) // 2 * 2]].chunk(2)
    apart = first - second
    return _oriented(activations, concept, apart / apart.norm(dim=1, keepdim=True).clamp(min=1e-12))


def _oriented(activations: RowActivations, concept: Concept, x: Tensor) -> Tensor:
    """The first component of x, with the sign that has the better training AUROC.

    A component has no sign of its own; AxBench leaves it to chance.
    """
    component = (
        PCA(n_components=1, svd_solver="covariance_eigh").fit(x.cpu().numpy()).components_[0]
    )
    w = torch.from_numpy(component).float().to(x.device)
    both = max_pool(activations, lambda x: x @ torch.stack([w, -w]).T, concept.train)
    value = auroc(both, concept.train_labels)
    return w if value[0] >= value[1] else -w


def _sides(activations: RowActivations, concept: Concept) -> tuple[Tensor, Tensor]:
    """Tokens of the positive and of the negative training rows: (n, D) each."""
    rows, labels = concept.train, concept.train_labels
    return activations.of(rows[labels]), activations.of(rows[~labels])


def _unit(w: Tensor) -> Tensor:
    return w / w.norm().clamp(min=1e-12)


# ---- words, and rows as a whole -----------------------------------------------------------------


def bag_of_words(texts: Sequence[str], concepts: Sequence[Concept]) -> np.ndarray:
    """Logistic regression over word counts of every row's text: (R, C)."""
    columns = []
    for c in concepts:
        model = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000))
        model.fit([texts[i] for i in c.train], c.train_labels)
        columns.append(model.decision_function(texts))
    return np.stack(columns, axis=1)


def row_mean_probe(activations: RowActivations, concepts: Sequence[Concept]) -> np.ndarray:
    """Logistic regression over each row's mean activation: (R, C).

    Not of AxBench's protocol, which pools by maximum: what a probe could do otherwise.
    """
    blocks = activations.blocks(np.arange(activations.n_rows))
    means = np.stack([
        part.mean(0).cpu().numpy()
        for block, x in blocks
        for part in x.split(activations.lengths[block].tolist())
    ])  # fmt: skip
    columns = []
    for c in concepts:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        columns.append(model.fit(means[c.train], c.train_labels).decision_function(means))
    return np.stack(columns, axis=1)
