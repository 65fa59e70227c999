"""Results there and back; rows of the common table replace none but those of the same setting."""

import numpy as np
import pandas as pd
import pytest
from axbench_examples import aurocs

from epkit.plots.criteria import record_criteria
from epkit.stats import minimum_detectable
from epkit.studies.axbench import records, tables
from epkit.studies.axbench.comparison import named
from epkit.studies.axbench.configurations import CORPUS, ONE, TRAINING
from epkit.studies.axbench.rivals import DRAWN, EP, KINDS, KMEANS


def frame(method, runs):
    """As `Comparison.frame` gives it."""
    return pd.concat([
        pd.DataFrame({"method": method, "run": i, "concept": [0, 1], "auroc": run})
        for i, run in enumerate(runs)
    ])  # fmt: skip


@pytest.fixture
def written(tmp_path):
    index = pd.MultiIndex.from_tuples([(CORPUS, ONE), (TRAINING, ONE)])
    chosen = pd.DataFrame(
        {"p": 4, "K": [30, 40], "basis": "mean", "score": "cosine", "rule": "SAE-A", "k": 1}, index
    )
    names = [named(EP, ONE, CORPUS), "DiffMean"]
    found = {names[0]: np.array([[0.5, 0.7], [0.6, 0.8]]), "DiffMean": np.array([[0.4, 0.9]])}
    table = tables.score_rows(found, dict.fromkeys(names, 0.5), {name: {} for name in names})
    chosen_runs = pd.concat([frame(m, runs) for m, runs in found.items()])
    kept = {records.CHOSEN: chosen_runs, records.EQUAL: frame(names[0], [[0.1, 0.2]])}
    grid = pd.DataFrame({"cv": [0.5], "pooling": 1.0, "choosing": 2.0})
    for name in ("A/B c", "a_b_d"):
        about = {"benchmark": name, "model": "m", "layer": 3}
        records.write_results(tmp_path / "new", about, table, chosen, kept, grid)
    return tmp_path / "new"


def test_results_come_back_as_they_were_written(written, tmp_path):
    found = records.read_results(written, "a_b_*")
    assert {kind: len(frames) for kind, frames in found.items()} == dict.fromkeys(found, 2)
    methods = found["methods"][0].set_index("method")
    own = methods.loc[named(EP, ONE, CORPUS)]
    assert (own.AUROC, own.configuration) == (
        0.65, "p 4, K 30, basis mean, score cosine, rule SAE-A, k 1",
    )  # fmt: skip
    assert own.low < 0.65 < own.high
    assert not {"pooling", "choosing"} & set(found["grid"][0])
    assert records.read_results(tmp_path, "nothing") == {k: [] for k in found}


def test_recorded_concepts_stand_side_by_side(written):
    frames = records.read_results(written, "a_b_*")["concepts"]
    assert records.about_recorded(frames) == "a_b_d, A/B c, 4 concepts, m layer 3"
    own = named(EP, ONE, CORPUS)
    chosen, equal = (records.read_aurocs(frames, c) for c in (records.CHOSEN, records.EQUAL))
    assert chosen[own].tolist() == [[0.5, 0.7] * 2, [0.6, 0.8] * 2]
    assert equal[own].tolist() == [[0.1, 0.2] * 2]


def test_rows_of_the_common_table(tmp_path):
    found = aurocs(KINDS, k_means=0.1)
    rows = records.detection_rows(found, "there").set_index("dictionary")
    assert list(rows.index) == list(KINDS)
    assert rows.value[KMEANS] == pytest.approx(0.841)
    gain = tables.run_difference(
        found[named(KMEANS, ONE, CORPUS)], found[named(DRAWN, ONE, CORPUS)]
    )
    assert rows.detectable[KMEANS] == round(minimum_detectable(gain), 3)
    assert np.isnan(rows.detectable[DRAWN])


def test_rows_stand_in_the_common_table(tmp_path):
    rows = records.detection_rows(aurocs(KINDS), "there")
    kept = record_criteria(tmp_path / "d.csv", rows)
    assert kept.dictionary.tolist() == list(KINDS)
