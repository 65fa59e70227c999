"""Tables of concept detection on made-up numbers."""

import numpy as np
import pandas as pd
import pytest
from axbench_examples import aurocs, planted

import epkit
from epkit.stats import Interval, minimum_detectable
from epkit.studies.axbench import tables
from epkit.studies.axbench.comparison import LABELLED, named
from epkit.studies.axbench.configurations import (
    CORPUS,
    FEW,
    ONE,
    READINGS,
    TRAINING,
    try_configurations,
)
from epkit.studies.axbench.methods import few_features, pool_regions, read_all
from epkit.studies.axbench.protocol import evaluate
from epkit.studies.axbench.rivals import DRAWN, EP, KINDS, KMEANS

SHIFTS = [(-0.1, "better"), (0.1, "worse"), (0.0, "no difference shown")]


def test_intervals_resample_concepts_and_runs():
    concepts = np.array([[0.68, 0.7, 0.72]])
    alone = tables.mean_over(concepts)
    runs = np.vstack([concepts - 0.1, concepts, concepts + 0.1])
    both = tables.mean_over(runs)
    assert alone.value == pytest.approx(0.7) == both.value
    assert both.high - both.low > alone.high - alone.low + 0.01
    same = tables.run_difference(concepts, concepts)
    assert tuple(same) == pytest.approx((0, 0, 0))  # the same concepts on both sides
    other = tables.run_difference(runs, concepts)
    assert other.value == pytest.approx(0)
    assert other.low < -0.02 < 0.02 < other.high  # the runs of one side are resampled


@pytest.mark.parametrize(("shift", "verdict"), SHIFTS)
def test_both_settings_stand_beside_random_exemplars(shift, verdict):
    table = tables.settings_table(aurocs([EP, DRAWN], random_exemplars=shift))
    assert list(table.index) == [(t, r) for t in (CORPUS, TRAINING) for r in READINGS]
    assert set(table["EP is"]) == {verdict}
    row = table.loc[(CORPUS, ONE)]
    assert row.EP.value == pytest.approx(0.741)
    assert row.difference.value == pytest.approx(-shift - 0.001)
    assert row.detectable == minimum_detectable(row.difference)


@pytest.mark.parametrize(("shift", "verdict"), SHIFTS)
def test_kinds_of_dictionary_stand_beside_random_exemplars(shift, verdict):
    table = tables.equal_table(aurocs(KINDS, random_exemplars=shift), CORPUS)
    assert list(table.index) == [(r, k) for r in (ONE, FEW) for k in KINDS]
    assert set(table.drop(index=DRAWN, level=1)["it is"]) == {verdict}
    assert set(table.xs(DRAWN, level=1)["it is"]) == {"the control"}
    assert table.loc[(ONE, KMEANS), "spread of runs"] == pytest.approx(0.001)
    assert table.runs.tolist() == [3, 3, 3, 3, 5] * 2


@pytest.mark.parametrize(("shift", "verdict"), SHIFTS)
def test_what_is_fitted_to_labels_is_compared_where_it_was_measured(shift, verdict):
    found = aurocs([EP], DiffMean=shift, linear_probe=shift, probe_on_max_pooled_rows=shift)
    table = tables.against_table(found)
    pairs = [(r, m) for r, m in tables.AGAINST if m in LABELLED]
    assert list(table.index) == [(t, *pair) for t in (CORPUS, TRAINING) for pair in pairs]
    assert set(table["EP is"]) == {verdict}
    sae = {named(tables.SAE, ONE, TRAINING): found["DiffMean"]}
    assert (TRAINING, ONE, tables.SAE) in tables.against_table(found | sae).index


def test_readouts_stand_beside_the_cosine():
    cosine, better = np.array([[0.6, 0.7]]), np.array([[0.8, 0.9]])
    found = {
        f"{score}, {reading}": better if score == "Otsu" else cosine
        for score in ("cosine", "Otsu", "least squares") for reading in (ONE, FEW)
    }  # fmt: skip
    table = tables.readout_table({CORPUS: found})
    assert set(table.xs("Otsu", level="score")["it is"]) == {"better"}
    assert set(table.xs("least squares", level="score")["it is"]) == {"no difference shown"}
    assert table.loc[(CORPUS, ONE, "Otsu"), "AUROC"] == pytest.approx(0.85)


def test_methods_are_sorted_and_stand_with_their_costs():
    found = {"a": np.array([[0.6, 0.7]]), "b": np.array([[0.8, 0.9], [0.6, 0.9]])}
    costs = {method: {"seconds": 1.0} for method in found}
    table = tables.score_rows(found, {"a": 0.5, "b": 0.4}, costs)
    assert list(table.index) == ["b", "a"]
    assert table.runs.tolist() == [2, 1]
    assert table.AUROC["b"].value == pytest.approx(0.8)
    assert list(table) == ["AUROC", "runs", "hard negatives", "seconds"]


def test_intervals_are_shown_as_text_differences_with_their_sign():
    i = Interval(0.01, -0.02, 0.04)
    table = tables.as_text(pd.DataFrame({"AUROC": [i], "difference": [i], "n": [3]}))
    assert table.loc[0].tolist() == ["0.010 [-0.020, 0.040]", "+0.010 [-0.020, +0.040]", 3]


@pytest.fixture(scope="module")
def data():
    return planted(n=10)


@pytest.fixture(scope="module")
def known(data):
    """Dictionaries and the grid with its AUROC on test rows."""
    rows, concepts = data
    x = rows.of(range(20))
    dictionaries = {(name, 30): epkit.partition(x, [30])[30] for name in (CORPUS, TRAINING)}
    grid, scores = try_configurations(rows, dictionaries, concepts)
    return dictionaries, grid.assign(AUROC=[evaluate(s, concepts).auroc.mean() for s in scores])


def test_the_authors_scoring_stands_beside_ours(data, known):
    rows, concepts = data
    dictionaries, grid = known
    table = tables.author_scoring(rows, dictionaries, concepts, grid, 30)
    assert list(table) == ["author's", "ours"]
    for as_published, column in ((True, "author's"), (False, "ours")):
        pooled = pool_regions(rows, dictionaries[TRAINING, 30], as_published=as_published)
        scores = read_all(pooled["mean", "projection"], concepts, few_features("SAE-A", 1))
        expected = evaluate(scores, concepts).auroc.mean()
        assert table.loc[(TRAINING, "mean", "SAE-A"), column] == expected


def test_what_is_to_be_detected_and_what_was_built(data, known):
    rows, concepts = data
    texts = [f"text {i} " + "x" * 100 for i in range(rows.n_rows)]
    table = tables.concept_table(concepts, texts)
    assert table["training +/−"].tolist() == ["10/10", "10/10"]
    assert table["a positive"][0] == texts[concepts[0].test[0]][:85]
    dictionaries = known[0]
    built = tables.dictionary_table(dictionaries, dict.fromkeys(dictionaries, 1.5))
    assert built.K.tolist() == [len(d) for d in dictionaries.values()]


def test_scores_are_shown_with_three_decimals_and_names_escaped():
    table = pd.DataFrame(
        {"AUROC": [0.12345, np.nan], "build tokens": [12345, 0], "forward tokens": 1, "seconds": 2},
        index=["<b>", "b"],
    )
    html = tables.score_table(table, "caption").to_html()
    for shown in ("0.123", "—", "12,345", "2.0", "&lt;b&gt;"):
        assert f">{shown}<" in html
    assert "<b>" not in html
    assert "0.500" in tables.score_table(pd.DataFrame({"a": [0.5]}), "no costs").to_html()
