"""Other ways to as many directions: equal K, the right runs compared, tables by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture

from epkit import calibrate, random_dictionary
from epkit.controls import itda_dictionary, kmeans_dictionary
from epkit.matching import adjusted_mutual_information
from epkit.partition import partition_at
from epkit.plots.criteria import record_criteria
from epkit.stats import minimum_detectable, t_interval
from epkit.studies.stability.alternatives import (
    AGAIN,
    AGREEMENT,
    DRAWN,
    EP,
    ITDA,
    KMEANS,
    MEANS,
    OTHER,
    REFINED,
    REFOUND,
    alternatives,
    compare_alternatives,
    gain_over,
    stability_rows,
    stability_table,
)
from epkit.studies.stability.recurrence import disjoint_pairs, recurrence, refound
from epkit.studies.stability.splits import permuted

X, FRESH = mixture(900, 16), mixture(400, 16, seed=1)
CALIBRATION = calibrate(X, [8])
PAIRS = disjoint_pairs(torch.arange(len(X)) // 30, 2)
RULE = (CALIBRATION.thresholds[8], CALIBRATION.centre)
OPTIONS = {"n_orders": 2, "n_draws": 3, "rounds": 2}


@pytest.fixture(scope="module")
def compared():
    return compare_alternatives(X, PAIRS, FRESH, *RULE, **OPTIONS)


def test_every_run_has_the_k_of_an_order_and_is_made_of_the_part():
    part = X[PAIRS[0][0]]
    made = alternatives(part, *RULE, seed=7, **OPTIONS)
    ks = [len(d) for d in made[EP]]
    assert {kind: [len(d) for d in of] for kind, of in made.items()} == {
        EP: ks, REFINED: ks, KMEANS: ks, ITDA: ks, DRAWN: [*ks, ks[0]],
    }  # fmt: skip
    second = partition_at(part, *RULE, order=8)
    for kind, alone in {
        EP: second,
        REFINED: second.refine(part, 2),
        KMEANS: kmeans_dictionary(second, part, seed=8, rounds=2),
        ITDA: itda_dictionary(second, permuted(part, 8)),
        DRAWN: random_dictionary(second, part, seed=8),
    }.items():
        assert torch.equal(made[kind][1].exemplars, alone.exemplars), kind
        assert int(made[kind][1].counts.sum()) == len(part)


def test_runs_are_compared_within_a_part_and_with_the_other_part(compared):
    number = compared.groupby(["pair", "dictionary", "compared with"]).size().unstack()
    assert number.loc[(1, EP)].to_dict() == {AGAIN: 1, OTHER: 2}
    assert number.loc[(0, DRAWN)].to_dict() == {AGAIN: 2, OTHER: 3}
    a, b = (
        alternatives(X[part], *RULE, seed=100 + 50 * i, **OPTIONS)
        for i, part in enumerate(PAIRS[1])
    )
    of_pair = compared[compared.pair == 1].set_index(["dictionary", "compared with"])
    for kind in (EP, DRAWN):
        for with_, i, one, two in (
            (OTHER, 1, a[kind][1], b[kind][1]), (AGAIN, 0, a[kind][0], a[kind][1]),
        ):  # fmt: skip
            row = of_pair.loc[[(kind, with_)]].iloc[i]
            regions = one.assign(FRESH)[0], two.assign(FRESH)[0]
            assert len(one) == row.K
            assert row[REFOUND] == refound(*regions, len(one), len(two))
            assert row[AGREEMENT] == adjusted_mutual_information(*regions)
            assert row[MEANS] == recurrence(one, two, "mean").mean().item()


def test_shuffled_memberships_find_next_to_nothing(compared):
    assert (compared[REFOUND] > compared.chance).mean() > 0.9
    assert compared.chance.mean() < 0.05


def made_up(**refound_by_kind):
    """Two runs a pair, of which only the mean over the pair counts."""
    rows = [
        {"pair": s, "dictionary": kind.replace("_", " "), "compared with": with_, "K": 10,
         REFOUND: value + off, AGREEMENT: value / 2, MEANS: 0.5, "chance": 0.0}
        for kind, values in refound_by_kind.items() for with_ in (AGAIN, OTHER)
        for s, value in enumerate(values) for off in (-0.1, 0.1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


OWN, CONTROL = [0.5, 0.6, 0.4], [0.3, 0.5, 0.4]


def test_intervals_are_over_pairs_and_differences_are_paired():
    compared = made_up(EP=OWN, random_exemplars=CONTROL)
    table = stability_table(compared)
    row, control = table.loc[(OTHER, EP)], table.loc[(OTHER, DRAWN)]
    gain = t_interval(np.subtract(OWN, CONTROL))
    assert row[REFOUND] == pytest.approx(t_interval(OWN))
    assert row[AGREEMENT] == pytest.approx(t_interval(np.divide(OWN, 2)))
    assert row["more refound"] == pytest.approx(gain)
    assert row["detectable"] == pytest.approx(minimum_detectable(gain))
    assert control["more refound"] is None
    assert np.isnan(control["detectable"])
    assert gain_over(compared, EP, DRAWN) == pytest.approx(gain)
    assert table.K.tolist() == [10] * 4


def test_rows_of_the_common_table():
    compared = made_up(EP=OWN, random_exemplars=CONTROL)
    rows = stability_rows(stability_table(compared), compared, "here")
    assert list(rows.columns) == [
        "criterion", "dictionary", "value", "low", "high", "detectable", "setting",
    ]  # fmt: skip
    assert rows.criterion.tolist() == ["stability"] * 2 + ["agreement of partitions"] * 2
    assert rows.value.tolist() == pytest.approx([0.5, 0.4, 0.25, 0.2])
    half = minimum_detectable(t_interval(np.subtract(OWN, CONTROL) / 2))
    assert rows.detectable[2] == pytest.approx(half)


def test_rows_stand_in_the_table_over_all_notebooks(tmp_path):
    path = tmp_path / "dictionaries.csv"
    compared = made_up(EP=OWN, random_exemplars=CONTROL)
    rows = stability_rows(stability_table(compared), compared, "here, now")
    kept = record_criteria(path, rows)
    assert kept.dictionary.tolist() == rows.dictionary.tolist()
    assert kept.value.tolist() == pytest.approx(rows.value.tolist(), abs=5e-4)
