"""The table over all notebooks: what is best, told apart, recommended, missing, recorded."""

import numpy as np
import pandas as pd
import pytest

from epkit.plots.criteria import (
    COLUMNS,
    criteria_table,
    criteria_verdict,
    read_criteria,
    record_criteria,
)


def rows(criterion, detectable=0.02, **values):
    """A row a dictionary; _ in its name stands for a space."""
    return pd.DataFrame([
        [criterion, name.replace("_", " "), value, value - 0.05, value + 0.05,
         np.nan if name == "random_exemplars" else detectable, f"01: {criterion}"]
        for name, value in values.items()
    ], columns=COLUMNS)  # fmt: skip


def record(*parts):
    return pd.concat(parts, ignore_index=True)


NEAR = rows("nearness", EP=0.3, EP_refined=0.55, KM=0.56, random_exemplars=0.4)
NEAR = NEAR.replace("KM", "k-means")
COVER = rows("coverage", 0.001, EP=0.9, EP_refined=0.99, KM=0.95, random_exemplars=0.8)
COVER = COVER.replace("KM", "k-means")


def test_cells_have_interval_resolution_and_rank():
    table = criteria_table(record(NEAR, COVER))
    assert [*table] == ["nearness", "coverage"]
    assert table.loc["k-means", "nearness"] == ["0.560 [0.510, 0.610]", "detectable 0.020", "best"]
    assert table.loc["EP refined", "nearness"][-1] == "as good"  # .01 below, .02 could be told
    assert table.loc["EP", "nearness"] == ["0.300 [0.250, 0.350]", "detectable 0.020"]
    assert table.loc["random exemplars", "nearness"] == ["0.400 [0.350, 0.450]"]
    assert table.loc["EP refined", "coverage"][-1] == "best"
    assert not any("as good" in cell for cell in table.coverage)


def test_what_was_not_measured_is_a_dash():
    more = rows("probing", TopK_SAE=0.8, random_exemplars=0.7)
    table = criteria_table(record(NEAR, more))
    assert table.loc["TopK SAE", "nearness"] == "–"
    assert table.loc["EP", "probing"] == "–"
    said = criteria_verdict(record(NEAR, more))
    assert (
        "TopK SAE is best at 1 of 1 criteria (probing), not told apart from the best at 0 more."
        in said
    )


def test_the_verdict_counts_and_recommends_nothing_without_a_majority():
    said = criteria_verdict(record(NEAR, COVER))
    assert said == [
        "EP is best at 0 of 2 criteria, not told apart from the best at 0 more.",
        "EP refined is best at 1 of 2 criteria (coverage), not told apart from the best at 1 more "
        "(nearness).",
        "k-means is best at 1 of 2 criteria (nearness), not told apart from the best at 0 more.",
        "random exemplars is best at 0 of 2 criteria, not told apart from the best at 0 more.",
        "EP beats both random exemplars and k-means at 0 of 2 criteria.",
        "EP refined beats both random exemplars and k-means at 1 of 2 criteria (coverage).",
        "So no kind of EP is to be preferred for read-outs on this evidence.",
    ]


def test_a_kind_of_ep_that_beats_both_controls_at_most_criteria_is_recommended():
    third = rows("probing", EP=0.5, EP_refined=0.9, KM=0.7, random_exemplars=0.6)
    said = criteria_verdict(record(NEAR, COVER, third.replace("KM", "k-means")))
    assert said[-2:] == [
        "EP refined beats both random exemplars and k-means at 2 of 3 criteria (coverage, "
        "probing).",
        "So EP refined is to be taken for read-outs.",
    ]


def test_only_criteria_with_both_controls_count_for_the_advice():
    without = rows("readability", EP=0.9, random_exemplars=0.1)
    said = criteria_verdict(record(COVER, without))
    assert "EP beats both random exemplars and k-means at 0 of 1 criteria." in said
    said = criteria_verdict(without)
    assert not [line for line in said if "beats both" in line]


def test_recording_replaces_a_criterion_and_keeps_the_others(tmp_path):
    path = tmp_path / "dictionaries.csv"
    record_criteria(path, record(NEAR, COVER))
    again = record_criteria(path, rows("nearness", EP=0.12345))
    assert again.criterion.value_counts().to_dict() == {"coverage": 4, "nearness": 1}
    assert again.equals(read_criteria(path))
    assert "nearness,EP,0.123,0.073,0.173,0.020,01: nearness\n" in path.read_text(encoding="utf-8")


def test_a_record_that_cannot_be_is_named(tmp_path):
    path = tmp_path / "dictionaries.csv"
    with pytest.raises(ValueError, match="has no column 'detectable'"):
        record_criteria(path, NEAR.drop(columns="detectable"))
    with pytest.raises(ValueError, match="'EP' twice at 'nearness'"):
        record_criteria(path, record(NEAR, NEAR[:1]))
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        read_criteria(path)
