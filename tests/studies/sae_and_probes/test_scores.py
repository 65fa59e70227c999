"""All probes over all sets: order, means over draws, pairing, halves by size, devices."""

import numpy as np
import pandas as pd
import pytest
from conftest import mixture

import epkit
from epkit.share.sae import train_topk_sae
from epkit.stats import bootstrap_difference
from epkit.studies.sae_and_probes import EP, RANDOM, probing
from epkit.studies.sae_and_probes.scores import (
    SAE,
    ProbeScores,
    above_chance,
    larger_half,
    score_sets,
    scores_by_size,
)
from epkit.studies.sae_and_probes.sets import ProbingSet

X = mixture(700, 10)
PROBES = ["one-hot", "best region", "top-5", "cosine"]


def labelled(name, start, n_train, n_test=20):
    """A set and its rows: which side of a plane through their mean activations lie on."""
    x = X[start : start + n_train + n_test].numpy()
    labels = np.argsort(np.argsort(x[:, 0])) >= len(x) // 2
    train, test = (
        [f"{name} {i}" for i in range(n_train)],
        [f"{name} test {i}" for i in range(n_test)],
    )
    one = ProbingSet(name, train, labels[:n_train], test, labels[n_train:])
    return one, (x[:n_train], x[n_train:])


def made(device="cpu", percentiles=(4, 20), draws=2):
    found = {p: d.to(device) for p, d in epkit.partition(X, percentiles, device="cpu").items()}
    drawn = {
        p: [epkit.random_dictionary(d, X, seed=s) for s in range(draws)] for p, d in found.items()
    }
    sae = train_topk_sae(X, 16, 4, epochs=1, batch=64, device=device)
    sets, activations = zip(
        labelled("b", 0, 60), labelled("a", 100, 40), labelled("c", 200, 60), strict=True
    )
    return sets, activations, found, drawn, sae


@pytest.fixture(scope="module", autouse=True)
def one_strength():
    """The choice of a penalty is `test_probing`'s matter, and most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probing, "STRENGTHS", [1.0])
        yield


@pytest.fixture(scope="module")
def parts():
    return made()


@pytest.fixture(scope="module")
def scored(parts):
    return score_sets(*parts, k=5, seed=1)


def test_scores_are_the_probes_own_in_the_order_of_the_sets(parts, scored):
    sets, activations, found, drawn, _ = parts
    assert scored.names == ["b", "a", "c"]
    assert scored.probes == PROBES
    assert scored.percentiles == [4, 20]
    for i, (one, (train, test)) in enumerate(zip(sets, activations, strict=True)):
        raw = probing.raw_probes(train, one.train_labels, test, seed=1)
        expected = probing.scores(raw["raw"], one.test_labels)
        for of in ("accuracy", "AUROC"):
            assert scored.values("raw", of=of)[i] == expected[of]
        of_draws = [
            probing.region_probes(d, train, one.train_labels, test, k=5, seed=1) for d in drawn[4]
        ]
        accuracy = [probing.scores(d["one-hot"], one.test_labels)["accuracy"] for d in of_draws]
        assert scored.values("one-hot", RANDOM, 4)[i] == pytest.approx(np.mean(accuracy))
    assert len(found[20]) < 200


def test_the_summary_has_a_row_for_every_probe_dictionary_and_kind(scored):
    table = scored.summary()
    probes = table.index.get_level_values("probe")
    assert probes[:4].tolist() == ["raw", "raw best coordinate", "SAE latents", "SAE best latent"]
    assert probes[-1] == "majority"
    assert len(table) == 5 + len(PROBES) * 2 * 2
    assert set(table.index.get_level_values("exemplars")) == {"", EP, RANDOM}
    assert table["of raw accuracy"].iloc[0] == (1, 1, 1)
    for (probe, p, exemplars), row in table.iterrows():
        kind = SAE if probe.startswith("SAE") else exemplars
        assert row.accuracy.value == pytest.approx(scored.values(probe, kind, p).mean())
    assert (table["published, Gemma-2-2B"] == "").all()  # none for these percentiles


@pytest.mark.parametrize(
    ("gap", "says"), [(0.1, "better"), (-0.1, "worse"), (0.0, "no difference shown")]
)
def test_the_difference_is_paired_and_has_a_word(gap, says):
    names = [f"set {i}" for i in range(20)]
    level = np.linspace(0.5, 0.8, 20)
    wiggle = np.where(np.arange(20) % 2, 0.01, -0.01)
    rows = [
        {"probe": "one-hot", "kind": kind, "p": p, "set": name, "accuracy": a, "AUROC": a}
        for p in (1, 10)
        for kind, values in ((EP, level + gap + wiggle), (RANDOM, level))
        for name, a in zip(names, values, strict=True)
    ]
    results = pd.DataFrame(rows[::-1]).set_index(["probe", "kind", "p", "set"])
    table = ProbeScores(results, names, ["one-hot"], [1, 10]).against_random({1: 50, 10: 7})
    assert table.index.tolist() == [("one-hot", 1), ("one-hot", 10)]
    assert table.K.tolist() == [50, 7]
    assert table.says.tolist() == [says] * 2
    expected = bootstrap_difference(level + gap + wiggle, level)
    assert table["accuracy: EP − random"].iloc[0] == pytest.approx(expected)


def test_above_chance():
    own, raw = np.array([0.6, 0.7]), np.array([0.7, 0.9])
    assert above_chance(own, raw).value == pytest.approx(0.5)
    assert np.isnan(above_chance(own, np.array([0.5, 0.5]))).all()


def test_the_larger_half_is_told_by_training_texts():
    sets = [labelled(str(n), 0, n)[0] for n in (30, 10, 30, 20, 30)]
    assert larger_half(sets).tolist() == [True, False, True, False, True]


def test_by_size_by_hand(parts, scored):
    sets, activations, found, _, _ = parts
    table = scores_by_size(scored, sets, activations, found)
    assert table.index.tolist() == [4, 20]
    one_hot = scored.values("one-hot", EP, 20)
    assert table.loc[20, "larger sets: one-hot"].value == pytest.approx(one_hot[[0, 2]].mean())
    assert table.loc[20, "smaller sets: one-hot"].value == one_hot[1]
    seen = []
    for train, test in activations:
        known = set(found[20].assign(train)[0].tolist())
        seen.append(np.mean([r in known for r in found[20].assign(test)[0].tolist()]))
    column = "test texts in a region with training texts"
    assert table.loc[20, column].value == pytest.approx(np.mean(seen))


@pytest.mark.slow
def test_on_a_device(far):
    near, there = (made(device, percentiles=[20], draws=1) for device in ("cpu", far))
    near, there = ((p[0][:2], p[1][:2], *p[2:]) for p in (near, there))
    assert there[4].w_enc.device.type == there[2][20].centre.device.type == "cuda"
    one, other = (score_sets(*parts, k=5) for parts in (near, there))
    regions = [scores.results.drop(SAE, level="kind") for scores in (one, other)]
    pd.testing.assert_frame_equal(*regions, atol=1e-3)
    a, b = (scores_by_size(one, *parts[:3]) for parts in (near, there))
    assert a.equals(b)
