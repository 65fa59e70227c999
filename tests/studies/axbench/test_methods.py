"""Regions and latents on toys: rules by hand, training rows alone, what is planted is found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from axbench_examples import planted
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from epkit import LeaderClustering, calibrate, readouts
from epkit.share.sae import SparseAutoencoder
from epkit.stats import auroc
from epkit.studies.axbench.methods import (
    READOUTS,
    Features,
    few_features,
    pool_latents,
    pool_regions,
    rank_features,
    read_all,
    read_best,
)
from epkit.studies.axbench.protocol import evaluate

LABELS = np.array([True, True, False, False])


def hand_features():
    """Four rows of 1, 1, 2, 2 tokens and three features."""
    pooled = np.array([[3, 0, 1], [1, 0, 3], [2, 1, 2], [0, 1, 0.0]])
    sums = np.array([[3, 0, 1], [1, 0, 3], [2, 4, 2], [0, 2, 0.0]])
    return Features(pooled, sums, np.array([1, 1, 2, 2]))


@pytest.fixture(scope="module")
def data():
    return planted()


@pytest.fixture(scope="module")
def dictionary(data):
    x = data[0].of(range(80))
    cal = calibrate(x, [5])
    return LeaderClustering(cal.centre, cal.thresholds[5]).partial_fit(x).dictionary()


# ---- rules --------------------------------------------------------------------------------------


def test_contrast_rule_by_hand():
    # per token: positives 2, 0, 2; negatives 2/4, 6/4, 2/4; so 1.5, −1.5, 1.5 and the tie goes low
    assert rank_features(hand_features(), np.arange(4), LABELS, "contrast").tolist() == [0, 2, 1]


def test_sae_a_rule_by_hand():
    # AUROC: 3/4, 0, 3/4; the same effect size 1, so the lower index comes first
    assert rank_features(hand_features(), np.arange(4), LABELS, "SAE-A").tolist() == [0, 2, 1]
    features = hand_features()
    features.pooled[0, 2] = 1.5  # same AUROC, larger effect (2.25 − 1) / .88
    assert rank_features(features, np.arange(4), LABELS, "SAE-A").tolist() == [2, 0, 1]


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="unknown selection rule 'best'"):
        rank_features(hand_features(), np.arange(4), LABELS, "best")


def test_the_choice_sees_training_rows_alone(data, dictionary):
    activations, concepts = data
    features = pool_regions(activations, dictionary)["mean", "cosine"]
    test = concepts[0].test
    spoilt = replace(features, pooled=features.pooled.copy(), sums=features.sums.copy())
    spoilt.pooled[test] = np.random.default_rng(0).normal(size=spoilt.pooled[test].shape)
    spoilt.sums[test] = 0
    for rule in ("contrast", "SAE-A"):
        for reading in (few_features(rule, 1), few_features(rule, 4)):
            train = concepts[0].train
            honest = read_all(features, concepts, reading)[train]
            np.testing.assert_array_equal(read_all(spoilt, concepts, reading)[train], honest)


def test_several_features_are_standardised_and_combined_by_logistic_regression():
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(60, 5)) * [1, 100, 0.01, 1, 1] + 7
    pooled[:, 4] = 3  # says nothing
    rows, labels = np.arange(30), pooled[:30, 1] + rng.normal(size=30) * 50 > 7
    found = read_best(
        Features(pooled, pooled, np.ones(60)), np.array([1, 2, 4, 0]), 3, rows, labels
    )
    model = make_pipeline(StandardScaler(), LogisticRegression())
    wanted = model.fit(pooled[np.ix_(rows, [1, 2, 4])], labels).decision_function(
        pooled[:, [1, 2, 4]]
    )
    np.testing.assert_allclose(found, wanted, atol=1e-3)


# ---- pooling ------------------------------------------------------------------------------------


def test_pooled_regions_are_maxima_of_the_dictionarys_own_distances(data, dictionary):
    activations, _ = data
    pooled = pool_regions(activations, dictionary)
    x = activations.of([7])
    cosine = 1 - dictionary.distances(x)
    features = pooled["exemplar", "cosine"]
    np.testing.assert_allclose(features.pooled[7], cosine.amax(0), atol=1e-5)
    rows = np.array([7, 9])
    both = 1 - dictionary.distances(activations.of(rows))
    np.testing.assert_allclose(features.mean(rows), both.mean(0), atol=1e-5)
    projection = (x - dictionary.centre) @ dictionary.means.T
    np.testing.assert_allclose(
        pooled["mean", "projection"].pooled[7], projection.amax(0), atol=1e-4
    )
    np.testing.assert_allclose(  # the contrast rule compares cosines under either score
        pooled["mean", "projection"].mean(rows), pooled["mean", "cosine"].mean(rows)
    )


@pytest.mark.parametrize("basis", ["exemplar", "mean"])
def test_pooled_readouts_are_maxima_of_the_kits_own(data, dictionary, basis):
    activations, _ = data
    pooled = pool_regions(activations, dictionary, bases=[basis], scores=READOUTS)
    assert list(pooled) == [(basis, score) for score in READOUTS]
    x = activations.of([7])
    for score, readout in (
        ("cosine", readouts.cosine(dictionary, x, basis)),
        ("Otsu", readouts.otsu_cut(dictionary, x, basis).to_dense()),
        ("least squares", readouts.least_squares(dictionary, x, basis=basis).to_dense()),
    ):
        found = pooled[basis, score].pooled[7]
        np.testing.assert_allclose(found, readout.amax(0), atol=1e-4)
    several = pool_regions(activations, dictionary)[basis, "cosine"].pooled
    np.testing.assert_array_equal(pooled[basis, "cosine"].pooled, several)


def test_published_scoring_is_raw_uncentred_and_rounded(data, dictionary):
    activations, concepts = data
    ours = pool_regions(activations, dictionary)["mean", "projection"]
    theirs = pool_regions(activations, dictionary, as_published=True)["mean", "projection"]
    raw = (activations.of([3]) @ dictionary.means.T).double().amax(0)
    np.testing.assert_array_equal(theirs.pooled[3], np.round(raw.numpy(), 3))
    constant = (dictionary.means @ dictionary.centre).numpy()
    np.testing.assert_allclose(theirs.pooled, ours.pooled + constant, atol=6e-4)
    c = concepts[0]
    np.testing.assert_allclose(
        auroc(theirs.pooled[c.test], c.test_labels),
        auroc(ours.pooled[c.test], c.test_labels), atol=0.02,
    )  # fmt: skip


def test_pooled_latents_are_maxima_of_the_saes_code(data):
    activations, concepts = data
    identity = SparseAutoencoder(
        torch.eye(12), torch.zeros(12), torch.eye(12), *torch.zeros(2, 12), k=3
    )
    features = pool_latents(activations, identity)
    code = identity.encode(activations.of([5]))
    np.testing.assert_allclose(features.pooled[5], code.amax(0))
    np.testing.assert_allclose(features.sums[5], code.sum(0), rtol=1e-6)
    best = [rank_features(features, c.train, c.train_labels, "SAE-A")[0].item() for c in concepts]
    assert best == [0, 1]


# ---- every method finds what is planted ---------------------------------------------------------


@pytest.mark.parametrize("rule", ["contrast", "SAE-A"])
@pytest.mark.parametrize(
    "key", [(b, s) for b in ("exemplar", "mean") for s in ("projection", *READOUTS)]
)
def test_regions_find_planted_concepts(data, dictionary, rule, key):
    activations, concepts = data
    features = pool_regions(activations, dictionary, scores=key[1:])[key]
    assert evaluate(read_all(features, concepts, few_features(rule, 1)), concepts).auroc.min() > 0.9
    few = read_all(features, concepts, few_features(rule, 4))
    assert evaluate(few, concepts).auroc.min() > 0.9
