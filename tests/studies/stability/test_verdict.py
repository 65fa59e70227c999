"""The verdict's sentences on made-up tables: every branch of the wording."""

import numpy as np
import pandas as pd
import pytest

from epkit.stats import Interval, t_interval
from epkit.studies.stability.alternatives import AGAIN, DRAWN, EP, KMEANS, OTHER, REFINED, REFOUND
from epkit.studies.stability.verdict import (
    claims,
    cut_sentences,
    distance_sentences,
    merging_sentences,
    refound_sentences,
    remedy_sentences,
    score_sentences,
    sensitivity_sentences,
    tells,
    trajectory_sentences,
)

UP, DOWN, NONE = Interval(0.2, 0.1, 0.3), Interval(-0.2, -0.3, -0.1), Interval(0.0, -0.1, 0.1)
UNSHOWN = "no difference shown (0.143 would have been)"


@pytest.mark.parametrize(
    ("interval", "said"),
    [(UP, "more"), (DOWN, "less"), (NONE, UNSHOWN), (Interval(0.1, 0.0, 0.2), UNSHOWN),
     (Interval(-0.1, -0.2, 0.0), UNSHOWN), (Interval(0.0, 0.0, 0.0), "no difference shown")],
)  # fmt: skip
def test_a_difference_is_told_by_its_interval(interval, said):
    assert tells(interval, "more", "less") == said


def sensitivity():
    row = {"K": 501.5, "exemplars": 0.5, "means": 0.75, "agreement": 0.6, "≥ .7": 0.04,
           "agreement, random": 0.4, "exemplars, difference": UP,
           "agreement, difference": NONE}  # fmt: skip
    rows = [row | {"p": 2, "compared with": "another order"},
            row | {"p": 2, "compared with": "other documents", "exemplars": 0.45,
                   "exemplars, difference": DOWN}]  # fmt: skip
    return pd.DataFrame(rows).set_index(["p", "compared with"])


def test_sensitivity():
    (said,) = sensitivity_sentences(sensitivity(), 2)
    assert said == (
        "Sensitivity (p 2, K about 502): a match has a mean cosine of 0.50 (exemplars) and 0.75 "
        "(means) in another order, 0.45 and 0.75 on other documents, where 4% of exemplars reach "
        ".7. Region by region, exemplars against random ones: in another order better (0.200 "
        "[0.100, 0.300]), on other documents worse (-0.200 [-0.300, -0.100]). As a partition: "
        f"{UNSHOWN}; on held-out activations two parts agree at 0.60, with random exemplars at "
        "0.40 (0.000 [-0.100, 0.100])."
    )


def refound(**by_kind):
    """Of every kind the shares refound in two pairs: the table of them, and the comparisons."""
    rows = [
        {"pair": s, "dictionary": kind, "compared with": OTHER, REFOUND: value, "chance": 0.004 * s}
        for kind, values in by_kind.items() for s, value in enumerate(values)
    ]  # fmt: skip
    index = pd.MultiIndex.from_product([[AGAIN, OTHER], by_kind])
    table = pd.DataFrame({REFOUND: [t_interval(v) for v in by_kind.values()] * 2}, index=index)
    return table, pd.DataFrame(rows)


KINDS = {EP: [0.40, 0.42], REFINED: [0.60, 0.61], KMEANS: [0.60, 0.60], DRAWN: [0.41, 0.41]}
MORE = {"more": UP, "fewer": DOWN, UNSHOWN: NONE}


@pytest.mark.parametrize("said", MORE)
def test_regions_refound(said):
    table, compared = refound(**KINDS)
    table["more refound"] = [MORE[said], MORE[said], MORE[said], None] * 2
    first, second, third = refound_sentences(table, compared, "layer 12, p 4")
    assert first == (
        "Regions refound on other documents, layer 12, p 4: EP refined 60% > k-means 60% > EP 41% "
        "> random exemplars 41%; shuffled memberships 0.4% at most. Against as many random "
        f"exemplars: EP {said} ({MORE[said]}); EP refined {said} ({MORE[said]}); k-means {said} "
        f"({MORE[said]})."
    )
    less, more = t_interval([-0.2, -0.18]), t_interval([0.2, 0.19])
    same = t_interval([0.0, 0.01])
    assert second == (
        f"One against another: EP against k-means fewer ({less}); EP refined against k-means "
        f"{tells(same)} ({same}); EP refined against EP more ({more})."
    )
    assert tells(same).startswith("no difference shown (")
    assert third == (
        "With the same documents in another order, or from another seed: EP refined 60%, k-means "
        "60%, EP 41%, random exemplars 41%."
    )


