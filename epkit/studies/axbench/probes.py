"""Detectors that are fitted to labels: linear directions, probes on whole rows, words.

Every method learns from a concept's training rows alone and ends in row scores (R, C).

- Directions: `difference_of_means`, `linear_probe` (fitted to tokens, each labelled like its row),
  `principal_component`, `lat`; a row's score is the maximum over its tokens.
- Probes on rows: logistic regression on one vector a row. `pooled_rows` gives the maximum over the
  row's tokens of every coordinate, which is how the features of `methods.read_best` are made, or
  the mean.
- `bag_of_words` sees the words alone.

Does not know: models, tokenizers, dictionaries.
"""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from epkit.stats import auroc
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.methods import Folds
from epkit.studies.axbench.protocol import RowActivations, max_pool

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


def cross_validate_probe(activations: RowActivations, folds: Folds, strength: float) -> float:
    """Mean AUROC over folds of training rows of `linear_probe` at one strength."""
    values = []
    for learn, check in folds:
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


def pooled_rows(activations: RowActivations, how: str) -> np.ndarray:
    """One vector a row, the "max" or the "mean" over its tokens of every coordinate: (R, D)."""
    take = {"max": lambda part: part.amax(0), "mean": lambda part: part.mean(0)}[how]
    blocks = activations.blocks(np.arange(activations.n_rows))
    return np.stack([
        take(part).cpu().numpy()
        for block, x in blocks
        for part in x.split(activations.lengths[block].tolist())
    ])  # fmt: skip


def row_probe(vectors: np.ndarray, concepts: Sequence[Concept], strength: float) -> np.ndarray:
    """Logistic regression over one standardised vector a row, (R, D): (R, C).

    Not of AxBench's protocol, in which a token has a score.
    """
    fitted = [_row_model(vectors, c, strength) for c in concepts]
    return np.stack([model.decision_function(vectors) for model in fitted], axis=1)


def cross_validate_rows(vectors: np.ndarray, folds: Folds, strength: float) -> float:
    """Mean AUROC over folds of training rows of `row_probe` at one strength."""
    values = []
    for learn, check in folds:
        scores = _row_model(vectors, learn, strength).decision_function(vectors[check.train])
        values.append(auroc(scores, check.train_labels))
    return float(np.mean(values))


def _row_model(vectors: np.ndarray, concept: Concept, strength: float) -> Pipeline:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    return model.fit(vectors[concept.train], concept.train_labels)
