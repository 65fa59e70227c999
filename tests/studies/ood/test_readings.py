import numpy as np
import pytest
import torch
from ood_examples import LAYERS, LENGTH, PERCENTILES, FakeSet, example
from tiny_models import tiny_llama

import epkit
import epkit.controls
from epkit.studies.ood import readings
from epkit.studies.ood.readings import EP, KMEANS, RANDOM, REFINED


def known_of(stream):
    return {layer: stream.layer(layer) for layer in LAYERS}


def test_orders_of_a_build_are_partitions_of_permuted_rows():
    stream, calibrations, atlas, _ = example()
    built = readings.build_orders(known_of(stream), calibrations, PERCENTILES, 3, seed=4)
    assert built.keys() == atlas.keys()
    for (layer, p), orders in built.items():
        assert torch.equal(orders[0].exemplars.cpu(), atlas[layer, p].exemplars)
        for seed, d in zip((5, 6), orders[1:], strict=True):
            made = epkit.partition(
                stream.layer(layer), [p], calibration=calibrations[layer], order=seed
            )[p]
            assert torch.equal(d.exemplars, made.exemplars)


def test_partition_scores_are_distances_in_the_texts_shape():
    stream, calibrations, _, taken = example()
    known = known_of(stream)
    atlas = readings.build_orders(known, calibrations, PERCENTILES, 2)
    scores = readings.partition_scores(atlas, known, taken, LENGTH, n_draws=2, seed=5)
    assert scores.keys() == {(method, *key) for method in (EP, RANDOM) for key in atlas}
    for key, orders in atlas.items():
        for d, draw in zip(orders, scores[EP, *key], strict=True):
            for name, t in taken.items():
                expected = d.assign(t.layer(key[0]))[1].view(-1, LENGTH).cpu()
                assert torch.equal(draw[name], expected)
        drawn = epkit.random_dictionary(orders[0], known[key[0]], seed=6, recount=False)
        second = scores[RANDOM, *key][1]["web"]
        expected = drawn.assign(taken["web"].layer(key[0]))[1].view(-1, LENGTH).cpu()
        assert torch.equal(second, expected)


def test_centroids_stand_at_one_layer():
    stream, calibrations, _, taken = example()
    known = known_of(stream)
    atlas = readings.build_orders(known, calibrations, PERCENTILES, 1)
    scores = readings.centroid_scores(atlas, known, taken, LENGTH, 3, rounds=2, seed=1)
    assert scores.keys() == {(method, 3, p) for method in (REFINED, KMEANS) for p in PERCENTILES}
    refined = atlas[3, 20][0].refine(known[3], rounds=2)
    kmeans = epkit.controls.kmeans_dictionary(atlas[3, 20][0], known[3], seed=1, rounds=2)
    for method, d in ((REFINED, refined), (KMEANS, kmeans)):
        (draw,) = scores[method, 3, 20]
        expected = d.assign(taken["code"].layer(3))[1].view(-1, LENGTH).cpu()
        assert torch.equal(draw["code"], expected)


def test_baselines_go_back_to_their_corpora():
    stream, calibrations, _, taken = example()
    known = known_of(stream)
    scores = readings.baseline_scores(known, calibrations, taken, LENGTH, n_baseline=120)
    assert len(scores) == 4 * len(calibrations)
    for layer in calibrations:
        (draw,) = scores["norm", layer, None]
        for name, t in taken.items():
            torch.testing.assert_close(draw[name].flatten(), t.layer(layer).norm(dim=1))
            assert scores["Mahalanobis", layer, None][0][name].shape == (t.n // LENGTH, LENGTH)


def test_scores_of_tokens():
    model = tiny_llama()
    tokens = {"web": torch.tensor([[1, 2, 2], [3, 3, 9]])}
    count = torch.zeros(model.vocab_size, dtype=torch.long)
    count[2] = 9
    taken = {"web": FakeSet({2: torch.randn(6, model.d_model)})}
    scores = readings.token_scores(model, count, taken, tokens, last=2)
    (rarity,) = scores["token rarity", None, None]
    np.testing.assert_allclose(rarity["web"][0], [0, -np.log(10), -np.log(10)], rtol=1e-6)
    assert scores["next-token entropy", None, None][0]["web"].shape == (2, 3)
    assert scores["token surprisal", None, None][0]["web"].shape == (2, 2)
    table = readings.familiarity(count, tokens)
    assert table.loc["web"].tolist() == pytest.approx([2 / 6, 1000 * 4 / 6])


@pytest.mark.slow
def test_scores_of_far_dictionaries_come_home_as_they_are_near(far):
    stream, calibrations, near, taken = example()
    known = known_of(stream)
    near = {key: [d] for key, d in near.items()}
    expected = readings.partition_scores(near, known, taken, LENGTH, n_draws=1)
    atlas = {key: [d.to(far)] for key, (d,) in near.items()}
    found = readings.partition_scores(atlas, known, taken, LENGTH, n_draws=1)
    there = {name: FakeSet({1: t.layer(1).to(far)}) for name, t in taken.items()}
    some = {key: d for key, d in atlas.items() if key[0] == 1}
    one, away = {1: calibrations[1]}, {1: known[1].to(far)}
    given = readings.partition_scores(some, away, there, LENGTH, n_draws=1)
    given |= readings.centroid_scores(some, away, there, LENGTH, 1, rounds=1)
    given |= readings.baseline_scores(away, one, there, LENGTH, n_baseline=100)
    for key, draws in found.items():
        for name, values in draws[0].items():
            torch.testing.assert_close(values, expected[key][0][name])
    assert {v.device.type for draws in given.values() for v in draws[0].values()} == {"cpu"}
