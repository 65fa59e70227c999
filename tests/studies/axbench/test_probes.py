"""What is fitted to labels, on toys: training rows alone, every method finds what is planted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from axbench_examples import planted

from epkit.stats import auroc
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.methods import training_folds
from epkit.studies.axbench.probes import (
    bag_of_words,
    cross_validate_probe,
    cross_validate_rows,
    difference_of_means,
    direction_scores,
    lat,
    linear_probe,
    pooled_rows,
    principal_component,
    row_probe,
)
from epkit.studies.axbench.protocol import evaluate, max_pool


@pytest.fixture(scope="module")
def data():
    return planted()


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
    rng = np.random.default_rng(0)
    shuffled = [replace(c, train_labels=rng.permutation(c.train_labels)) for c in concepts]
    vectors = pooled_rows(activations, "max")
    for validate, x in ((cross_validate_probe, activations), (cross_validate_rows, vectors)):
        assert validate(x, training_folds(concepts), 0.1) > 0.9
        chance = validate(x, training_folds(shuffled), 0.1)
        assert chance == pytest.approx(0.5, abs=0.2)


def test_lat_is_seeded(data):
    activations, concepts = data
    assert torch.equal(lat(activations, concepts[0]), lat(activations, concepts[0], seed=0))


@pytest.mark.parametrize("how", ["max", "mean"])
def test_probes_on_rows_find_planted_concepts(data, how):
    activations, concepts = data
    vectors = pooled_rows(activations, how)
    x = activations.of([5])
    wanted = x.amax(0) if how == "max" else x.mean(0)
    np.testing.assert_allclose(vectors[5], wanted, rtol=1e-5)
    assert evaluate(row_probe(vectors, concepts, 0.1), concepts).auroc.min() > 0.9


def test_a_row_probe_learns_from_training_rows_alone(data):
    activations, concepts = data
    vectors = pooled_rows(activations, "max")
    spoilt = vectors.copy()
    spoilt[concepts[0].test] = 0
    train = concepts[0].train
    honest, blind = (row_probe(x, concepts, 1.0)[train] for x in (vectors, spoilt))
    np.testing.assert_array_equal(honest, blind)


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
