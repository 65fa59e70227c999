"""The verdict says what its tables say, in every branch of its wording."""

from dataclasses import replace

import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.base_vs_tuned.agreement import FLOOR, NOISE, OTHER, SAME
from epkit.studies.base_vs_tuned.counterparts import GROUPS
from epkit.studies.base_vs_tuned.verdict import MEDIAN, PERSISTED, VerdictTables, tuning_verdict

AMI = "AMI of region and harm"


def point(value):
    return Interval(value, value, value)


def cosines(**kept):
    """Median cosines .51, .5, .99, .98, and shares persisted, of layers 3 and 7, p 1 and 4."""
    medians = {FLOOR: 0.51, OTHER: 0.5, SAME: 0.99, NOISE: 0.98}
    kept = dict(zip(medians, (0.3, 0.25, 0.8, 0.85), strict=True)) | kept
    rows = [
        {"layer": layer, "p": p, "basis": "exemplar", "comparison": name,
         MEDIAN: point(median - p / 100), PERSISTED: point(kept[name])}
        for layer in (3, 7) for p in (1, 4) for name, median in medians.items()
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index(["layer", "p", "basis", "comparison"])


def final(base, tuned, random):
    """AMI of region and harm at layer 3, p 2."""
    values = {"base": base, "tuned": tuned}
    values |= {f"{name}, random exemplars": random for name in values}
    rows = [
        {"layer": 3, "dictionary": "all, p 2", "checkpoint": name, AMI: value,
         "prompts in the largest": point(0.7 if name.startswith("base") else 0.6)}
        for name, value in values.items()
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index(["layer", "dictionary", "checkpoint"])


def ranks(p, *, scores=("plain", "recurring")):
    """The refusal region's rank at layer 3, p 2, and in final positions, all at one p."""
    row = {"layer": 3, "centre": "own", "similarity": "members"}
    row |= {f"{g}: rank": "2 of 40" for g in GROUPS} | {f"{g}: p": p for g in GROUPS}
    rows = [
        row | {"dictionary": dictionary, "score": score}
        for dictionary in ("all, p 2", "final") for score in scores
    ]  # fmt: skip
    index = ["layer", "dictionary", "centre", "similarity", "score"]
    return pd.DataFrame(rows).set_index(index).sort_index()


@pytest.fixture
def tables():
    lost = pd.DataFrame(
        {"own centres": [Interval(0.01, 0.005, 0.02), Interval(-0.002, -0.01, 0.01)]}
    )
    members = pd.DataFrame(
        [{"layer": 3, "p": 1, "comparison": name, "AMI": point(value)}
         for name, value in ((FLOOR, 0.5), (OTHER, 0.49), (SAME, 0.74), (NOISE, 0.8))]
    ).set_index(["layer", "p", "comparison"])  # fmt: skip
    counterpart = pd.DataFrame({
        "layer": [3, 3], "order": [0, 1], "overlap": [0.4, 0.6], "overlap, base orders": [0.5, 0.6],
        "overlap, own orders": [0.7, 0.9], "at final tokens": [1.0, 0.5],
        "is the same": [True, False], "base harmful": [0.5, 0.7], "harmful": [0.8, 1.0],
    }).set_index(["layer", "order"])  # fmt: skip
    wide = Interval(0.3, 0.2, 0.4)
    return VerdictTables(
        cosines(), lost, members, final(point(0.1), wide, point(0.15)), counterpart,
        ranks(Interval(0.03, 0.02, 0.04)), percentile={3: 2}, shown=(3, 1),
    )  # fmt: skip


def test_the_numbers_of_the_tables(tables):
    lines = tuning_verdict(tables, embedded=True)
    assert len(lines) == 10
    assert "layer 3, p 1, exemplars" in lines[0].lower()
    assert "is 0.49 between base and tuned and 0.50 between base and base" in lines[0]
    assert "25% and 30% persist. Of its own regions the same model drops 70%" in lines[0]
    assert "0.010" in lines[1]
    assert "-0.002 to 0.010; the 95 % interval is above zero in 1 of 2 settings" in lines[1]
    assert (
        "80% persist at .7 (median cosine 0.98); a random push of equal size leaves 85%" in lines[2]
    )
    assert "0.49 (other order, tuned) against 0.50 (other order, same model), 0.74" in lines[3]
    assert "holds 70% of the prompts in the base and 60% in the tuned model" in lines[4]
    assert "AMI 0.10 in the base and 0.30 [0.20, 0.40] in the tuned model" in lines[4]
    assert "by 0.40 to 0.60 (Jaccard) in the same order, and by 0.55 in other orders" in lines[5]
    assert "overlap it by 0.80 (means). 75% of the counterpart's" in lines[5]
    assert "in 1 of 2 orders. Harmful are 60% of the prompts in it in the base and 90%" in lines[5]
    assert "is 2 of 40 by its missing counterpart (mean p 0.030 [0.020, 0.040])" in lines[6]
    assert "in 3 of 3 comparisons" in lines[6]
    assert "median of 0.47 (layer 3) in two orders" in lines[9]


@pytest.mark.parametrize(("kept", "said"), [(0.25, "says nothing"), (0.15, "only as one of many")])
def test_what_a_dropped_region_says(tables, kept, said):
    lines = tuning_verdict(replace(tables, cosines=cosines(**{OTHER: kept})), embedded=True)
    assert said in lines[0]
    assert lines[0].endswith(".")


@pytest.mark.parametrize(
    ("p", "below", "apart", "said"),
    [
        (Interval(0.03, 0.02, 0.04), 3, 1, "can be found by asking which region is new."),
        (Interval(0.03, 0.02, 0.06), 0, 0, "is not found by asking which region is new."),
    ],
)
def test_whether_what_was_put_in_is_found(tables, p, below, apart, said):
    lines = tuning_verdict(replace(tables, ranks=ranks(p)), embedded=True)
    assert f"in {below} of 3 comparisons" in lines[6]
    assert lines[7].startswith("Over all 1 settings")  # final positions and plain are left out
    assert f"in all three comparisons in {apart}: what was put in {said}" in lines[7]


@pytest.mark.parametrize(
    ("tuned", "random", "up", "over"),
    [
        (Interval(0.3, 0.2, 0.4), point(0.15), 1, 1),
        (Interval(0.3, 0.2, 0.4), point(0.25), 1, 0),
        (Interval(0.3, 0.05, 0.4), point(0.01), 0, 0),
    ],
)
def test_what_a_region_says_of_harm(tables, tuned, random, up, over):
    lines = tuning_verdict(replace(tables, final=final(point(0.1), tuned, random)), embedded=True)
    assert f"in every order, in {up} of 1 settings" in lines[8]
    assert lines[8].endswith(f"random exemplars in {over}.")


def test_a_layer_without_a_refusal_region_in_every_order(tables):
    table = ranks(Interval(0.03, 0.02, 0.04)).rename(index={"all, p 2": "all, p 8"})
    lines = tuning_verdict(replace(tables, ranks=table), embedded=True)
    assert len(lines) == 8
    assert not [line for line in lines if line.startswith("  ")]


@pytest.mark.parametrize("embedded", [True, False])
def test_another_pair_is_not_called_the_embedded_one(tables, embedded):
    assert ("another model, far more" in tuning_verdict(tables, embedded=embedded)[-1]) == embedded
