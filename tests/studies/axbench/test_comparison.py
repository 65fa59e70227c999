"""The comparison: every method by its own function, and what it is said to cost."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from axbench_examples import planted
from conftest import mixture

import epkit
from epkit.share.sae import SparseAutoencoder
from epkit.studies.axbench import comparison as side_by_side
from epkit.studies.axbench import methods, probes, rivals
from epkit.studies.axbench.comparison import (
    LABELLED,
    POOLED_PROBE,
    PROBE,
    ROW_STRENGTHS,
    Comparison,
    add_dictionaries,
    add_labelled,
    add_published_sae,
    add_topk_sae,
    compare_readouts,
    named,
)
from epkit.studies.axbench.configurations import (
    CORPUS,
    FEW,
    ONE,
    READINGS,
    TRAINING,
    best_readings,
    try_configurations,
)
from epkit.studies.axbench.protocol import evaluate

WORDS = ["cat" if row % 20 < 10 else "dog" for row in range(40)]


def compare(place="cpu"):
    rows, concepts = planted(n=10)
    rows = replace(rows, x=rows.x.to(place))
    tokens = {CORPUS: mixture(1100, 12).to(place), TRAINING: mixture(1024, 12, seed=1).to(place)}
    return Comparison(rows, concepts, tokens, {CORPUS: 1200, TRAINING: 0})


def make(made, place="cpu"):
    d = epkit.partition(made.tokens[CORPUS], [15], recount=False, device=place)[15]
    runs, took = rivals.make_runs(d, made.tokens[CORPUS], n_orders=2, n_draws=2, rounds=1)
    return runs, took | {rivals.EP: 100.0}


@pytest.fixture(scope="module")
def known():
    """A comparison with all kinds of dictionary of the corpus, its runs, and the choices."""
    made = compare()
    runs, took = make(made)
    return made, runs, add_dictionaries(made, CORPUS, runs, took)


@pytest.fixture
def made():
    return compare()


def test_every_run_of_every_kind_is_read_by_every_reading(known):
    made, runs, chosen = known
    assert set(made.results) == {named(k, r, CORPUS) for k in rivals.KINDS for r in READINGS}
    for method, found in made.aurocs().items():
        assert found.shape == (2, 2), method
        assert made.costs[method]["forward tokens"] == made.rows.n_fed + 1200
        assert made.costs[method]["build tokens"] == 1100
        assert (made.costs[method]["seconds"] > 100) == method.startswith("EP,")
    assert chosen.loc[(rivals.EP, ONE), "K"] == len(runs[rivals.EP][0])


def test_a_kind_is_read_as_its_first_run_does_best_on_training_rows(known):
    made, runs, chosen = known
    for kind in (rivals.EP, rivals.ITDA, rivals.DRAWN):
        grid, scores = try_configurations(made.rows, {(kind, 0): runs[kind][0]}, made.concepts)
        for reading, g in best_readings(grid).loc[kind].iterrows():
            own = chosen.loc[(kind, reading)]
            assert (own.basis, own.score, own.rule, own.k) == (g.basis, g.score, g.rule, g.k)
            first, second = made.results[named(kind, reading, CORPUS)]
            assert first.equals(evaluate(scores[g["at"]], made.concepts))
            pooled = methods.pool_regions(made.rows, runs[kind][1])[g.basis, g.score]
            assert second.equals(evaluate(made.read(pooled, g.rule, g.k), made.concepts))


def test_the_choice_does_not_see_test_rows(known):
    _, runs, chosen = known
    spoilt = compare()
    x = spoilt.rows.x.clone()
    x[120:] = torch.randn(120, 12)  # the test rows
    spoilt.rows = replace(spoilt.rows, x=x)
    again = add_dictionaries(spoilt, CORPUS, runs, dict.fromkeys(runs, 0.0))
    columns = ["basis", "score", "rule", "k", "cv"]
    assert again[columns].equals(chosen[columns])


def test_what_is_fitted_to_labels_is_the_methods_own_scores(made):
    cv = add_labelled(made, WORDS)
    folds = methods.training_folds(made.concepts)
    assert list(cv) == list(ROW_STRENGTHS)
    assert cv.loc[PROBE, 1.0] == probes.cross_validate_probe(made.rows, folds, 1.0)
    assert set(made.results) == set(LABELLED)
    vectors = probes.pooled_rows(made.rows, "max")
    assert cv.loc[POOLED_PROBE, 0.1] == probes.cross_validate_rows(vectors, folds, 0.1)
    best = {name: cv.loc[name].idxmax() for name in cv.index}
    directions = {
        "DiffMean": probes.difference_of_means,
        PROBE: lambda *a: probes.linear_probe(*a, strength=best[PROBE]),
    }
    for name, fit in directions.items():
        w = torch.stack([fit(made.rows, c) for c in made.concepts])
        scores = probes.direction_scores(made.rows, w)
        assert made.results[name][0].equals(evaluate(scores, made.concepts))
    pooled = probes.row_probe(vectors, made.concepts, best[POOLED_PROBE])
    assert made.results[POOLED_PROBE][0].equals(evaluate(pooled, made.concepts))
    assert made.costs["PCA"]["build tokens"] == 20 * 6  # a concept's training tokens
    words = made.costs["bag of words"]
    assert (words["build tokens"], words["forward tokens"]) == (0, 0)
    assert made.results["bag of words"][0].auroc.tolist() == [1.0, 1.0]


def test_costs_are_those_of_a_run(made):
    for seconds in (1.0, 3.0, 8.0):
        made.add("m", torch.rand(40, 2), seconds, 5)
    assert made.costs["m"]["seconds"] == 4.0
    assert len(made.results["m"]) == 3
    frame = made.frame()
    assert frame.run.tolist() == [0, 0, 1, 1, 2, 2]
    assert set(frame.method) == {"m"}


def test_an_sae_has_as_many_latents_as_it_is_asked_for(made):
    assert add_topk_sae(made, TRAINING, 30, 4, epochs=1) <= 1
    assert set(made.results) == {named("TopK SAE", r, TRAINING) for r in (ONE, FEW)}


def test_readouts_are_compared_by_the_best_configuration_of_each(known):
    made, runs, _ = known
    d = runs[rivals.EP][0]
    found = compare_readouts(made, CORPUS, d)
    assert set(found) == {f"{s}, {r}" for s in methods.READOUTS for r in (ONE, FEW)}
    cosine = try_configurations(made.rows, {(CORPUS, 0): d}, made.concepts, scores=["cosine"])
    best = best_readings(cosine[0]).loc[(CORPUS, ONE), "at"]
    wanted = evaluate(cosine[1][best], made.concepts).auroc
    assert found[f"cosine, {ONE}"].tolist() == [wanted.tolist()]


@pytest.mark.parametrize("known", [True, False])
def test_a_published_sae_is_read_by_choice_and_by_name(made, monkeypatch, known):
    identity = SparseAutoencoder(
        torch.eye(12), torch.zeros(12), torch.eye(12), *torch.zeros(2, 12), k=3
    )
    monkeypatch.setattr(side_by_side, "load_sae", lambda weights, device: identity)
    if known:
        made.concepts = [replace(c, sae_id=i) for i, c in enumerate(made.concepts)]
    add_published_sae(made, "owner/repository/path")
    assert made.results["SAE-A"][0].auroc.min() > 0.9
    assert ("SAE" in made.results) == known
    if known:
        assert made.results["SAE"][0].auroc.min() > 0.9


@pytest.mark.slow
def test_rows_and_dictionaries_that_are_far_give_the_same_results(far, made):
    there = compare(far)
    for one, place in ((there, far), (made, "cpu")):
        runs, took = make(one, place)
        assert runs[rivals.EP][0].centre.device.type == torch.device(place).type
        add_dictionaries(one, CORPUS, runs, took)
        add_labelled(one, WORDS)
        add_topk_sae(one, TRAINING, 20, 2, epochs=1)
        one.results["readouts"] = [compare_readouts(one, CORPUS, runs[rivals.EP][0])]
    for method in (*LABELLED, named(rivals.EP, ONE, CORPUS), named(rivals.DRAWN, FEW, CORPUS)):
        near = made.results[method][0].auroc.tolist()
        assert there.results[method][0].auroc.tolist() == pytest.approx(near, abs=0.02)
    for name, near in made.results["readouts"][0].items():
        np.testing.assert_allclose(there.results["readouts"][0][name], near, atol=0.02)
    assert evaluate(torch.rand(40, 2).to(far), there.concepts).auroc.between(0, 1).all()