def correlations(drawn):
    key = ("mean", "other documents")
    rho = {(*key, "regions", score): [value, value + 0.02]
           for score, value in (("D", 0.6), ("log N", 0.5), ("coherence c", -0.1))}  # fmt: skip
    rho[*key, "random exemplars", "D"] = [drawn, drawn]
    rho["exemplar", "other documents", "regions", "D"] = [0.3, 0.3]
    return rho


@pytest.mark.parametrize(("drawn", "most"), [(0.5, True), (0.2, False)])
def test_scores(drawn, most):
    (said,) = score_sentences(correlations(drawn))
    assert said.startswith(
        f"D against recurrence (means, other documents): ρ {t_interval([0.6, 0.62])}, published "
        f"≈ .68 on Gemma-2-2B; log N alone {t_interval([0.5, 0.52])} (D − log N 0.100 [0.100, "
        f"0.100]), coherence alone {t_interval([-0.1, -0.08])}. Among random exemplars D reaches "
        f"{drawn:.3f} ["
    )
    assert ("Most of it, then, says" in said) == most
    end = " For exemplars it is 0.300 [0.300, 0.300]."
    assert said.endswith(("around." if most else ").") + end)


def cut(*gains):
    rows = [
        {"chosen by": name, "share": share, "value": 0.7, "against random": gain}
        for name in ("most stable, measured", "largest")
        for share, gain in zip((0.1, 0.5), gains, strict=True)
    ]
    return pd.DataFrame(rows)


BETTER = "Stable regions are the better detectors at"
AT_NO = (
    "At no share are stable regions better detectors than random ones (0.143 would have been shown "
    "at every share)"
)
CUTS = {
    "none": ((NONE, NONE), f"{AT_NO}."),
    "worse at one": ((DOWN, NONE), f"{AT_NO}; at 10% they are worse."),
    "better at one": ((NONE, UP), f"{BETTER} 50%."),
    "better at both": ((UP, UP), f"{BETTER} 10%, 50%."),
    "both ways": ((DOWN, UP), f"{BETTER} 50%; at 10% they are worse."),
}


@pytest.mark.parametrize(("gains", "end"), CUTS.values(), ids=CUTS)
def test_cut(gains, end):
    stable, large = cut_sentences(cut(*gains), 0.774, [0.1, 0.5])
    both = f"10% {gains[0]}, 50% {gains[1]}"
    assert stable == (
        "Cut: all regions detect at a mean AUROC of 0.774, the most stable 10% at 0.700, the most "
        f"stable 50% at 0.700; against as many at random {both}. {end}"
    )
    assert large == f"As many of the largest, against random: {both}."


def test_remedies_and_distances():
    gains = pd.DataFrame(
        {"against": ["plain", "plain"], "exemplars": [UP, UP], "agreement": [NONE, UP],
         "AUROC": [DOWN, UP]}, index=["re-anchored", "random exemplars, equal K"],
    )  # fmt: skip
    assert remedy_sentences(gains) == [
        f"Re-anchored, against plain: exemplars {UP}, more stable; agreement {NONE}, "
        f"{UNSHOWN}; AUROC {DOWN}, worse."
    ]
    distance = pd.DataFrame(
        {"agreement, against centred": [np.nan, DOWN], "AUROC, against centred": [np.nan, UP]},
        index=["centred cosine", "Euclidean, raw"],
    )
    assert distance_sentences(distance) == [
        f"Euclidean, raw, against centred cosine: agreement {DOWN}, less stable; AUROC {UP}, "
        "better."
    ]


