"""Runs of the splits: the rule itself, their tables by hand, cuts whose worth is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture

from epkit import LeaderClustering, calibrate, partition, random_dictionary
from epkit.matching import adjusted_mutual_information
from epkit.partition import partition_at
from epkit.stats import Interval, bootstrap_pairs, t_interval
from epkit.studies.stability.recurrence import disjoint_pairs, recurrence, stability_score
from epkit.studies.stability.splits import (
    SCORES,
    compare,
    comparisons,
    correlation_table,
    cut_table,
    permuted,
    rankings,
    runs_of,
    score_correlations,
    sensitivity_table,
)

X = mixture(900, 16)
FRESH = mixture(200, 16, seed=1)
CALIBRATION = calibrate(X, [4, 8])
PAIRS = disjoint_pairs(torch.arange(len(X)) // 30, 2)


@pytest.fixture(scope="module")
def made():
    return runs_of(X, PAIRS, CALIBRATION)


@pytest.fixture(scope="module")
def compared(made):
    return comparisons(*made, FRESH)


def test_permuted_rows_are_the_same_rows_in_a_seeded_order():
    rows = torch.arange(100)
    assert torch.equal(permuted(rows, 1), permuted(rows, 1))
    assert not torch.equal(permuted(rows, 1), permuted(rows, 2))
    assert torch.equal(permuted(rows, 1).sort().values, rows)


def test_every_run_is_of_its_part_in_its_order(made):
    runs, controls = made
    assert list(runs) == [(p, s, name) for p in (4, 8) for s in (0, 1)
                          for name in ("A", "A again", "B")]  # fmt: skip
    assert list(controls) == list(runs)
    for (p, s, name), order in (((4, 1, "A"), 10), ((8, 0, "A again"), 1), ((4, 0, "B"), 2)):
        rows = X[PAIRS[s][name == "B"]]
        alone = partition(rows, [p], order=order, calibration=CALIBRATION)[p]
        assert torch.equal(runs[p, s, name].exemplars, alone.exemplars)
        assert torch.equal(runs[p, s, name].means, alone.means)
        drawn = random_dictionary(alone, rows, seed=order)
        assert torch.equal(controls[p, s, name].exemplars, drawn.exemplars)


def test_a_run_compared_with_itself_and_with_another(made):
    one, two = made[0][4, 0, "A"], made[0][4, 0, "B"]
    itself = compare(one, one, FRESH)
    assert itself == pytest.approx({"exemplars": 1, "means": 1, "agreement": 1, "≥ .7": 1})
    other = compare(one, two, FRESH)
    assert other["means"] == recurrence(one, two, "mean").mean().item()
    assert other["≥ .7"] == (recurrence(one, two) >= 0.7).double().mean().item()
    regions = one.assign(FRESH)[0], two.assign(FRESH)[0]
    assert other["agreement"] == adjusted_mutual_information(*regions)


def test_comparisons_name_what_is_compared(made, compared):
    runs, controls = made
    assert len(compared) == 2 * 2 * 2 * 2
    row = compared.loc[8, "another order", "random exemplars", 1]
    found = compare(controls[8, 1, "A"], controls[8, 1, "A again"], FRESH)
    assert row.to_dict() == pytest.approx(found)
    row = compared.loc[4, "other documents", "regions", 0]
    assert row.to_dict() == pytest.approx(compare(runs[4, 0, "A"], runs[4, 0, "B"], FRESH))


def test_the_table_of_sensitivity_is_means_beside_the_control(made, compared):
    sizes = pd.Series({key: len(d) for key, d in made[0].items()})
    table = sensitivity_table(compared, sizes)
    assert list(table.index) == [(p, kind) for p in (4, 8)
                                 for kind in ("another order", "other documents")]  # fmt: skip
    row, cell = table.loc[(4, "other documents")], compared.loc[4, "other documents"]
    assert sizes[4].median() == row.K
    for score in ("exemplars", "means", "agreement"):
        own, drawn = (cell.loc[name][score] for name in ("regions", "random exemplars"))
        assert row[score] == pytest.approx(own.mean())
        assert row[f"{score}, random"] == pytest.approx(drawn.mean())
        assert row[f"{score}, difference"] == pytest.approx(t_interval(own - drawn))
    assert "≥ .7, difference" not in table


def test_correlations_by_pair_and_their_means(made):
    rho = score_correlations(*made, 4)
    assert len(rho) == 2 * 2 * 2 * len(SCORES)
    assert {len(values) for values in rho.values()} == {2}
    a, b = made[0][4, 1, "A"], made[0][4, 1, "B"]
    by_rank = pd.Series(stability_score(a)).corr(
        pd.Series(recurrence(a, b, "mean")), method="spearman"
    )
    assert rho["mean", "other documents", "regions", "D"][1] == pytest.approx(by_rank)
    table = correlation_table(rho).set_index(["basis", "compared with", "dictionaries", "score"])
    for key, values in rho.items():
        row = table.loc[key]
        assert (row.value, row.low, row.high) == pytest.approx(t_interval(values))
        assert row.text == str(Interval(row.value, row.low, row.high))


def test_regions_are_ranked_by_what_the_names_say(made):
    a, b = made[0][4, 0, "A"], made[0][4, 0, "B"]
    ranked = rankings(a, b)
    assert torch.equal(ranked["largest"], a.counts)
    assert torch.equal(ranked["largest D"], stability_score(a))
    assert torch.equal(ranked["most stable, measured"], recurrence(a, b, "mean"))


def test_a_cut_keeps_the_best_of_a_score():
    # 40 regions; a concept is detected as well as the share of kept regions below 10
    scores = [{"falling": -torch.arange(40.0), "rising": torch.arange(40)} for _ in range(3)]

    def detect(pair, kept):
        assert len(set(kept.tolist())) == len(kept)
        return np.array([0.5, 0.7]) + 0.1 * (pair + 1) * (kept < 10).mean()

    cut = cut_table(scores, [0.05, 0.25, 0.5], detect, n_draws=4).set_index(["chosen by", "share"])
    assert cut.value["falling", 0.25] == pytest.approx(0.6 + 0.2)  # mean over pairs
    assert cut.value["falling", 0.05] == pytest.approx(0.6 + 0.2)  # at least eight stay
    assert cut.value["falling", 0.5] == pytest.approx(0.6 + 0.1)
    assert cut.value["rising", 0.5] == pytest.approx(0.6)
    assert 0.6 < cut.value["at random", 0.25] < 0.75
    gain = cut["against random"]
    assert gain["falling", 0.25].low > 0 > gain["rising", 0.25].high
    assert gain["at random", 0.25] is None
    assert gain["falling", 0.5].value == pytest.approx(0.7 - cut.value["at random", 0.5])


def test_intervals_of_a_cut_resample_pairs_as_well_as_concepts():
    # no concept differs from another, pairs do: an interval over concepts alone has no width
    scores = [{"first": -torch.arange(40.0)} for _ in range(4)]

    def detect(pair, kept):
        return np.full(3, 0.5 + 0.1 * pair)

    cut = cut_table(scores, [0.5], detect, n_draws=1).set_index("chosen by")
    each = bootstrap_pairs(np.repeat(0.5 + 0.1 * np.arange(4)[:, None], 3, axis=1))
    assert tuple(cut.loc["first", ["value", "low", "high"]]) == pytest.approx(each)
    assert cut.low["first"] < 0.6 < cut.high["first"]


def test_a_rule_at_a_threshold_without_a_recount_has_the_stream_counts():
    found = partition_at(X, 0.3, CALIBRATION.centre, recount=False)
    alone = LeaderClustering(CALIBRATION.centre, 0.3).partial_fit(X).dictionary()
    assert torch.equal(found.counts, alone.counts)
