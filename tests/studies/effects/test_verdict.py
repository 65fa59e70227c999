"""The verdict in each of its wordings, on made-up tables."""

import pytest
from effects_examples import made_effects

from epkit.stats import Interval
from epkit.studies.effects import tables
from epkit.studies.effects.drawing import EP, MADE_UP, RANDOM
from epkit.studies.effects.verdict import amount, compared, effects_verdict, loss_says


def said(means):
    effects = made_effects(means)
    found = tables.judged(effects)
    beyond = {"mean": Interval(0.1, 0.05, 0.2)}
    return effects_verdict(
        tables.rule_table(found), tables.promoted_table(effects, found),
        tables.behaviour_table(effects), beyond, [2, 8], "model, layer 1",
    )  # fmt: skip


def test_regions_that_do_what_their_lens_says():
    lines = said({EP: 6, RANDOM: 0, MADE_UP: 0})
    assert lines[0].startswith(
        "model, layer 1, p 2, mean basis: steering raises the promoted tokens"
    )
    assert "of 40 regions" in lines[0]
    assert lines[0].endswith("most do what their lens says.")
    assert len(lines) == 1 + 4 + 3 + 1 + 1
    assert all(line.endswith(", more.") for line in lines[1:5])
    assert "at a KL of 0.11 nats" in lines[5]
    assert lines[7].startswith("  isotropic directions: their own gain +")
    assert "it hurts its members more than other tokens" in lines[8]
    assert (
        lines[9]
        == "  mean: +0.100 [+0.050, +0.200] more than a random direction at the same tokens, more."
    )


def test_regions_that_do_not():
    lines = said({EP: -6, RANDOM: -6, MADE_UP: 0})
    assert "0% [0%, 9%]: a minority do" in lines[0]
    assert "no difference shown (no spread)" in lines[1]


@pytest.mark.parametrize(
    ("share", "words"),
    [((0.8, 0.7, 0.9), "most"), ((0.5, 0.4, 0.6), "perhaps half"), ((0.2, 0.1, 0.3), "a minority"),
     ((0.01, 0, 0.04), "hardly any")],
)  # fmt: skip
def test_amounts(share, words):
    assert amount(Interval(*share)) == words


def test_differences_say_what_could_have_been_shown():
    assert compared(Interval(0.2, 0.1, 0.3)) == "more"
    assert compared(Interval(-0.2, -0.3, -0.1)) == "less"
    assert compared(Interval(0.0, -0.1, 0.1)) == "no difference shown (detectable 14%)"
    assert loss_says(Interval(0.2, 0.1, 0.3)).startswith("it hurts its members")
    assert loss_says(Interval(-0.2, -0.3, -0.1)).startswith("it hurts other tokens")
    assert loss_says(Interval(0.0, -0.1, 0.1)) == (
        "members and others no difference shown (detectable 0.143)"
    )
