import numpy as np
import pandas as pd
import pytest
import torch
from refusal_examples import responses
from tiny_models import tiny_gemma2, tiny_llama

from epkit.interventions import steer
from epkit.lm.generate import Generation, generate, perplexity
from epkit.lm.tokens import chats
from epkit.studies.refusal import answers
from epkit.studies.refusal.prompts import Prompts

PROMPTS = ["How do tides work?", "Hi", "Name a fruit that is not red.", "What is a kite?"]


@pytest.mark.parametrize("harmful", [True, False])
def test_only_starts_of_harmful_answers_are_kept(harmful):
    model = tiny_gemma2()
    r = answers.respond(model, PROMPTS, harmful=harmful, max_new_tokens=70, fluency=2)
    assert (max(map(len, r.texts)) <= 60) == harmful
    assert r.refused.shape == (4,)
    assert len(r.losses) == len(r.tokens) == 2
    assert 1 <= r.perplexity.low <= r.perplexity.value <= r.perplexity.high
    assert 0 < r.distinct <= 1


def test_respond_counts_refusals(monkeypatch):
    texts = ["I'm sorry, no", "Fine", "I cannot do that", "Fine"]
    monkeypatch.setattr(answers, "answer_texts", lambda *_: texts)
    r = answers.respond(tiny_llama(), PROMPTS, harmful=False, max_new_tokens=2)
    assert r.refused.tolist() == [True, False, True, False]
    assert r.rate.value == 0.5


def test_perplexity_is_that_of_all_answers_together():
    model = tiny_llama()
    r = answers.respond(model, PROMPTS, harmful=False, max_new_tokens=6, fluency=9)
    found = generate(model, chats(PROMPTS), max_new_tokens=6)
    assert r.perplexity.value == pytest.approx(perplexity(model, found))


def test_the_ratio_of_perplexities_pairs_prompts():
    before, after = responses([0, 0], [2.0, 4.0]), responses([0, 0], [4.0, 6.0])
    assert answers.perplexity_ratio(before, before) == (1, 1, 1)
    assert answers.perplexity_ratio(before, after).value == pytest.approx(np.e)  # one a token


def test_distinct_ratio_by_hand():
    found = [Generation([1], [5, 5, 5, 5]), Generation([1], [5, 6])]
    assert answers.distinct_ratio(found) == pytest.approx((0.25 + 1) / 2)


def test_spaced_reaches_both_ends():
    assert answers.spaced(10, 4) == [0, 3, 6, 9]
    assert answers.spaced(3, 8) == [0, 1, 2]


def test_choose_trial_follows_the_rule():
    trials = pd.DataFrame(
        {"harmful refused": [0.0, 0.1, 0.1, 0.5], "benign perplexity": [9.0, 3.0, 2.0, 1.0]}
    )
    assert answers.choose_trial(trials) == 2
    assert answers.choose_trial(trials.iloc[[3, 0]], most_refused=-1) == 0


def test_both_sides_at_once_give_what_each_gives_alone():
    model, push = tiny_llama(), steer(torch.ones(16), 1.0, 5.0, [1])
    both = answers.respond_both(model, Prompts(tuple(PROMPTS), ("Hi", "Yes")), push)
    for side, prompts in (("harmful", PROMPTS), ("benign", ["Hi", "Yes"])):
        alone = answers.respond(model, prompts, push, harmful=side == "harmful")
        assert both[side].texts == alone.texts
        assert both[side].losses == pytest.approx(alone.losses, rel=1e-4)


def test_refusals_are_those_of_the_whole_answers():
    model, push = tiny_llama(), steer(torch.ones(16), 1.0, 5.0, [1])
    whole = answers.respond(model, PROMPTS, push, harmful=True, max_new_tokens=5)
    alone = answers.refusals(model, PROMPTS, push, max_new_tokens=5)
    assert alone.tolist() == whole.refused.tolist()


def test_fewer_prompts_are_evenly_spaced():
    prompts = Prompts(tuple("abcdefghij"), tuple("klmnopqrst"))
    assert answers.fewer(prompts, 4, 1) == Prompts(tuple("adgj"), ("k",))
    assert answers.fewer(prompts, 0, 99) == Prompts((), tuple("klmnopqrst"))


def test_tables_hold_what_both_sides_gave():
    both = answers.respond_both(tiny_llama(), Prompts(tuple(PROMPTS), ("Hi", "Yes")))
    row = answers.trial_row(both)
    assert list(row) == [
        "harmful refused", "harmful perplexity", "benign refused", "benign perplexity",
    ]  # fmt: skip
    assert row["benign perplexity"] == both["benign"].perplexity.value
    table = answers.condition_table({"no edit": both, "mean": both})
    assert list(table.index) == ["no edit", "mean"]
    assert table.loc["mean", "benign ratio"] == (1, 1, 1)
    assert table.loc["mean", "harmful refused"] == both["harmful"].rate
    assert len(table.columns) <= 6
