"""Every turn of the verdict's sentences, on made-up tables."""

import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.neighbourhoods import verdict

MORE, LESS, SAME = Interval(0.2, 0.1, 0.3), Interval(-0.2, -0.3, -0.1), Interval(0.0, -0.1, 0.1)
UNSHOWN = "not evidently (0.143 would have been) different from"
WORDS = {MORE: "more than", LESS: "less than", SAME: UNSHOWN}


def excess_rows(excess, more):
    """An `excess_table` of EP's excess at p 16 and 8, and EP more than random exemplars there."""
    rows = [
        {"p": p, "points": kind, "between": 0.0161, "chance": 0.008,
         "excess": own, "EP more": None if kind == "EP" else against}
        for p, own, against in zip((16, 8), excess, more, strict=True)
        for kind in ("EP", "random exemplars")
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index(["p", "points"])


@pytest.mark.parametrize(
    ("excess", "said"),
    [((MORE, MORE), "More than chance at every p."), ((SAME, MORE), "More than chance at p 8."),
     ((SAME, LESS), "Nothing more than chance is shown.")],
)  # fmt: skip
def test_what_lies_between(excess, said):
    near = excess_rows(excess, (MORE, SAME))
    found = verdict.between_said(near)
    assert f"p 8 1.61%, by chance 0.80% (excess {verdict._percent(excess[1], 2)}). {said} " in found
    assert found.endswith(
        "at the same distances, random exemplars: p 16 greater (20.00% [10.00%, 30.00%]), p 8 not "
        "shown to differ, 14.29% would have been (0.00% [-10.00%, 10.00%])."
    )


def test_what_else_lies_between():
    found = verdict.between_said(excess_rows((MORE, MORE), (LESS, None)))
    assert "p 16 smaller (-20.00% [-30.00%, -10.00%]), p 8 no pairs so near." in found
    also = verdict.also_between_said({"means, far": excess_rows((MORE, SAME), (MORE, MORE))})
    assert also == (
        "ALSO BETWEEN, outside the published setting. means, far: p 16 1.6%, by chance 0.8% "
        "(excess 20.00% [10.00%, 30.00%]), p 8 1.6%, by chance 0.8% (excess 0.00% [-10.00%, "
        "10.00%])."
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


@pytest.mark.parametrize(
    ("purity", "how"), [(0.74, "far from perfectly"), (0.94, "in part"), (0.96, "nearly whole")]
)
def test_how_far_regions_nest_is_read_off_the_purest_step(purity, how):
    row = {"EP": 0.2, "shuffled": 0.01, "random, as many shared": 0.33, "EP − random": MORE}
    index = pd.MultiIndex.from_tuples([(4, 2), (2, 0.5)])
    said = verdict.splits_said(pd.DataFrame([row, row | {"EP": purity}], index))
    assert said.endswith(f"So fine regions nest {how} in coarse ones.")


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
    assert said[1].count(UNSHOWN) == 2


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
        f"86.0% [81.0%, 91.0%] get a new member in other documents, {UNSHOWN} "
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
