"""Made-up streams and what the estimators make of them."""

import pytest

from epkit.studies.saturation.trials import (
    CLUMPED,
    EQUAL,
    UNEQUAL,
    class_trials,
    continuum_trial,
    simulated_stream,
)


@pytest.mark.parametrize(("kind", "length"), [(EQUAL, 700), (UNEQUAL, 6000), (CLUMPED, 6000)])
def test_streams_are_seeded_and_clumped_ones_keep_to_six_classes(kind, length):
    region, document = simulated_stream(kind, 2)
    assert len(region) == len(document) == length
    assert 0 <= region.min() <= region.max() < 300
    assert region.equal(simulated_stream(kind, 2)[0])
    assert not region.equal(simulated_stream(kind, 3)[0])
    most = max(len(region[document == k].unique()) for k in document.unique())
    assert (most <= 6) == (kind == CLUMPED)


def test_chao1_is_right_for_equal_classes_and_chao2_for_clumped_documents():
    table = class_trials(12).set_index("partition")
    assert (table.seen < 300).all()
    assert table.loc[EQUAL, "Chao1"] == pytest.approx(300, rel=0.05)
    assert table.loc[UNEQUAL, "Chao1"] < 290
    assert table.loc[CLUMPED, "Chao1"] < 275 < table.loc[CLUMPED, "Chao2"]
    assert table.loc[CLUMPED, "Chao1 covers"] == "0%"


def test_a_continuum_has_more_regions_than_chao_says():
    row, law = continuum_trial(0)
    assert row["seen"] < row["Chao1"] < row["true"]
    assert 0.95 * law.low <= row["true"] <= 1.05 * law.high
