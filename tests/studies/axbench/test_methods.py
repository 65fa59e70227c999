"""Detectors on toys: rules by hand, training rows alone, every method finds what is planted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from axbench_examples import planted

from epkit import LeaderClustering, calibrate
from epkit.share.sae import SparseAutoencoder
from epkit.stats import auroc
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.methods import (
    Features,
    bag_of_words,
    cross_validate_probe,
    difference_of_means,
    direction_scores,
    few_features,
    lat,
    linear_probe,
    pool_latents,
    pool_regions,
    principal_component,
    rank_features,
    read_all,
    row_mean_probe,
)
from epkit.studies.axbench.protocol import evaluate, max_pool

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
    "key", [(b, s) for b in ("exemplar", "mean") for s in ("cosine", "projection")]
)
def test_regions_find_planted_concepts(data, dictionary, rule, key):
    activations, concepts = data
    features = pool_regions(activations, dictionary)[key]
    assert evaluate(read_all(features, concepts, few_features(rule, 1)), concepts).auroc.min() > 0.9
    few = read_all(features, concepts, few_features(rule, 4))
    assert evaluate(few, concepts).auroc.min() > 0.9


@pytest.mark.parametrize("method", [difference_of_means, linear_probe, principal_component, lat])
def test_directions_find_planted_concepts(data, method):
    activations, concepts = data
    directions = torch.stack([method(activations, c) for c in concepts])
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(2))
    assert evaluate(direction_scores(activations, directions), concepts).auroc.min() > 0.9


def test_difference_of_means_by_hand(data):
    activations, concepts = data
    c = concepts[1]
    apart = activations.of(c.train[c.train_labels]).mean(0) - activations.of(
        c.train[~c.train_labels]
    ).mean(0)
    torch.testing.assert_close(difference_of_means(activations, c), apart / apart.norm())


def test_components_point_to_the_positives(data):
    activations, concepts = data
    for method in (principal_component, lat):
        w = method(activations, concepts[0])
        rows = max_pool(activations, lambda x, w=w: x @ w[:, None], concepts[0].train)
        assert auroc(rows.numpy(), concepts[0].train_labels)[0] > 0.5


def test_the_probes_cross_validation_sees_held_out_training_rows(data):
    activations, concepts = data
    assert cross_validate_probe(activations, concepts, 0.1) > 0.9
    rng = np.random.default_rng(0)
    shuffled = [replace(c, train_labels=rng.permutation(c.train_labels)) for c in concepts]
    assert cross_validate_probe(activations, shuffled, 0.1) == pytest.approx(0.5, abs=0.2)


def test_lat_is_seeded(data):
    activations, concepts = data
    assert torch.equal(lat(activations, concepts[0]), lat(activations, concepts[0], seed=0))


def test_row_means_find_planted_concepts(data):
    assert evaluate(row_mean_probe(*data), data[1]).auroc.min() > 0.9


def test_words_alone_find_words():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2 == 0
    texts = [" ".join(rng.choice(list("pqrs"), 3)) + (" cat" if y else "") for y in labels]
    texts = [t.replace("p", "dog").replace("q", "bird").replace("r", "fish") for t in texts]
    c = Concept(
        0, "cats", "text", np.arange(20), labels[:20], np.arange(20, 40), labels[20:],
        np.array([], int),
    )  # fmt: skip
    assert evaluate(bag_of_words(texts, [c]), [c]).auroc.tolist() == [1.0]
