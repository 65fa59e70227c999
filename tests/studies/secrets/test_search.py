"""The search on a made-up organism: what is found, what is not, and in which unit."""

from dataclasses import replace

import pytest
import torch

from epkit.studies.secrets import search
from epkit.studies.secrets.reading import ANSWER, OPENING
from epkit.studies.secrets.selectors import SCORES, Selector

LAYER, NAMES = 2, ["moon", "ship", "tree", "door", "song", "lamp"]
HIDDEN = {"moon": 0, "ship": 1}
SELECTOR = Selector(LAYER, 8, ANSWER, "pull")


@pytest.fixture(scope="module")
def tried(made, nouns, readings):
    return search.try_selectors({(LAYER, 8): made}, {LAYER: nouns}, readings["ship"], 1)


@pytest.fixture(scope="module")
def compared(made, web, nouns, readings):
    return search.compare_words(made, web, nouns, readings, SELECTOR, HIDDEN, n_draws=2)


@pytest.fixture(scope="module")
def found(model, made, nouns, readings):
    return search.plain_rivals(
        model, dict.fromkeys(readings, torch.arange(6.0)), readings, {LAYER: nouns},
        {LAYER: made.centre}, NAMES, HIDDEN,
    )  # fmt: skip


def test_every_selector_is_tried_once(tried):
    assert len(tried) == 2 * len(SCORES)
    assert not tried.duplicated(list(Selector._fields)).any()
    assert set(tried.n) == {len(NAMES)}


def test_the_chosen_one_has_the_lowest_rank_and_comes_first(tried):
    even = tried.assign(rank=3)
    assert search.choose_selector(even) == Selector(LAYER, 8.0, OPENING, SCORES[0])
    even.loc[5, "rank"] = 2
    assert search.choose_selector(even) == Selector(*even.loc[5, list(Selector._fields)])


def test_the_hidden_word_is_first_where_it_is_hidden_and_nowhere_else(compared):
    ep = compared[(compared.method == search.EP) & (compared.half == "")]
    ep = ep.set_index(["organism", "word"])
    assert ep.loc[("ship", "ship"), "rank"] == 1
    assert ep.loc[("ship", "ship"), "p"] == pytest.approx(1 / len(NAMES))
    assert ep.loc[("no word", "ship"), "rank"] > 1


def test_controls_are_drawn_as_often_as_asked_and_only_ep_has_halves(compared):
    counts = compared.groupby(["method", "draw", "half"]).size()
    assert set(counts) == {4}
    assert set(compared[compared.half != ""].method) == {search.EP}
    assert sorted(counts.index.droplevel("half").unique()) == [
        (search.EP, 0), (search.RANDOM, 0), (search.RANDOM, 1),
    ]  # fmt: skip


def test_a_half_is_scored_by_its_own_prompts(made, readings):
    both = search.scores_of(made, readings["ship"], SELECTOR)
    halves = [search.scores_of(made, readings["ship"], SELECTOR, half) for half in (0, 1)]
    assert torch.allclose(both, sum(halves) / 2, atol=1e-6)
    assert not torch.equal(*halves)


def test_rivals_say_their_layer_and_place_and_noun_directions_find_what_was_moved(found):
    assert len(found) == 2 * 2 * (1 + 2 * 4)
    forced = found[found.method == search.FORCED]
    assert set(forced.layer) == {-1}
    assert set(forced[forced.word == "moon"]["rank"]) == {len(NAMES)}
    own = found[(found.organism == "ship") & (found.word == "ship")]
    assert set(own[own.method == search.PLAIN]["rank"]) == {1}
    assert (found.p == found["rank"] / found.n).all()


def test_a_layer_below_the_tuned_blocks_is_an_error(model, made, nouns, readings):
    same = replace(readings["ship"], tuned=readings["ship"].base)
    with pytest.raises(ValueError, match="ship is its base at layer 2: read layers from the first"):
        search.plain_rivals(
            model, {"ship": torch.zeros(6)}, {"ship": same}, {LAYER: nouns}, {LAYER: made.centre},
            NAMES, HIDDEN,
        )  # fmt: skip


def test_a_rival_is_fixed_where_it_is_best_on_one_word(found):
    kept = search.chosen_rivals(found, "ship")
    assert len(kept) == 2 * 2 * 5
    for method, own in kept.groupby("method"):
        assert len(own[["layer", "place"]].drop_duplicates()) == 1
        fixed = found[(found.method == method) & (found.organism == "ship")]
        best = fixed[fixed.word == "ship"]["rank"].min()
        assert own[(own.organism == "ship") & (own.word == "ship")]["rank"].item() == best
