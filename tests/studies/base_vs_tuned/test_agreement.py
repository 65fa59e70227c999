"""Agreement of two dictionaries: which are compared, and what the tables say of known pairs."""

import pytest
import torch

from epkit import matching
from epkit.stats import Interval
from epkit.studies.base_vs_tuned.agreement import (
    FLOOR,
    FRESH,
    NOISE,
    OTHER,
    SAME,
    SHARED,
    brief_interval,
    checkpoint_pairs,
    cosine_agreement,
    lost_cosine,
    match_all,
    member_agreement,
    order_spread,
)

BASES = ("exemplar", "mean")


def test_which_dictionaries_are_compared():
    names = ("base", "tuned", "shared", "fresh", "noise", "random base", "random tuned")
    sets = {name: [f"{name} {i}" for i in range(3)] for name in names}
    found = checkpoint_pairs(sets)
    assert next(iter(found)) == FLOOR
    assert found[FLOOR] == [("base 0", "base 1"), ("base 0", "base 2"), ("base 1", "base 2")]
    assert found[OTHER][1] == ("base 0", "tuned 2")
    assert found[OTHER + SHARED][2] == ("base 1", "shared 2")
    assert found[SAME] == [(f"base {i}", f"tuned {i}") for i in range(3)]
    assert found[SAME + SHARED][1] == ("base 1", "shared 1")
    assert found[NOISE][0] == ("base 0", "noise 0")
    assert found[FRESH][2] == ("base 2", "fresh 2")
    assert found["random exemplars, base and base"][0] == ("random base 0", "random base 1")
    assert found["random exemplars, base and tuned"][0] == ("random base 0", "random tuned 1")


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.5], "0.50"), ([1, 2, 6], "3.00 [1.00, 6.00]"), ([0.25, 0.25], "0.25")],
)
def test_spreads_in_brief(values, text):
    assert brief_interval(order_spread(torch.tensor(values))) == text


def untouched(web_sets):
    """Sets of a fine-tune that changed nothing."""
    sets = web_sets(percentiles=[10])[10]
    return sets | {"tuned": sets["base"], "shared": sets["base"], "noise": sets["base"]}


def tables(sets):
    found = {(5, 10, basis): match_all(sets, basis) for basis in BASES}
    cutoffs = {key: matching.noise_cutoff(ms[FLOOR]) for key, ms in found.items()}
    return cosine_agreement(found, cutoffs), lost_cosine(found), member_agreement({(5, 10): sets})


def test_a_fine_tune_that_changed_nothing(web_sets):
    cosines, lost, members = tables(untouched(web_sets))
    for basis in BASES:
        at = cosines.loc[5, 10, basis]
        assert at["median cosine"][SAME].value == pytest.approx(1, abs=1e-5)
        assert at["persisted ≥ .7"][SAME] == Interval(1, 1, 1)
        assert at["median cosine"][OTHER] == at["median cosine"][FLOOR]
        assert lost["own centres"][5, 10, basis] == Interval(0, 0, 0)
        assert lost["shared centre"][5, 10, basis] == Interval(0, 0, 0)
    at = members.loc[5, 10]
    assert at.AMI[SAME].value == pytest.approx(1)
    assert at["regions kept (N ≥ 5)"][SAME] == Interval(1, 1, 1)
    assert at.kept[SAME] == 1
    assert at.AMI[OTHER] == at.AMI[FLOOR]


def test_shares_of_a_fine_tune(web_sets):
    cosines, lost, members = tables(web_sets(percentiles=[10])[10])
    assert list(cosines.columns) == [
        "median cosine", "persisted ≥ cutoff", "cutoff", "persisted ≥ .7"
    ]  # fmt: skip
    floor = cosines.xs(FLOOR, level="comparison")
    assert all(
        v.value >= 0.8 for v in floor["persisted ≥ cutoff"]
    )  # at most 5 % of pairs are below
    assert (members[["kept", "merged", "split", "dissolved"]].sum(axis=1) - 1).abs().max() < 1e-9
    assert len(lost) == 2


def test_regions_without_a_partner_are_not_counted_as_lost():
    def match(pairs, cosines, left):
        return matching.Matching(
            torch.tensor(pairs), torch.tensor(cosines), torch.tensor(left), torch.tensor([]), "mean"
        )

    floor = match([[0, 0], [1, 1], [2, 2]], [0.9, 0.8, 0.5], [3])
    other = match([[0, 1], [2, 0], [3, 2]], [0.7, 0.6, 0.9], [1])
    lost = lost_cosine({(5, 4, "mean"): {FLOOR: [floor], OTHER: [other], OTHER + SHARED: [floor]}})
    row = lost.loc[5, 4, "mean"]
    assert row["own centres"].value == pytest.approx(0.05)  # of regions 0 and 2: .2 and −.1
    assert row["shared centre"] == Interval(0, 0, 0)


@pytest.mark.slow
def test_far_dictionaries_give_the_same_tables(two_orders, far):
    there = {
        name: [r._replace(dictionary=r.dictionary.to(far)) for r in readings]
        for name, readings in two_orders.items()
    }
    for one, other in zip(tables(two_orders), tables(there), strict=True):
        assert one.map(brief_or_number).equals(other.map(brief_or_number))


def brief_or_number(value):
    return brief_interval(value) if isinstance(value, Interval) else round(value, 4)
