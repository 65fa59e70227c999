"""Every turn of the verdict's sentences, on made-up tables."""

import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.neighbourhoods import verdict

MORE, LESS, SAME = Interval(0.2, 0.1, 0.3), Interval(-0.2, -0.3, -0.1), Interval(0.0, -0.1, 0.1)
WORDS = {MORE: "more than", LESS: "less than", SAME: "not evidently different from"}


@pytest.mark.parametrize("difference", WORDS)
@pytest.mark.parametrize(("far", "word"), [(0.019, "little"), (-0.021, "something")])
def test_what_lies_between(difference, far, word):
    spans, p = ["near: d < 0.9", "far: d ≥ 0.9"], 2
    table = pd.DataFrame({
        "EP: between": [0.0161, 0.5], "EP: excess": [MORE, Interval(far, -0.1, 0.1)],
        "EP − random exemplars": [difference] * 2, "EP − made-up directions": [SAME] * 2,
    }, index=pd.MultiIndex.from_product([spans, [p]]))  # fmt: skip
    said = verdict.between_said(table, p)
    assert f"says {word}: 50% of all regions lie between them, {far:.1%} [-10.0%, 10.0%]" in said
    assert "Between nearer anchors lie 1.61%, 20.00% [10.00%, 30.00%] beyond chance" in said
    assert f"that is {WORDS[difference]} random exemplars" in said
    assert said.endswith(
        "not evidently different from made-up directions (0.00% [-10.00%, 10.00%])."
    )


@pytest.mark.parametrize("gain", WORDS)
def test_what_paths_pass(gain):
    row = {"mean cosine of a step": MORE, "1 − θ": 0.3871, "more than of all regions": SAME}
    index = pd.MultiIndex.from_tuples([(1, "EP"), (1, "random exemplars")])
    said = verdict.paths_said(pd.DataFrame([row, row], index), {1: {"random exemplars": gain}}, 1)
    assert (
        "A step has a mean cosine of 0.200 [0.100, 0.300]; exemplars allow at most 0.387;" in said
    )
    assert f"{WORDS[gain]} those of random exemplars (difference {gain})" in said
    plain = ": paths show how activations lie, not what the partition found."
    assert said.endswith(plain) == (gain == SAME)
    assert said.endswith(".")
    assert not said.endswith("..")


def test_how_regions_split():
    row = {"EP": 0.444, "shuffled": 0.01, "random, as many shared": 0.33, "EP − random": MORE}
    index = pd.MultiIndex.from_tuples([(4, 2), (2, 0.5)])
    said = verdict.splits_said(pd.DataFrame([row, row | {"EP − random": LESS}], index))
    assert "0.44 for p 2 in p 4 (shuffled 0.01;" in said
    assert f"as many in common 0.33, EP more than that: {MORE}); 0.44 for p 0.5 in p 2" in said
    assert f"EP less than that: {LESS}). So fine regions nest" in said


def test_what_neighbours_share():
    rows = [
        {"neighbours": 0.1, "random pairs": 0.003, "more than random pairs": pairs,
         "random exemplars, same distance": 0.126, "EP more than those": control}
        for pairs, control in ((MORE, LESS), (SAME, SAME))
    ]  # fmt: skip
    said = verdict.neighbours_said(pd.DataFrame(rows, ["same word", "same class"])).split("\n")
    assert said[0] == (
        "NEIGHBOURS, same word: 0.100, more than random pairs of equal size with 0.003 "
        f"(difference {MORE}); less than random exemplars at the same distances with 0.126 "
        f"(difference {LESS})."
    )
    assert said[1].count("not evidently different from") == 2


def recurring(**changed):
    row = {
        "small": 209, "K": 1566, "small that recur": Interval(0.86, 0.81, 0.91),
        "EP − random": SAME, "any within θ, small": Interval(0.9, 0.8, 1.0),
        "any within θ, made-up": Interval(0.2, 0.1, 0.3), "same word": MORE,
        "same word, shuffled": Interval(0.0, 0.0, 0.0), "new members": Interval(2.0, 1.5, 2.5),
        "others in build": 0.9,
    }  # fmt: skip
    return pd.DataFrame([row | changed], pd.MultiIndex.from_tuples([(20, 1)]), dtype=object)


def test_whether_small_regions_recur():
    said = verdict.small_regions_said(recurring(), 20, 1, 29_874)
    assert said.startswith(
        "SMALL REGIONS at layer 20, p = 1 (209 of 1,566 have at most 3 members in the build half): "
        "86.0% [81.0%, 91.0%] get a new member in other documents, not evidently different from "
        "random exemplars of the same size (difference 0.0% [-10.0%, 10.0%]). Some new activation"
    )
    assert "are rare features rather than noise; the 14% without a new member" in said
    assert "among 29,874 new activations" in said


@pytest.mark.parametrize(
    "changed",
    [
        {"any within θ, made-up": Interval(0.8, 0.7, 0.85)},
        {"same word, shuffled": MORE},
        {"same word": None, "same word, shuffled": None},
    ],
)
def test_what_cannot_be_told_from_noise(changed):
    said = verdict.small_regions_said(recurring(**changed), 20, 1, 100)
    assert "cannot be told from noise" in said
    assert ("own word in none there, shuffled none there" in said) == ("same word" in changed)


def test_where_there_is_less_to_say():
    none = verdict.small_regions_said(recurring(small=0), 20, 1, 100)
    assert none == "SMALL REGIONS at layer 20, p = 1: there is none with at most 3 members."
    alone = verdict.small_regions_said(recurring(**{"EP − random": None}), 20, 1, 100)
    assert "in other documents. Some new activation" in alone


def test_how_crowded_small_regions_are():
    shape = pd.DataFrame(
        {"density of regions of at most three": [14.0, 1329.0]}, ["EP", "random exemplars"]
    )
    said = verdict.density_said(shape, 20, 0.5)
    assert "1,329 activations lie within θ of a small one of theirs" in said
    assert said.endswith("and 14 within θ of a small region of EP (layer 20, p = 0.5).")


def test_whether_things_come_at_a_steady_rate():
    rows = [
        recurring(),
        recurring(**{"others in build": 1.9}),
        recurring(**{"new members": None}),
    ]
    assert verdict.rate_said(pd.concat(rows)).startswith("In 1 of 2 dictionaries small regions get")
