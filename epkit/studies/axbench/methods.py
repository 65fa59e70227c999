"""Concept detectors without labels in their making: regions of a dictionary, latents of an SAE.

Every method ends in row scores (R, C): one column per concept, all rows of the benchmark. Methods
learn from a concept's training rows alone.

- Regions. `pool_regions` takes the maximum over each row's tokens of every region's score, once;
  `read_all` then reads the best region of each concept, or combines the k best by logistic
  regression. A region is chosen on training rows by the *contrast* rule (largest mean cosine over
  tokens of positives minus that of negatives) or by the *SAE-A* rule (best training AUROC of the
  pooled score; ties go to the largest effect size).
- Latents of an SAE are read in the same way.
- A token's score for a region is its cosine or its projection, or one of two readouts in which few
  regions have any: *Otsu*, the cosine where the region is on the near side of the token's own
  threshold; *least squares*, its coefficient where the token is rebuilt from its nearest regions.

Does not know: models, tokenizers, where dictionaries come from, which reading is chosen (see
`configurations`), what is fitted to labels (see `probes`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from epkit import readouts
from epkit.dictionary import Dictionary
from epkit.share.sae import SparseAutoencoder
from epkit.stats import auroc
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.protocol import RowActivations, round_scores, segment_max

BASES = ("exemplar", "mean")
SCORES = ("cosine", "projection")
READOUTS = ("cosine", "Otsu", "least squares")
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
    scores: Sequence[str] = SCORES,
    as_published: bool = False,
) -> dict[tuple[str, str], Features]:
    """Row scores of every region, {(basis, score): Features of K regions}, in one pass.

    cosine: u·E with u the direction seen from the centre. projection: (a − c)·E. Otsu and least
    squares: `readouts.otsu_cut` and `readouts.least_squares`. With `as_published` the projection is
    the author's: a·E, uncentred, every token's score rounded to three decimals. Uncentring moves a
    region's scores by one constant, so it changes no AUROC except through the rounding, whose ties
    count one half.
    """
    pooled: dict[tuple[str, str], list[Tensor]] = {(b, s): [] for b in bases for s in scores}
    totals = []
    for block, x in activations.blocks(np.arange(activations.n_rows)):
        x = x.to(dictionary.centre.device)
        lengths = activations.lengths[block]
        u = dictionary.directions(x)
        totals += [part.double().sum(0) for part in u.split(lengths.tolist())]
        for basis in bases:
            for score, values in _token_scores(dictionary, x, u, basis, scores, as_published):
                pooled[basis, score] += segment_max(values, lengths)
    sums = torch.stack(totals).cpu().numpy()
    return {
        (basis, score): Features(
            torch.stack(parts).cpu().numpy(), sums, activations.lengths,
            readouts.basis_of(dictionary, basis).double().cpu().numpy(),
        )
        for (basis, score), parts in pooled.items()
    }  # fmt: skip


def _token_scores(
    d: Dictionary, x: Tensor, u: Tensor, basis: str, scores: Sequence[str], as_published: bool
) -> Iterator[tuple[str, Tensor]]:
    """Every score with its values (n, K), of activations x and their directions u, (n, D)."""
    e = readouts.basis_of(d, basis)
    cosine = u @ e.T if {"cosine", "projection"} & set(scores) else None
    for score in scores:
        if score == "cosine":
            yield score, cosine
        elif score == "projection":
            length = (x - d.centre).norm(dim=1, keepdim=True)
            yield score, round_scores(x @ e.T) if as_published else length * cosine
        elif score == "Otsu":
            yield score, readouts.otsu_cut(d, x, basis).to_dense()
        else:
            yield score, readouts.least_squares(d, x, basis=basis).to_dense()


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
    values = features.pooled[:, best[:k]].astype(np.float64)
    spread = values[rows].std(axis=0)
    # By hand, since scikit-learn's pipeline takes three times as long as the fit itself.
    values = (values - values[rows].mean(axis=0)) / np.where(spread > 0, spread, 1)
    model = LogisticRegression(max_iter=2000).fit(values[rows], labels)
    return values @ model.coef_[0] + model.intercept_[0]


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
