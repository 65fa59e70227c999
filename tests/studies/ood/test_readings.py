import numpy as np
import pytest
import torch
from ood_examples import LENGTH, PERCENTILES, FakeSet, example
from tiny_models import tiny_llama

import epkit
from epkit.studies.ood import readings
from epkit.studies.ood.readings import EP, RANDOM


def test_partition_scores_are_distances_in_the_texts_shape():
    stream, _, atlas, taken = example()
    scores = readings.partition_scores(atlas, stream, taken, LENGTH, n_draws=2, seed=5)
    assert scores.keys() == {(method, *key) for method in (EP, RANDOM) for key in atlas}
    for key, d in atlas.items():
        (draw,) = scores[EP, *key]
        for name, t in taken.items():
            expected = d.assign(t.layer(key[0]))[1].view(-1, LENGTH)
            assert torch.equal(draw[name], expected)
        drawn = epkit.random_dictionary(d, stream.layer(key[0]), seed=6, recount=False)
        second = scores[RANDOM, *key][1]["web"]
        assert torch.equal(second, drawn.assign(taken["web"].layer(key[0]))[1].view(-1, LENGTH))


def test_keeping_the_whole_stream_changes_no_score():
    stream, calibrations, atlas, taken = example()
    whole = readings.partition_scores(atlas, stream, taken, LENGTH, n_draws=2)
    again = readings.scores_without(
        torch.ones(stream.n, dtype=torch.bool), stream, calibrations, PERCENTILES, taken, LENGTH,
        shown=(3, 20), compared=["web"], n_draws=2,
    )  # fmt: skip
    assert [key for key in again if key[0] == RANDOM] == [(RANDOM, 1, 20), (RANDOM, 3, 20)]
    for key, draws in again.items():
        all_of_them = key == (EP, 3, 20) or key == (RANDOM, 3, 20)
        assert list(draws[0]) == (list(taken) if all_of_them else ["web"])
        for draw, expected in zip(draws, whole[key], strict=True):
            assert all(torch.equal(draw[name], expected[name]) for name in draw)


def test_baselines_go_back_to_their_corpora():
    stream, calibrations, _, taken = example()
    scores = readings.baseline_scores(stream, calibrations, taken, LENGTH, n_baseline=120)
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
    expected = readings.partition_scores(near, stream, taken, LENGTH, n_draws=1)
    atlas = {key: d.to(far) for key, d in near.items()}
    found = readings.partition_scores(atlas, stream, taken, LENGTH, n_draws=1)
    there = {name: FakeSet({1: t.layer(1).to(far)}) for name, t in taken.items()}
    some = {key: d for key, d in atlas.items() if key[0] == 1}
    given = readings.partition_scores(some, stream, there, LENGTH, n_draws=1)
    one = {1: calibrations[1]}
    keep = torch.arange(stream.n) < 200
    readings.scores_without(
        keep, stream, one, PERCENTILES, there, LENGTH, shown=(1, 20), compared=["web"], n_draws=1
    )
    given |= readings.baseline_scores(stream, one, there, LENGTH, n_baseline=100)
    for key, draws in found.items():
        for name, values in draws[0].items():
            torch.testing.assert_close(values, expected[key][0][name])
    assert {v.device.type for draws in given.values() for v in draws[0].values()} == {"cpu"}
