import numpy as np
import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.rare_kinds import tables
from epkit.studies.rare_kinds.kinds import NO_KIND
from epkit.studies.rare_kinds.readers import EP, KMEANS, RANDOM, SAE_LARGEST
from epkit.studies.rare_kinds.unlike import RULES

KINDS = ["a", "b", "c"]


def made_rows():
    """EP finds every kind, k-means in one of two streams, random exemplars never, the SAE always;
    the first rule reads 4 regions with EP, the second 2 (k-means: 8 and 16)."""
    rows = []
    for seed in (0, 1):
        for kind in (*KINDS, NO_KIND):
            for method in (EP, RANDOM, KMEANS, SAE_LARGEST):
                hits = {EP: 3, RANDOM: 0, KMEANS: seed, SAE_LARGEST: 1}[method]
                hits *= kind != NO_KIND or method == EP
                first, second = {EP: (4, 2), KMEANS: (8, 16), RANDOM: (100, 100)}.get(
                    method, (np.nan, np.nan)
                )
                rows.append({
                    "seed": seed, "prevalence": 0.1, "p": 4, "K": 200, "method": method,
                    "kind": kind, "planted": 20, "regions": hits, "readable": 99,
                    "recall": hits / 10, "false_share": hits / 1000,
                    **{f"read: {rule}": second + i for i, rule in enumerate(RULES)},
                    "read: far from all activations": first,
                })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def table():
    rows = made_rows()
    return tables.by_kind(rows, tables.choose_rules(rows, "a", 0.1, 4))


def test_a_rule_is_chosen_for_each_reader_on_one_kind():
    rows = made_rows()
    second = list(RULES)[1]  # three regions with EP, one more with every rule after it
    chosen = tables.choose_rules(rows, "a", 0.1, 4)
    assert chosen[EP] == second
    assert chosen[KMEANS] == "far from all activations"
    assert SAE_LARGEST not in chosen
    rows.loc[rows.kind != "a", f"read: {second}"] = 99  # other kinds have no say
    assert tables.choose_rules(rows, "a", 0.1, 4) == chosen


def test_means_over_streams(table):
    one = table.set_index(["method", "kind"])
    assert one.loc[(KMEANS, "a"), "found"] == 0.5
    assert one.loc[(KMEANS, "a"), "streams"] == 2
    assert one.loc[(EP, "a"), "recall"] == pytest.approx(0.3)
    assert one.loc[(EP, "a"), "log2_read"] == pytest.approx(np.log2(3))
    assert one.loc[(EP, "a"), "log2_random"] == pytest.approx(np.log2(100 / 4))
    assert one.loc[(RANDOM, "a"), "seen"] == 0
    assert one.loc[(EP, "a"), "seen"] == 1
    assert one.loc[(SAE_LARGEST, "a"), ["log2_read", "log2_random", "seen"]].isna().all()


def test_a_setting_that_was_not_measured_is_refused(table):
    assert len(tables.setting_of(table, 0.1, 4)) == len(table)
    with pytest.raises(ValueError, match=r"a prevalence of 0\.5 % and p 4"):
        tables.setting_of(table, 0.5, 4)


def test_runs_are_counted_and_no_kind_apart(table):
    found = tables.found_table(table)
    assert found.found.to_dict() == {
        EP: "6 of 6", RANDOM: "0 of 6", KMEANS: "3 of 6", SAE_LARGEST: "6 of 6",
    }  # fmt: skip
    assert found["found, no kind"].tolist() == ["2 of 2", "0 of 2", "0 of 2", "0 of 2"]
    assert found.recall[EP] == pytest.approx(0.3)
    assert found["false share"][EP] == pytest.approx(0.003)


def test_differences_are_paired_over_kinds(table):
    table.loc[(table.method == KMEANS) & (table.kind == "c"), "found"] = 0
    cells = tables.kind_differences(table, ["found", "recall"], KINDS)
    assert list(cells.index) == [RANDOM, KMEANS, SAE_LARGEST]
    assert cells.found[RANDOM] == (1, 1, 1)
    assert cells.found[KMEANS].value == pytest.approx(2 / 3)
    assert cells.found[KMEANS].low < 0.5 < cells.found[KMEANS].high
    ranked = tables.kind_differences(table, ["log2_read"], KINDS)
    assert list(ranked.index) == [RANDOM, KMEANS]


def test_reading_is_told_beside_random_order(table):
    reading = tables.reading_table(table, ["b", "c"])
    assert list(reading.index) == [EP, RANDOM, KMEANS]
    assert reading.read[EP] == pytest.approx(3)
    assert reading["in random order"][EP] == pytest.approx(25)
    assert reading["of random order"][EP].value == pytest.approx(3 / 25)
    assert reading["seen within 50"].tolist() == [1, 0, 1]


def test_what_could_have_been_shown_is_told_of_open_differences_alone():
    assert tables.least_shown(Interval(0.1, -0.1, 0.3)) == " (detectable: 0.29)"
    assert tables.least_shown(Interval(0.2, 0.1, 0.3)) == ""
    assert tables.least_shown(Interval(0, 0, 0)) == ""


def test_a_curve_has_a_column_a_reader_and_leaves_no_kind_out(table):
    line = tables.curve(table, "prevalence", "found")
    assert list(line) == [EP, RANDOM, KMEANS, SAE_LARGEST]
    assert line.loc[0.1].tolist() == [1, 0, 0.5, 1]


def test_a_record_comes_back(table, tmp_path):
    tables.save_record(table, tmp_path)
    pd.testing.assert_frame_equal(tables.load_record(tmp_path), table.round(4))
    tables.save_record(table.assign(prevalence=0.02), tmp_path)
    tables.save_record(table.assign(found=1.0), tmp_path)
    both = tables.load_record(tmp_path)
    assert both.prevalence.tolist() == [0.02] * len(table) + [0.1] * len(table)
    assert (both.found[both.prevalence == 0.1] == 1).all()
