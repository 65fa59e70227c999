"""Every configuration against one read alone; the choice, on training rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from axbench_examples import planted

import epkit
from epkit.stats import auroc
from epkit.studies.axbench.configurations import (
    CORPUS,
    FEW,
    KS,
    ONE,
    PUBLISHED_RULE,
    READINGS,
    TRAINING,
    best_readings,
    build_dictionaries,
    choose_configurations,
    try_configurations,
    validate_readings,
)
from epkit.studies.axbench.methods import (
    FOLDS,
    RULES,
    Features,
    few_features,
    pool_regions,
    read_all,
    training_folds,
)


@pytest.fixture(scope="module")
def data():
    return planted(n=20)


@pytest.fixture(scope="module")
def dictionaries(data):
    x = data[0].of(range(40))
    return build_dictionaries({CORPUS: x[:150], TRAINING: x}, [5, 20], 100)[0]


def test_dictionaries_are_partitions_by_one_calibration_of_each_text(data):
    x = data[0].of(range(40))
    found, seconds = build_dictionaries({CORPUS: x, TRAINING: x}, [5, 20], 100, seed=3)
    assert list(found) == list(seconds) == [(n, p) for n in (CORPUS, TRAINING) for p in (5, 20)]
    assert min(seconds.values()) > 0
    samples = {CORPUS: x[:100], TRAINING: x}  # the corpus's first, a draw of the training text
    for (name, p), d in found.items():
        cal = epkit.calibrate(samples[name], [5, 20], max_rows=100, seed=3)
        expected = epkit.partition(x, [p], calibration=cal, recount=False)[p]
        assert d.threshold == cal.thresholds[p]
        assert torch.equal(d.exemplars, expected.exemplars)


def test_readouts_are_tried_with_one_region_and_with_several(data, dictionaries):
    rows, concepts = data
    only = {(CORPUS, 20): dictionaries[CORPUS, 20]}
    grid, _ = try_configurations(rows, only, concepts, scores=["Otsu"])
    assert len(grid) == 2 * 2 * len(KS)
    assert set(grid.score) == {"Otsu"}


def test_the_grid_holds_every_configuration_with_the_scores_of_its_reading(data, dictionaries):
    rows, concepts = data
    grid, scores = try_configurations(rows, dictionaries, concepts)
    assert len(grid) == len(scores) == len(dictionaries) * 2 * 2 * (len(KS) + 1)
    assert not grid[["built on", "p", "basis", "score", "rule", "k"]].duplicated().any()
    assert set(grid[grid.score == "projection"].k) == {1}
    for i, g in grid.sample(12, random_state=0).iterrows():
        features = pool_regions(rows, dictionaries[g["built on"], g.p])[g.basis, g.score]
        alone = read_all(features, concepts, few_features(g.rule, g.k))
        np.testing.assert_array_equal(scores[i], alone)
        assert len(dictionaries[g["built on"], g.p]) == g.K


@pytest.mark.parametrize("rule", RULES)
def test_validation_by_the_definition_on_training_rows_alone(data, dictionaries, rule):
    rows, concepts = data
    features = pool_regions(rows, dictionaries[TRAINING, 5])["mean", "cosine"]
    folds = training_folds(concepts)
    assert len(folds) == FOLDS * len(concepts)
    spoilt = replace(features, pooled=features.pooled.copy())
    spoilt.pooled[40:] = np.random.default_rng(0).normal(size=spoilt.pooled[40:].shape)
    honest = validate_readings(features, concepts, folds, rule, (1, 4))
    for k, (_, cv, _), (_, blind, _) in zip(
        (1, 4), honest, validate_readings(spoilt, concepts, folds, rule, (1, 4)), strict=True
    ):
        read = few_features(rule, k)
        values = [
            auroc(read(features, learn.train, learn.train_labels)[check.train], check.train_labels)
            for learn, check in folds
        ]
        assert cv == blind == np.mean(values)


def test_noise_is_at_chance():
    rows, concepts = planted(n=60)
    noise = np.random.default_rng(1).normal(size=(240, 300))
    features = Features(noise, np.zeros((240, 300)), rows.lengths)
    folds = training_folds(concepts)
    ((scores, cv, _),) = validate_readings(features, concepts, folds, "SAE-A", (1,))
    assert cv == pytest.approx(0.5, abs=0.15)  # though the best of 300 fits its own rows well
    test = [auroc(s[c.test], c.test_labels)[()] for s, c in zip(scores.T, concepts, strict=True)]
    assert np.mean(test) == pytest.approx(0.5, abs=0.15)


@pytest.fixture
def made_up():
    """Two texts, two percentiles, exemplar and mean; (score, rule) told by hand."""
    rows = []
    for text, p, cvs in (
        (CORPUS, 1, (0.60, 0.90, 0.50)),  # one, few, published rule
        (CORPUS, 4, (0.70, 0.75, 0.65)),
        (TRAINING, 1, (0.60, 0.70, 0.55)),
        (TRAINING, 4, (0.80, 0.65, 0.50)),
    ):
        kinds = (("mean", "SAE-A", 1), ("mean", "SAE-A", 8), ("exemplar", "contrast", 1))
        rows += [
            {"built on": text, "p": p, "basis": b, "score": "cosine", "rule": r, "k": k, "cv": cv}
            for (b, r, k), cv in zip(kinds, cvs, strict=True)
        ]
    return pd.DataFrame(rows)


def test_every_text_has_the_percentile_whose_two_best_add_up_to_most(made_up):
    chosen = choose_configurations(made_up)
    assert chosen.p.to_dict() == {
        (text, reading): p for text, p in ((CORPUS, 1), (TRAINING, 4)) for reading in READINGS
    }
    assert chosen.loc[CORPUS, "at"].tolist() == [0, 1, 2]
    assert chosen.loc[TRAINING, "at"].tolist() == [9, 10, 11]


def test_the_best_of_one_of_several_and_of_the_published_rule(made_up):
    best = best_readings(made_up)
    assert best.loc[CORPUS].cv.to_dict() == {ONE: 0.7, FEW: 0.9, PUBLISHED_RULE: 0.65}
    assert best.loc[(CORPUS, PUBLISHED_RULE), "basis"] == "exemplar"
    assert best.loc[(TRAINING, FEW), "k"] == 8
    alone = best_readings(made_up[made_up.basis == "mean"])
    assert PUBLISHED_RULE not in alone.index.get_level_values("reading")
