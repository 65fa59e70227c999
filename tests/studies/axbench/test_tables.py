"""Tables and sentences of concept detection on made-up numbers; files there and back."""

import numpy as np
import pandas as pd
import pytest
from axbench_examples import planted

import epkit
from epkit.studies.axbench import tables
from epkit.studies.axbench.configurations import (
    CORPUS,
    TRAINING,
    choose_configurations,
    try_configurations,
)
from epkit.studies.axbench.methods import few_features, pool_regions, read_all
from epkit.studies.axbench.protocol import evaluate
from epkit.studies.axbench.tables import PAIRS

METHODS = sorted({method for pair in PAIRS for method in pair})


def aurocs(**changes):
    """Methods with the same AUROC of every concept, but for those named in `changes`."""
    same = np.array([0.6, 0.7, 0.8, 0.9])
    return {m: same + changes.get(m.split(",")[0].replace(" ", "_"), 0) for m in METHODS}


@pytest.mark.parametrize(
    ("shift", "verdict"), [(-0.1, "better"), (0.05, "worse"), (0.0, "no difference shown")]
)
def test_a_pair_is_judged_by_its_interval(shift, verdict):
    pairs = tables.paired_differences(aurocs(DiffMean=shift))
    assert [(a, row.against) for a, row in pairs.iterrows()] == PAIRS
    assert pairs.verdict.tolist() == [verdict] + ["no difference shown"] * 5
    assert pairs.difference.tolist() == pytest.approx([-shift] + [0] * 5)


def test_pairs_as_lines():
    found = aurocs(DiffMean=-0.1)
    lines = tables.compared_lines(
        "here", tables.paired_differences(found), pd.DataFrame(found).mean()
    )
    assert lines[:2] == [
        "here:",
        "  EP, one region 0.750 against DiffMean 0.650: +0.100 [+0.100, +0.100], better",
    ]
    assert len(lines) == 1 + len(PAIRS)


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


def test_the_verdict_compares_the_texts_and_says_how_few_positives(data):
    grid = pd.DataFrame({
        "built on": [CORPUS, TRAINING] * 2, "k": [1, 1, 2, 8], "cv": [0.7, 0.8, 0.75, 0.85],
    })  # fmt: skip
    texts, *_, caveat = tables.detection_verdict(grid, data[1])
    assert texts.endswith("0.700 against 0.800 for one region, 0.750 against 0.850 for few.")
    assert "a concept has 10 positive training texts or more" in caveat


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


def test_results_come_back_as_they_were_written(tmp_path, known):
    grid = known[1]
    chosen = choose_configurations(grid)
    table = pd.DataFrame({"AUROC": [0.712345, 0.6]}, index=["EP, one region", "DiffMean"])
    results = {m: pd.DataFrame({"concept": [0], "auroc": [0.5]}) for m in table.index}
    about = {"benchmark": "A/B c", "model": "m", "layer": 3}
    table = table.rename_axis("method")
    tables.write_results(tmp_path / "new", about, table, chosen, results, grid)
    found = tables.read_results(tmp_path / "new", "a_b_*")
    assert {kind: len(frames) for kind, frames in found.items()} == dict.fromkeys(found, 1)
    (methods,), (concepts,), (configurations,) = found.values()
    assert methods.AUROC.tolist() == [0.7123, 0.6]
    assert methods.configuration[0].startswith(f"built on {chosen['built on'].iloc[0]}, p 30, K ")
    assert methods.configuration.isna().tolist() == [False, True]
    assert concepts.method.tolist() == list(table.index)
    assert len(configurations) == len(grid)
    assert not {"pooling", "choosing"} & set(configurations)
    assert tables.read_results(tmp_path, "nothing") == {k: [] for k in found}
