"""Probes on toys: rates by hand, training rows alone, chance on shuffled labels, named failures."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer

from epkit import LeaderClustering, calibrate
from epkit.share.sae import train_topk_sae
from epkit.studies.sae_and_probes.probing import (
    BEFORE,
    FITTED,
    LATENTS,
    MEAN,
    ONE_HOT,
    OTSU,
    READOUTS,
    _area,
    _rotated,
    best_columns,
    class_rates,
    latent_probes,
    raw_probe,
    region_probes,
    scores,
)


def two_clouds(n=240, dim=12, seed=0):
    """Rows (n, dim) in six directions, of which the first three are the positives."""
    rng = np.random.default_rng(seed)
    direction = rng.integers(6, size=n)
    x = 8 * np.eye(dim)[direction] + rng.normal(size=(n, dim))
    return x.astype(np.float32), direction < 3


def regions_of(x, p=10):
    x = torch.from_numpy(x)
    calibration = calibrate(x, [p])
    return (
        LeaderClustering(calibration.centre, calibration.thresholds[p]).partial_fit(x).dictionary()
    )


def test_smoothed_class_rates_by_hand():
    labels = np.array([True, True, False, True, False, False, False, True])
    train = np.array([0, 0, 0, 1, 2, 2, 2, 3])
    rates = class_rates(train, labels, np.array([0, 1, 2, 3, 4]), 5)
    # (positives + 2·½) / (texts + 2)
    assert rates.tolist() == pytest.approx([3 / 5, 2 / 3, 1 / 5, 2 / 3, 1 / 2])


def test_smoothing_goes_to_the_overall_rate():
    labels = np.array([True] * 3 + [False] * 9)
    rates = class_rates(np.zeros(12, dtype=int), labels, np.array([0, 1]), 2)
    assert rates.tolist() == pytest.approx([1 / 4, 1 / 4])


def test_scores_count_a_probability_of_one_half_as_half_right():
    labels = np.array([True, True, False, False])
    assert scores(np.array([0.9, 0.5, 0.5, 0.6]), labels)["accuracy"] == 0.5
    assert scores(np.full(4, 0.5), labels) == {"accuracy": 0.5, "AUROC": 0.5}
    assert scores(np.array([0.9, 0.8, 0.2, 0.1]), labels) == {"accuracy": 1, "AUROC": 1}


def test_every_readout_finds_what_is_planted():
    x, labels = two_clouds()
    data = x[:160], labels[:160], x[160:]
    found = region_probes(regions_of(x), *data, 4)
    assert [*found] == [*READOUTS]
    sae = train_topk_sae(torch.from_numpy(x), 24, 3, epochs=20, batch=40)
    latents = latent_probes(sae, *data, 12)
    assert [*latents] == [LATENTS, BEFORE, ONE_HOT]
    found |= {f"SAE {name}": p for name, p in latents.items()} | {"raw": raw_probe(*data)[0]}
    for name, p in found.items():
        sparse = name in (OTSU, FITTED)  # four columns of them see but a part of the rows
        assert scores(p, labels[160:])["AUROC"] > (0.6 if sparse else 0.9), name


def test_shuffled_labels_give_chance():
    x, labels = two_clouds(n=600)
    d = regions_of(x)
    results = []
    for seed in range(6):
        shuffled = np.random.default_rng(seed).permutation(labels)
        data = x[:200], shuffled[:200], x[200:]
        found = [raw_probe(*data).probability, *region_probes(d, *data, 4).values()]
        results.append([list(scores(p, shuffled[200:]).values()) for p in found])
        assert raw_probe(*data).trained < 0.65
    assert np.mean(results, axis=0) == pytest.approx(0.5, abs=0.05)


def test_one_hot_reads_membership_alone():
    x, labels = two_clouds()
    d = regions_of(x)
    p = region_probes(d, x[:160], labels[:160], x[160:], 4)[ONE_HOT]
    region = d.assign(x[160:])[0].numpy()
    assert all(len(set(p[region == r])) == 1 for r in np.unique(region))


def test_the_best_columns_are_those_that_differ_most_in_pooled_deviations():
    rng = np.random.default_rng(0)
    labels = rng.random(80) < 0.5
    x = rng.normal(size=(80, 6))
    x[:, 3] -= 4 * labels
    x[:, 1] += 2 * labels
    x[:, 5] = 100 * x[:, 5] + 20 * labels  # a large difference, but of few deviations
    x[:, 2] = 7
    p, chosen = best_columns(x[:60], labels[:60], x[60:], 2)
    assert chosen.tolist() == [3, 1]
    assert scores(p, labels[60:])["AUROC"] > 0.95
    _, everything = best_columns(x[:60], labels[:60], x[60:], 100)
    assert sorted(everything.tolist()) == [*range(6)]
    assert everything[-1] == 2  # a column that is always the same says nothing


def test_how_hard_a_set_is_is_told_by_training_rows_alone():
    x, labels = two_clouds()
    alone = raw_probe(x[:160], labels[:160], x[160:])
    among = raw_probe(x[:160], labels[:160], -9 * x[160:])
    none = raw_probe(x[:160], labels[:160], x[:0])
    assert alone.trained == among.trained == none.trained > 0.95
    assert len(none.probability) == 0


def test_test_rows_do_not_change_the_probe():
    x, labels = two_clouds()
    d = regions_of(x)
    alone = region_probes(d, x[:160], labels[:160], x[160:161], 4)
    among = region_probes(d, x[:160], labels[:160], np.concatenate([x[160:161], -9 * x[161:]]), 4)
    for name in alone:
        assert alone[name][0] == pytest.approx(among[name][0], abs=1e-4)


def test_rotation_keeps_the_products_that_a_penalised_regression_sees():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(7, 30)), rng.normal(size=(4, 30))
    a, b = _rotated(train, test)
    assert a.shape == (7, 7)
    assert (a**2).sum(1).mean() == pytest.approx(1)
    centred = train - train.mean(0), test - train.mean(0)
    scale = (centred[0] ** 2).sum(1).mean()
    assert b @ a.T == pytest.approx(centred[1] @ centred[0].T / scale)


def test_the_raw_probe_is_repeatable():
    x, labels = two_clouds(n=120)
    first, second = (raw_probe(x[:80], labels[:80], x[80:], seed=3) for _ in range(2))
    assert (first.probability == second.probability).all()
    assert first.trained == second.trained


def test_the_strength_is_chosen_as_by_the_library_s_own_score():
    x, labels = two_clouds(n=90, seed=4)
    model = LogisticRegression(C=0.01).fit(x[:60], labels[:60])
    for rows in (x[60:], np.ones_like(x[60:]), np.round(x[60:])):  # without ties, and with
        expected = get_scorer("roc_auc")(model, rows, labels[60:])
        assert _area(model, rows, labels[60:]) == expected


def test_all_regions_are_read_where_there_are_fewer_than_asked():
    x, labels = two_clouds()
    d = regions_of(x, p=20)
    many, all_of_them = (
        region_probes(d, x[:160], labels[:160], x[160:], k) for k in (1000, len(d))
    )
    assert many[MEAN] == pytest.approx(all_of_them[MEAN])


def test_bad_input_is_named():
    x, labels = two_clouds(n=40)
    with pytest.raises(ValueError, match="3 training rows of each class"):
        raw_probe(x, np.arange(40) < 2, x)
    with pytest.raises(ValueError, match="3 training rows of each class"):
        class_rates(np.zeros(4, dtype=int), np.ones(4, dtype=bool), np.zeros(1, dtype=int), 1)
    with pytest.raises(ValueError, match="same features"):
        raw_probe(np.ones_like(x), labels, x)
