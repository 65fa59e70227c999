"""The rule and its shares by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture
from effects_examples import GROUPS, made_effects, made_trial

import epkit
from epkit.stats import Interval
from epkit.studies.effects import tables
from epkit.studies.effects.drawing import EP, ISOTROPIC, MADE_UP, RANDOM


@pytest.fixture(scope="module")
def effects():
    return made_effects({EP: 6, RANDOM: 0, MADE_UP: 0})


def test_the_rule_asks_for_more_than_95_percent_of_random_directions_both_ways(effects):
    found = tables.judged(effects)
    assert len(found) == len(effects) / 2
    luck, ep = (found[found.kind == kind] for kind in (MADE_UP, EP))
    assert luck["raises"].sum() == luck["lowers"].sum() == 2  # of 40
    assert ep["both"].mean() > 0.95
    one = ep.iloc[0]
    steered = effects[(effects.kind == EP) & (effects.edit == "steer")].iloc[0]
    assert one.raised == steered.lift
    bar = np.quantile(luck["raised"], 0.95)
    assert (found["raises"] == (found["raised"] > bar)).all()


def test_tables_have_a_row_a_group(effects):
    found = tables.judged(effects)
    for table in (
        tables.promoted_table(effects, found), tables.behaviour_table(effects),
        tables.rule_table(found),
    ):  # fmt: skip
        assert len(table) == len(GROUPS)
        assert table.index[-2:].tolist() == [(MADE_UP, "–", "–"), (ISOTROPIC, "–", "–")]
        assert table.shape[1] <= 7


def test_shares_differences_and_what_could_have_been_shown():
    found = tables.judged(made_effects({EP: 2.5, RANDOM: 0, MADE_UP: 0}))
    rule = tables.rule_table(found)
    ep = rule.loc[EP, "2", "mean"]
    own = found[(found.kind == EP) & (found.percentile == 2) & (found.basis == "mean")]
    assert ep["n"] == len(own) == 40
    assert ep["both"].value == own["both"].mean()
    minus = ep["both, less random exemplars"]
    assert minus.low > 0.1
    assert ep["detectable"] == pytest.approx((minus.high - minus.low) / 2 * 2.8 / 1.96, rel=0.01)
    assert rule.loc[(RANDOM, "2", "mean"), "detectable"] == "–"


def test_promoted_tokens_against_anothers_and_random_directions(effects):
    table = tables.promoted_table(effects, tables.judged(effects))
    ep = table.loc[EP, "8", "exemplar"]
    assert ep["steer: own tokens"].value == pytest.approx(6, abs=0.5)
    assert ep["ablate: own tokens"].value == pytest.approx(-6, abs=0.5)
    assert abs(ep["steer: another's"].value) < 0.5
    assert ep["steer: P(above)"].low > 0.95
    assert table.loc[RANDOM, "8", "exemplar"]["ablate: P(above)"].value == pytest.approx(
        0.5, abs=0.2
    )
    assert table.loc[MADE_UP, "–", "–"]["steer: P(above)"] == "–"


def test_losses_of_members_and_others(effects):
    row = tables.behaviour_table(effects).loc[EP, "2", "mean"]
    assert row["Δloss, members − others"].value == pytest.approx(0.2, abs=0.02)
    assert row["ablated: KL, members"] == Interval(*[pytest.approx(0.3)] * 3)
    none = tables.loss_beyond_random(effects, 2.0, "mean")
    assert none.low < 0 < none.high


def test_what_goes_with_moving_more():
    effects = made_effects({EP: 0, RANDOM: 0, MADE_UP: 0})
    effects.loc[effects.edit == "steer", "lift"] = effects["z"]
    d = epkit.partition(mixture(1500, 16), [2], device="cpu")[2]
    d = replace(d, coherence=torch.ones_like(d.coherence))
    assert len(d) >= 40
    table = tables.correlates_table(tables.judged(effects), {2.0: d, 8.0: d})
    assert table.loc[(2.0, "mean"), "raised ~ z"].value == pytest.approx(1)
    assert table.loc[(2.0, "mean"), "raised ~ coherence"] == "–"
    assert abs(table.loc[(8.0, "mean"), "lowered ~ z"].value) < 0.6


def test_the_listing_has_both_ends(effects):
    found = tables.judged(effects)
    names, words = [f"n{i}" for i in range(40)], {i: f"w{i}" for i in range(40)}
    listed = tables.region_listing(found, 2.0, "mean", names, words, 6)
    assert len(listed) == 6
    assert listed["raised"].is_monotonic_decreasing
    own = found[(found.kind == EP) & (found.percentile == 2) & (found.basis == "mean")]
    assert listed["raised"].iloc[0] == own["raised"].max()
    assert listed["raised"].iloc[-1] == own["raised"].min()
    top = int(own["raised"].idxmax())
    region = int(found.loc[top, "region"])
    assert listed["region"].iloc[0] == f"{region} n{region}"
    assert set(listed["passes"]) <= {"both", "raises", "lowers", "–"}


def test_sizes_of_what_was_drawn():
    d = epkit.partition(mixture(600, 16), [8], device="cpu")[8]
    trial = made_trial(d.exemplars[1], d.centre, region=1, percentile=8.0)
    other = replace(trial, kind=RANDOM)
    table = tables.drawn_sizes([trial, other], {8.0: d}, {8.0: d})
    row = table.loc[EP, "8"]
    assert (row["K"], row["drawn"], row["tokens ablated as members"]) == (len(d), 1, 2)
    assert row["members, drawn"] == int(d.counts[1])


def test_cells_as_text():
    share = Interval(0.5, 0.25, 0.75)
    assert tables.as_percent(share) == "50% [25%, 75%]"
    assert (tables.as_percent(3), tables.as_percent(float("nan"))) == ("3", "–")
    assert tables.as_decimal(share) == "0.50 [0.25, 0.75]"
    assert isinstance(made_effects({EP: 0, RANDOM: 0, MADE_UP: 0}), pd.DataFrame)