def test_trajectories():
    half = {"from layer 0": 4, "from layer 10": None, "from layer 0, shuffled": 1}
    assert trajectory_sentences(UP, NONE, half) == [
        f"Trajectories: of pairs of tokens in one region, {UP} are together one layer on (shuffled "
        f"{NONE}); more than half have parted at least once after 4 (from layer 0), None (from "
        "layer 10) layers."
    ]


@pytest.mark.parametrize("parting", [True, False])
@pytest.mark.parametrize("predicted", [True, False])
def test_merging(parting, predicted):
    kinds = ["last token", "same prediction,\nother last token", "random pairs"]
    kinds = [kind for kind in kinds if predicted or not kind.startswith("same")]
    start = 0.9 if parting else 0.3
    curves = {kind: pd.DataFrame({"layer": [0, 29], "value": [start, 0.2]}) for kind in kinds}
    names = [kind.replace("\n", " ") for kind in kinds]
    merges = pd.DataFrame({"share at the last layer": [UP] * len(kinds)}, index=names)
    (said,) = merging_sentences(curves, merges)
    way = "do not merge on their way up, they start together and part" if parting else (
        "share a region")  # fmt: skip
    assert said == (
        f"Positions that end alike {way}: last token {start:.2f} at layer 0, {UP} at 29; random "
        f"pairs {UP}."
        + (
            f" Same prediction after another last token: {start:.2f} at layer 0, {UP} at 29."
            if predicted
            else ""
        )
    )


def facts():
    """The arguments of `claims` of which all hold."""
    runs = [(p, 0, name) for p in (2, 4) for name in ("A", "B")]
    table = sensitivity()
    table["means"] = table.exemplars + 0.1
    names = ["centred cosine", "uncentred cosine", "Euclidean, norm-scaled"]
    return {
        "sizes": pd.Series([500, 520, 200, 210], index=pd.MultiIndex.from_tuples(runs)),
        "sensitivity": table, "rho": correlations(0.5), "whole": 0.7,
        "k_of": pd.Series({"merged": 100, "plain, equal K as merged": 110}),
        "distance": pd.DataFrame(
            {"K": [500.0, 510, 490], "agreement": [0.5, 0.5, 0.51]}, index=names
        ),
        "steps": (Interval(0.5, 0.4, 0.6), Interval(0.1, 0.0, 0.2)),
    }  # fmt: skip


def spoilt(**columns):
    return sensitivity().assign(**columns)


SPOILERS = {
    "K differs": {"sizes": facts()["sizes"] * [1, 1, 1, 1.6]},
    "means come": {"sensitivity": spoilt(means=0.1)},
    "partitions": {"sensitivity": facts()["sensitivity"].assign(agreement=0.3)},
    "D says": {"rho": correlations(0.5) | {
        ("mean", "other documents", "regions", "coherence c"): [0.9]}},
    "regions detect": {"whole": 0.6},
    "K made equal": {"k_of": pd.Series({"merged": 100, "plain, equal K as merged": 130})},
    "uncentred": {"distance": facts()["distance"].assign(agreement=[0.5, 0.4, 0.5])},
    "co-membership": {"steps": (Interval(0.2, 0.1, 0.3), Interval(0.1, 0.0, 0.2))},
}  # fmt: skip


def test_claims_that_all_hold():
    lines = claims(**facts())
    assert len(lines) == len(SPOILERS)
    assert all(line.endswith(": yes") for line in lines)


@pytest.mark.parametrize(("start", "changed"), SPOILERS.items(), ids=SPOILERS)
def test_a_claim_fails_by_itself(start, changed):
    lines = claims(**facts() | changed)
    assert [line for line in lines if line.endswith(": no")] == [
        line for line in lines if line.startswith(start)
    ]


def test_equal_k_is_that_of_the_distances_too():
    far = facts()["distance"].assign(K=[500.0, 510, 350])
    lines = claims(**facts() | {"distance": far})
    assert "K made equal within a fifth: no" in lines
