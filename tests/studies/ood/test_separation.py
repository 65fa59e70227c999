import numpy as np
import pytest
from ood_examples import LAYERS, PERCENTILES, made_up_scores
from sklearn.metrics import roc_auc_score

import epkit
from epkit.studies.ood import separation
from epkit.studies.ood.readings import EP, RANDOM
from epkit.studies.ood.separation import MEAN, Separation

CORPORA = ["code", "bulgarian"]


@pytest.fixture
def found():
    return Separation(made_up_scores(), "web", seed=3)


def by_sklearn(draw, name, level):
    own, reference = (
        draw[n].double().mean(1) if level == "text" else draw[n].flatten() for n in (name, "web")
    )
    labels = np.repeat([1, 0], [len(own), len(reference)])
    return roc_auc_score(labels, np.concatenate([own, reference]))


@pytest.mark.parametrize("level", ["token", "text"])
@pytest.mark.parametrize("method", [EP, RANDOM, "norm", "token rarity"])
def test_auroc_is_sklearns_averaged_over_draws_and_corpora(found, method, level):
    draws = found.scores[found.key(method, 3, 20)]
    each = [np.mean([by_sklearn(draw, name, level) for draw in draws]) for name in CORPORA]
    for names, expected in (
        *zip([[c] for c in CORPORA], each, strict=True),
        (CORPORA, np.mean(each)),
    ):
        interval = found.auroc(method, names, level, 3, 20)
        assert interval.value == pytest.approx(expected)
        assert interval.low <= interval.value <= interval.high


def test_a_score_without_layer_or_percentile_is_the_same_everywhere(found):
    assert found.key("norm", 1, 5) == ("norm", 1, None)
    assert found.key("token rarity", 1, 5) == ("token rarity", None, None)
    first = found.auroc("token rarity", CORPORA, "token", 1, 5)
    assert found.auroc("token rarity", CORPORA, "token", 3, 20) is first
    with pytest.raises(ValueError, match="no score 'norm' of layer 7 at p = 5"):
        found.key("norm", 7, 5)


def test_a_pair_of_scores_is_compared_once(found, monkeypatch):
    calls = []
    wins = separation.wins
    monkeypatch.setattr(separation, "wins", lambda *given: calls.append(1) or wins(*given))
    for _ in range(2):
        separation.method_table(found, CORPORA, "token", 1, 5)
        separation.difference_table(found, CORPORA, "token", 1, 5)
    assert len(calls) == 2 * (2 + 2 + 1 + 1)  # corpora × draws of the four methods


def test_differences_are_those_of_the_aurocs(found):
    table = separation.difference_table(found, CORPORA, "text", 3, 5)
    own = separation.method_table(found, CORPORA, "text", 3, 5)
    assert list(table.index) == [RANDOM, "norm", "token rarity"]
    assert list(table.columns) == list(own.columns) == [*CORPORA, MEAN]
    for method in table.index:
        for name in table.columns:
            expected = own.loc[EP, name].value - own.loc[method, name].value
            assert table.loc[method, name].value == pytest.approx(expected)


def test_gaps_are_differences_of_mean_distance(found):
    draws = found.scores[EP, 1, 5]
    expected = np.mean([float(d["code"].mean() - d["web"].mean()) for d in draws])
    assert found.gap("code", 1, 5).value == pytest.approx(float(expected), abs=1e-6)
    random = [d["code"].mean() - d["web"].mean() for d in found.scores[RANDOM, 1, 5]]
    assert found.random_gap("code", 1, 5) == pytest.approx(float(np.mean(random)), abs=1e-6)


def test_the_table_of_distances_by_hand(found):
    x = np.random.default_rng(0).normal(size=(60, 5)).astype("float32")
    made = epkit.partition(x, PERCENTILES)
    atlas = {(layer, p): [made[p], None] for layer in LAYERS for p in PERCENTILES}
    rows = separation.distance_table(found, atlas, ["web", *CORPORA])
    assert len(rows) == len(atlas) * 3
    row = rows[(rows.layer == 3) & (rows.p == 20) & (rows.corpus == "code")].iloc[0]
    values = found.scores[EP, 3, 20][0]["code"]
    assert row["mean"] == pytest.approx(float(values.mean()))
    assert row.p90 == pytest.approx(np.quantile(values, 0.9), rel=1e-5)
    within = (values <= made[20].threshold).float().mean()
    assert row["within θ"].value == pytest.approx(float(within), abs=1e-6)
    assert row.auroc == found.auroc(EP, ["code"], "token", 3, 20)
    assert row["random text auroc"] == found.auroc(RANDOM, ["code"], "text", 3, 20).value
    assert rows[rows.corpus == "web"][["gap", "auroc"]].isna().all(axis=None)


def test_tables_over_layers_and_percentiles(found):
    table = separation.random_table(found, CORPORA, "token", LAYERS, PERCENTILES)
    assert table.shape == (len(LAYERS), len(PERCENTILES))
    assert table.loc[3, 5] == found.difference(RANDOM, CORPORA, "token", 3, 5)
    strict = separation.random_table(
        found, CORPORA, "token", LAYERS, PERCENTILES, confidence=0.999, draws=5000
    )
    assert strict.loc[3, 5].value == table.loc[3, 5].value
    assert strict.loc[3, 5].low < table.loc[3, 5].low
    rows = separation.method_rows(found, CORPORA, 1, 5)
    assert list(rows.corpus) == ["code"] * 4 + ["bulgarian"] * 4
    assert rows.text[0] == found.auroc(EP, ["code"], "text", 1, 5)


def test_a_table_at_every_level(found):
    tables = separation.at_every_level(separation.difference_table, found, CORPORA, 1, 5)
    assert list(tables) == ["token", "text"]
    for level, table in tables.items():
        assert table.equals(separation.difference_table(found, CORPORA, level, 1, 5))


def test_clean_and_not_compare_two_separations(found):
    other = Separation(made_up_scores(seed=9), "web")
    cases = {name: (names, "token") for name, names in separation.groups(CORPORA).items()}
    table = separation.clean_and_not(found, other, cases, 1, 5)
    assert list(table.index) == [*CORPORA, MEAN]
    row = table.loc[MEAN]
    assert row["as built"] == found.auroc(EP, CORPORA, "token", 1, 5)
    assert row["with them"] == other.auroc(EP, CORPORA, "token", 1, 5)
    assert row["with them, random exemplars"] == other.auroc(RANDOM, CORPORA, "token", 1, 5)
