"""Which regions are walked through, and a game whose odds are known."""

from dataclasses import replace

import numpy as np
import pytest
from region_examples import WordTokenizer, example_dictionary

from epkit.inspect.regions import Regions
from epkit.stats import Interval
from epkit.studies.first_look.game import (
    chance_of,
    draw_rounds,
    rule_score,
    rule_text,
    score_text,
)
from epkit.studies.first_look.shipped import EP, RANDOM, Look, load_shipped
from epkit.studies.first_look.walk import FEWEST, group_patterns, walk


def example_look(groups=None):
    regions = Regions(example_dictionary(), WordTokenizer())
    rng = np.random.default_rng(0)
    groups = groups or {kind: rng.integers(0, 3900, (30, 8)) for kind in (EP, RANDOM)}
    return Look(regions, groups, rng.random((len(regions), 2)), 1.0)


def test_the_walk_keeps_its_rules():
    regions = load_shipped().regions
    d, stops = regions.dictionary, {stop.title: stop.region for stop in walk(regions)}
    assert len(stops) == 3
    coherence = {k: float(d.coherence[k]) for k in (d.counts >= FEWEST).nonzero()[:, 0].tolist()}
    groups = [d.members.of(k, "random")[0].numpy() for k in coherence]
    found = dict(zip(coherence, group_patterns(regions, groups), strict=True))
    bad, surprising, clear = (stops[f"A {a} one"] for a in ("bad", "surprising", "clear"))
    assert coherence[bad] == min(coherence.values())
    unlike = [k for k, p in found.items() if p.kind == "none"]
    assert coherence[surprising] == max(coherence[k] for k in unlike)
    assert found[clear].kind in ("token", "word", "ending", "after")


def test_small_dictionaries_have_a_walk_too():
    d = example_dictionary()
    small = replace(d, counts=d.counts.clamp(max=FEWEST - 1))
    assert walk(Regions(small, WordTokenizer()))[-1].title == "A bad one"


def test_rounds_are_fair_and_different():
    look = example_look()
    rounds = draw_rounds(look, 10, seed=3)
    again = draw_rounds(look, 10, seed=3)
    assert [r.kind for r in rounds] == [r.kind for r in again]
    kinds = [r.kind for seed in range(200) for r in draw_rounds(look, 10, seed=seed)]
    assert 0.45 < np.mean([kind == EP for kind in kinds]) < 0.55
    for shown in rounds:
        assert shown.members.tolist() in look.groups[shown.kind].tolist()
    with pytest.raises(ValueError, match=r"31 rounds need 31 regions .* one has 30"):
        draw_rounds(look, 31)


def test_the_rule_scores_what_it_sees():
    text = example_look().regions.text
    same = np.flatnonzero(text.tokens[text.places] == 5)[:8]
    mixed = np.array([np.flatnonzero(text.tokens[text.places] == i)[0] for i in range(1, 9)])
    alike, unlike = np.stack([same] * 9), np.stack([mixed] * 9)
    assert rule_score(example_look({EP: alike, RANDOM: unlike})) == (1, 1, 1)
    assert rule_score(example_look({EP: unlike, RANDOM: alike})) == (0, 0, 0)
    assert rule_score(example_look({EP: alike, RANDOM: alike})).value == 0.5


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ((0.6, 0.55, 0.65), "60% [55%, 65%]: EP's regions look a little more alike"),
        ((0.5, 0.45, 0.55), "50% [45%, 55%]: no better than a coin."),
        ((0.4, 0.35, 0.45), "40% [35%, 45%], worse than a coin: random exemplars' regions"),
    ],
)
def test_the_verdict_follows_the_interval(score, said):
    assert said in rule_text(Interval(*score))


def test_a_score_stands_beside_chance():
    assert chance_of(0, 10) == 1
    assert chance_of(10, 10) == 1 / 1024
    assert chance_of(8, 10) == pytest.approx(56 / 1024)
    assert score_text(8, 10) == (
        "8 of 10 right. A coin gets 5 on average, and as many as yours in 5% of games."
    )
