"""Sparse probing: what of a label can be read off the regions of an activation.

Probes learn from training rows alone and give a probability to every test row:

- raw            logistic regression on the activation, or on its one best coordinate;
- one-hot        the smoothed share of positives among the training rows of the same region;
- top-k          logistic regression on the k largest cosines, the others zero;
- cosine         logistic regression on the cosines to all regions;
- best region    logistic regression on the cosine to the region with the best training AUROC;
- majority       the share of positives in training, for every row.

The strength of the penalty is chosen by cross-validation on the training rows. A probability of
exactly one half counts as half right, as a tie does for AUROC.

Does not know: texts, models, where rows, labels and dictionaries come from.
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import auc, roc_auc_score, roc_curve
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from epkit.dictionary import Dictionary
from epkit.readouts import cosine, top_k
from epkit.stats import auroc

STRENGTHS = np.logspace(-1, 3, 5)
"""Inverse penalties tried (scikit-learn's C), for features whose rows have mean square norm 1."""

FOLDS = 3
SMOOTHING = 2.0
"""Pseudo-texts at the overall rate that smooth a region's share: 2 is Laplace's rule."""


def logistic(
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    standardise: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Probabilities of test rows by penalised logistic regression: (n, F), (n,), (m, F) → (m,).

    The penalty is the one of `STRENGTHS` with the best AUROC in cross-validation on `train`.
    """
    _check_labels(labels)
    if standardise:
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    model = LogisticRegression(max_iter=2000)
    search = GridSearchCV(model, {"C": STRENGTHS}, scoring=_area, cv=folds)
    with threadpool_limits(1):  # the problems are small: threads cost more than they give
        train, test = _rotated(train, test)
        return search.fit(train, labels).predict_proba(test)[:, 1]


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


def best_column(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, int]:
    """Probabilities from the one column with the best training AUROC, either sign, and which."""
    _check_labels(labels)
    best = int(np.abs(auroc(train, labels) - 0.5).argmax())
    scaler = StandardScaler().fit(train[:, [best]])
    model = LogisticRegression().fit(scaler.transform(train[:, [best]]), labels)
    return model.predict_proba(scaler.transform(test[:, [best]]))[:, 1], best


def raw_probes(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, *, seed: int = 0
) -> dict[str, np.ndarray]:
    """{probe: probabilities (m,)} on the activations themselves, and of the majority class."""
    return {
        "raw": logistic(train, labels, test, seed=seed),
        "raw best coordinate": best_column(train, labels, test)[0],
        "majority": np.full(len(test), labels.mean()),
    }


def region_probes(
    dictionary: Dictionary,
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    k: int = 16,
    basis: str = "mean",
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """{probe: probabilities (m,)} on the regions of activations (n, D), (m, D).

    One-hot is membership, by the nearest exemplar; the others read cosines on `basis`, top-k those
    of all regions where there are fewer than k.
    """
    parts, most = (train, test), min(k, len(dictionary))
    region = [dictionary.assign(x)[0].cpu().numpy() for x in parts]
    all_cosines = [cosine(dictionary, x, basis).cpu().numpy() for x in parts]
    largest = [
        top_k(dictionary, x, most, basis, of="cosine").to_dense().cpu().numpy() for x in parts
    ]
    return {
        "one-hot": class_rates(region[0], labels, region[1], len(dictionary)),
        "best region": best_column(all_cosines[0], labels, all_cosines[1])[0],
        f"top-{k}": logistic(largest[0], labels, largest[1], standardise=False, seed=seed),
        "cosine": logistic(all_cosines[0], labels, all_cosines[1], seed=seed),
    }


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
    train, test = axes.transform(train), axes.transform(test)
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
