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
from epkit.studies.axbench import methods
from epkit.studies.axbench.comparison import (
    STRENGTHS,
    Comparison,
    add_baselines,
    add_chosen,
    add_published_sae,
    add_random_exemplars,
    add_topk_saes,
)
from epkit.studies.axbench.configurations import (
    CORPUS,
    TRAINING,
    build_dictionaries,
    choose_configurations,
    try_configurations,
)
from epkit.studies.axbench.protocol import evaluate

WORDS = ["cat" if row % 20 < 10 else "dog" for row in range(40)]


def compare(place="cpu"):
    rows, concepts = planted(n=10)
    rows = replace(rows, x=rows.x.to(place))
    tokens = {CORPUS: mixture(1100, 12).to(place), TRAINING: mixture(1024, 12, seed=1).to(place)}
    return Comparison(rows, concepts, tokens, {CORPUS: 1200, TRAINING: 0})


def choose(made):
    dictionaries, seconds = build_dictionaries(made.tokens, [15], 1024)
    grid, scores = try_configurations(made.rows, dictionaries, made.concepts)
    return dictionaries, seconds, choose_configurations(grid), scores


@pytest.fixture(scope="module")
def known():
    return choose(compare())


@pytest.fixture
def made(known):
    """A comparison that holds the chosen configurations."""
    _, seconds, chosen, scores = known
    found = compare()
    add_chosen(found, chosen, scores, seconds)
    return found


def test_chosen_configurations_cost_building_pooling_and_choosing(made, known):
    _, seconds, chosen, scores = known
    for method, g in chosen.iterrows():
        assert made.results[method].equals(evaluate(scores[g["at"]], made.concepts))
        cost, name = made.costs[method], g["built on"]
        assert cost["seconds"] == seconds[name, g.p] + g.pooling + g.choosing
        assert cost["build tokens"] == len(made.tokens[name])
        assert cost["forward tokens"] == made.rows.n_fed + made.fed[name]


def test_baselines_are_the_methods_own_scores(made):
    cv = add_baselines(made, WORDS)
    assert set(cv) == set(STRENGTHS)
    assert cv[1.0] == methods.cross_validate_probe(made.rows, made.concepts, 1.0)
    for name, fit in (
        ("DiffMean", methods.difference_of_means),
        ("linear probe", lambda *a: methods.linear_probe(*a, strength=max(cv, key=cv.get))),
    ):
        w = torch.stack([fit(made.rows, c) for c in made.concepts])
        scores = methods.direction_scores(made.rows, w)
        assert made.results[name].equals(evaluate(scores, made.concepts))
    assert made.costs["PCA"]["build tokens"] == 20 * 6  # a concept's training tokens
    words = made.costs["bag of words"]
    assert (words["build tokens"], words["forward tokens"]) == (0, 0)
    assert made.results["bag of words"].auroc.tolist() == [1.0, 1.0]


def test_random_exemplars_are_read_as_the_chosen_ones_and_averaged(made, known):
    dictionaries, _, chosen, _ = known
    draws = add_random_exemplars(made, chosen, dictionaries, 2)
    for method, g in chosen.iterrows():
        name = method.replace("EP", "random exemplars")
        d, x = dictionaries[g["built on"], g.p], made.tokens[g["built on"]]
        pooled = methods.pool_regions(made.rows, epkit.random_dictionary(d, x, seed=1))
        second = evaluate(made.read(pooled[g.basis, g.score], g.rule, g.k), made.concepts)
        assert draws[name][1] == pytest.approx(second.auroc.mean())
        assert made.results[name].auroc.mean() == pytest.approx(np.mean(draws[name]))
        assert made.costs[name]["build tokens"] == len(d)


def test_saes_have_as_many_latents_as_regions(made, known):
    chosen = known[2]
    found = add_topk_saes(made, chosen, epochs=1)
    sizes = chosen.drop_duplicates(["built on", "p"]).K.tolist()
    assert [latents for latents, _ in found] == sizes
    assert all(explained <= 1 for _, explained in found)
    assert {"TopK SAE, same tokens, one latent", "TopK SAE, same tokens, few latents"} < set(
        made.results
    )


@pytest.mark.parametrize("named", [True, False])
def test_a_published_sae_is_read_by_choice_and_by_name(made, monkeypatch, named):
    identity = SparseAutoencoder(
        torch.eye(12), torch.zeros(12), torch.eye(12), *torch.zeros(2, 12), k=3
    )
    monkeypatch.setattr(side_by_side, "load_sae", lambda weights, device: identity)
    if named:
        made.concepts = [replace(c, sae_id=i) for i, c in enumerate(made.concepts)]
    add_published_sae(made, "owner/repository/path")
    assert made.results["SAE-A"].auroc.min() > 0.9
    assert ("SAE" in made.results) == named
    if named:
        assert made.results["SAE"].auroc.min() > 0.9


@pytest.mark.slow
def test_rows_and_dictionaries_that_are_far_give_the_same_results(far, made, known):
    there = compare(far)
    dictionaries, seconds, chosen, scores = choose(there)
    assert {d.centre.device.type for d in dictionaries.values()} == {"cuda"}
    add_chosen(there, chosen, scores, seconds)
    add_baselines(there, WORDS)
    add_random_exemplars(there, chosen, dictionaries, 1)
    add_topk_saes(there, chosen, epochs=1)
    add_baselines(made, WORDS)
    for method in ("EP, one region", "EP, few regions", "linear probe", "DiffMean", "LAT"):
        near = made.results[method].auroc.tolist()
        assert there.results[method].auroc.tolist() == pytest.approx(near, abs=0.02)
    assert evaluate(torch.rand(40, 2).to(far), there.concepts).auroc.between(0, 1).all()
