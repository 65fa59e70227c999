"""Sparse probing: what of a label can be read off the regions of an activation.

Probes learn from training rows alone and give a probability to every test row:

- raw            logistic regression on the activation; the strength of its penalty, and how hard
                 the set is, by cross-validation on the training rows;
- one-hot        the smoothed share of positives among the training rows of the same region;
- k best         logistic regression on the k columns of a readout whose means differ most between
                 the classes of the training rows, in pooled standard deviations (sae-probes' rule,
                 with columns of any scale); k = 1 is the best single column;
- majority       the share of positives in training, for every row.

Readouts of a dictionary: cosines to all regions in either basis, the Otsu cut, and coefficients of
least squares over the nearest regions. Of an SAE: its latents, and what TopK takes them from.

Does not know: texts, models, where rows, labels and dictionaries come from.
"""

from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import auc, roc_auc_score, roc_curve
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from epkit.dictionary import Dictionary
from epkit.readouts import cosine, least_squares, otsu_cut
from epkit.share.sae import SparseAutoencoder

STRENGTHS = np.logspace(-1, 3, 5)
"""Inverse penalties tried (scikit-learn's C), for features whose rows have mean square norm 1."""

FOLDS = 3
SMOOTHING = 2.0
"""Pseudo-texts at the overall rate that smooth a region's share: 2 is Laplace's rule."""


NEAREST = 8
"""Regions of the least-squares readout."""

MEAN, EXEMPLAR = "cosine, mean", "cosine, exemplar"
OTSU, FITTED, ONE_HOT = "Otsu", "least squares", "one-hot"
LATENTS, BEFORE = "latents", "before TopK"
READOUTS = (MEAN, EXEMPLAR, OTSU, FITTED, ONE_HOT)


class RawProbe(NamedTuple):
    """Probabilities of the test rows (m,), and the mean AUROC of cross-validation in training."""

    probability: np.ndarray
    trained: float


def raw_probe(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, *, seed: int = 0
) -> RawProbe:
    """Penalised logistic regression on standardised columns: (n, F), (n,), (m, F).

    The penalty is the one of `STRENGTHS` with the best AUROC in cross-validation on `train`, whose
    value there is given back: of the best of a few, so slightly high.
    """
    _check_labels(labels)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test) if len(test) else test
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    model = LogisticRegression(max_iter=2000)
    search = GridSearchCV(model, {"C": STRENGTHS}, scoring=_area, cv=folds)
    with threadpool_limits(1):  # the problems are small: threads cost more than they give
        train, test = _rotated(train, test)
        search.fit(train, labels)
        probability = search.predict_proba(test)[:, 1] if len(test) else np.zeros(0)
    return RawProbe(probability, float(search.best_score_))


def class_rates(
    train_region: np.ndarray, labels: np.ndarray, test_region: np.ndarray, n_regions: int
) -> np.ndarray:
    """Smoothed share of positives in the region of every test row: (n,), (n,), (m,) → (m,).

    (positives + s·rate) / (texts + s) over the training texts of the region, with s = `SMOOTHING`
    and the rate of all training texts, which a region without training texts is left with.
    """
    _check_labels(labels)
    texts = np.bincount(train_region, minlength=n_regions)
    positives = np.bincount(train_region, weights=labels, minlength=n_regions)
    rates = (positives + SMOOTHING * labels.mean()) / (texts + SMOOTHING)
    return rates[test_region]


def best_columns(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (m,) from the k columns of `train` (n, F) that differ most, and which, (k,).

    All columns where there are fewer than k; ties go to the lowest index.
    """
    _check_labels(labels)
    labels = labels.astype(bool)
    yes, no = train[labels], train[~labels]
    spread = np.sqrt((yes.var(0) + no.var(0)) / 2)
    apart = np.abs(yes.mean(0) - no.mean(0)) / np.where(spread > 0, spread, np.inf)
    chosen = np.argsort(-apart, kind="stable")[:k]
    scaler = StandardScaler().fit(train[:, chosen])
    with threadpool_limits(1):
        model = LogisticRegression(max_iter=2000).fit(scaler.transform(train[:, chosen]), labels)
        return model.predict_proba(scaler.transform(test[:, chosen]))[:, 1], chosen


def region_probes(
    dictionary: Dictionary, train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int
) -> dict[str, np.ndarray]:
    """{readout: probabilities (m,)} of `READOUTS` on activations (n, D), (m, D).

    One-hot is membership, by the nearest exemplar; of the others the k best columns are read.
    """
    x = np.concatenate([train, test])
    found = {
        MEAN: cosine(dictionary, x, "mean"),
        EXEMPLAR: cosine(dictionary, x, "exemplar"),
        OTSU: otsu_cut(dictionary, x, "mean").to_dense(),
        FITTED: least_squares(dictionary, x, NEAREST, "mean").to_dense(),
    }
    probabilities = {name: _read(f.cpu().numpy(), labels, k) for name, f in found.items()}
    region = dictionary.assign(x)[0].cpu().numpy()
    n = len(train)
    return probabilities | {ONE_HOT: class_rates(region[:n], labels, region[n:], len(dictionary))}


def latent_probes(
    sae: SparseAutoencoder, train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int
) -> dict[str, np.ndarray]:
    """{readout: probabilities (m,)} of an SAE's k best latents; one-hot is the most active one."""
    x = np.concatenate([train, test])
    before, latents = (f(x).cpu().numpy() for f in (sae.pre_activations, sae.encode))
    top, n = latents.argmax(1), len(train)
    return {
        LATENTS: _read(latents, labels, k),
        BEFORE: _read(before, labels, k),
        ONE_HOT: class_rates(top[:n], labels, top[n:], len(sae)),
    }


def _read(readout: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Probabilities of the rows after the labelled ones."""
    return best_columns(readout[: len(labels)], labels, readout[len(labels) :], k)[0]


def _area(model: LogisticRegression, x: np.ndarray, labels: np.ndarray) -> float:
    """AUROC to the bit as "roc_auc" has it, whose look at the type of labels takes half a fit."""
    return auc(*roc_curve(labels, model.decision_function(x))[:2])


def _rotated(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centred, scaled to mean square norm 1, on the axes that the training rows span.

    A squared penalty does not see the other axes nor a rotation, so the regression is the same on
    min(n, F) columns as on F.
    """
    if not np.ptp(train, axis=0).any():
        raise ValueError("all training rows have the same features: nothing to learn from")
    axes = PCA(svd_solver="full").fit(train.astype(np.float64))
    train, test = axes.transform(train), axes.transform(test) if len(test) else test
    scale = np.sqrt((train**2).sum(1).mean())
    return train / scale, test / scale


def _check_labels(labels: np.ndarray) -> None:
    if np.bincount(labels.astype(int), minlength=2).min() < FOLDS:
        raise ValueError(f"a probe needs {FOLDS} training rows of each class at least")


# ---- scores -------------------------------------------------------------------------------------


def scores(probability: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, a probability of one half counting half, and AUROC, of test rows (m,)."""
    right = np.where(probability == 0.5, 0.5, (probability > 0.5) == labels)
    return {"accuracy": float(right.mean()), "AUROC": float(roc_auc_score(labels, probability))}
