"""All probes over all sets: order, means over runs, pairing, strata, the record, devices."""

import numpy as np
import pandas as pd
import pytest
from conftest import mixture

import epkit
from epkit.controls import equal_kinds
from epkit.plots.criteria import record_criteria
from epkit.share.sae import train_topk_sae
from epkit.stats import t_interval
from epkit.studies.sae_and_probes import EP, KINDS, RANDOM, SAE, probing
from epkit.studies.sae_and_probes.probing import BEFORE, LATENTS, MEAN, READOUTS
from epkit.studies.sae_and_probes.scores import (
    COORDINATES,
    MAJORITY,
    RAW,
    headline_readout,
    score_sets,
)
from epkit.studies.sae_and_probes.sets import ProbingSet

X = mixture(700, 10)


def labelled(name, start, n_train, n_test=20):
    """A set and its rows: which side of a plane through their mean activations lie on."""
    x = X[start : start + n_train + n_test].numpy()
    labels = np.argsort(np.argsort(x[:, 0])) >= len(x) // 2
    train, test = ([f"{name} {part} {i}" for i in range(n)]
                   for part, n in (("train", n_train), ("test", n_test)))  # fmt: skip
    one = ProbingSet(name, train, labels[:n_train], test, labels[n_train:])
    return one, (x[:n_train], x[n_train:])


def made(device="cpu", percentiles=(4, 20)):
    found = {p: d.to(device) for p, d in epkit.partition(X, percentiles, device="cpu").items()}
    kinds = {p: equal_kinds(d, X, n_orders=2, n_draws=2, rounds=1) for p, d in found.items()}
    saes = [train_topk_sae(X, 16, 4, epochs=1, batch=64, seed=s, device=device) for s in (0, 1)]
    sets, activations = zip(
        labelled("b", 0, 60), labelled("a", 100, 40), labelled("c", 200, 60), strict=True
    )
    return sets, activations, kinds, {4: saes}


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
    sets, activations, kinds, saes = parts
    assert scored.names == ["b", "a", "c"]
    for i, (one, (train, test)) in enumerate(zip(sets, activations, strict=True)):
        data = train, one.train_labels, test
        raw = probing.raw_probe(*data, seed=1)
        assert scored.trained[one.name] == raw.trained
        expected = probing.scores(raw.probability, one.test_labels)
        for of in ("accuracy", "AUROC"):
            assert scored.raw(RAW, of)[i] == expected[of]
        for run, d in enumerate(kinds[4][RANDOM]):
            own = probing.region_probes(d, *data, 5)[MEAN]
            area = probing.scores(own, one.test_labels)["AUROC"]
            assert scored.runs(RANDOM, 4, MEAN)[run, i] == area
        own = probing.latent_probes(saes[4][1], *data, 5)[LATENTS]
        assert scored.runs(SAE, 4, LATENTS)[1, i] == (probing.scores(own, one.test_labels)["AUROC"])
    assert scored.values(RANDOM, 4, MEAN) == pytest.approx(scored.runs(RANDOM, 4, MEAN).mean(0))
    assert scored.raw(MAJORITY).tolist() == [0.5] * 3


def test_the_headline_pairs_every_kind_with_random_exemplars(scored):
    table = scored.headline(4)
    assert table.index.tolist() == [*KINDS] == scored.kinds(4)
    assert scored.kinds(20) == [*KINDS[:-1]]  # the SAE was read beside the finer dictionaries
    assert len(table.columns) <= 7
    assert table.runs.tolist() == [2, 1, 1, 1, 2, 2]
    assert table.readout.tolist() == [MEAN] * 5 + [LATENTS]
    for kind, row in table.iterrows():
        own = scored.values(kind, 4, headline_readout(kind))
        assert row["AUROC"] == t_interval(own)
        gap = None if kind == RANDOM else t_interval(own - scored.values(RANDOM, 4, MEAN))
        assert row["against random"] == gap
    assert np.isnan(table.loc["k-means", "spread of runs"])
    spread = scored.runs(EP, 4, MEAN).mean(1).std(ddof=1)
    assert table.loc[EP, "spread of runs"] == pytest.approx(spread)


def test_readouts_and_strata_are_means_over_sets(scored):
    table = scored.by_readout(4)
    assert table.index.tolist() == [*KINDS]
    assert [*table] == [*READOUTS, LATENTS, BEFORE]
    assert table.loc[EP, MEAN] == pytest.approx(scored.values(EP, 4, MEAN).mean())
    assert table.loc[SAE].isna().tolist() == [True] * 4 + [False] * 3
    by_stratum = scored.by_stratum(4)
    assert by_stratum.index.tolist()[:2] == [RAW, COORDINATES]
    sizes = [sum(scored.strata == name) for name in dict.fromkeys(scored.strata)]
    assert sum(sizes) == 3
    whole = sum(
        by_stratum.loc[EP, column] * int(column.split("(")[1].split()[0]) for column in by_stratum
    )
    assert whole / 3 == pytest.approx(scored.values(EP, 4, MEAN).mean())


def test_the_record_has_the_headline_s_rows(scored, tmp_path):
    rows = scored.criteria(4, "08: a setting")
    assert rows.dictionary.tolist() == [*KINDS]
    assert set(rows.criterion) == {"probing"}
    assert np.isnan(rows.detectable[rows.dictionary == RANDOM].item())
    kept = record_criteria(tmp_path / "dictionaries.csv", rows)
    pd.testing.assert_frame_equal(kept, rows.round(3), check_exact=False)


@pytest.mark.slow
def test_on_a_device(far):
    near, there = (made(device, percentiles=[4]) for device in ("cpu", far))
    near, there = ((p[0][:2], p[1][:2], *p[2:]) for p in (near, there))
    assert there[3][4][0].w_enc.device.type == there[2][4][EP][0].centre.device.type == "cuda"
    one, other = (score_sets(*parts, k=5).results for parts in (near, there))
    regions = [r[r.index.get_level_values("kind").isin(["", EP, RANDOM])] for r in (one, other)]
    pd.testing.assert_frame_equal(*regions, atol=2e-2)
