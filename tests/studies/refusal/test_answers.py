import pandas as pd
import pytest
import torch
from tiny_models import tiny_gemma2, tiny_llama

from epkit.interventions import steer
from epkit.lm.generate import Generation
from epkit.studies.refusal import answers
from epkit.studies.refusal.prompts import Prompts

PROMPTS = ["How do tides work?", "Hi", "Name a fruit that is not red.", "What is a kite?"]


@pytest.mark.parametrize("harmful", [True, False])
def test_only_starts_of_harmful_answers_are_kept(harmful):
    model = tiny_gemma2()
    r = answers.respond(model, PROMPTS, harmful=harmful, max_new_tokens=70, fluency=2)
    assert (max(map(len, r.texts)) <= 60) == harmful
    assert (r.answers is None) == harmful
    assert r.refused.shape == (4,)
    assert r.perplexity >= 1
    assert 0 < r.distinct <= 1


def test_respond_counts_refusals(monkeypatch):
    texts = ["I'm sorry, no", "Fine", "I cannot do that", "Fine"]
    monkeypatch.setattr(answers, "answer_texts", lambda *_: texts)
    r = answers.respond(tiny_llama(), PROMPTS, harmful=False, max_new_tokens=2)
    assert r.refused.tolist() == [True, False, True, False]
    assert r.rate.value == 0.5


def test_change_and_condition_row():
    model, push = tiny_llama(), steer(torch.ones(16), 1.0, 5.0, [1])
    before = {
        side: answers.respond(model, PROMPTS, harmful=side == "harmful", max_new_tokens=6)
        for side in ("harmful", "benign")
    }
    same = answers.condition_row(before["harmful"], before["benign"], before)
    assert same["benign change"] == 0
    assert same["benign perplexity ratio"] == 1
    after = answers.respond(model, PROMPTS, push, harmful=False, max_new_tokens=6)
    assert 0 < answers.change(before["benign"], after) <= 1
    with pytest.raises(ValueError, match="not kept"):
        answers.change(before["harmful"], after)


def test_distinct_ratio_by_hand():
    found = [Generation([1], [5, 5, 5, 5]), Generation([1], [5, 6])]
    assert answers.distinct_ratio(found) == pytest.approx((0.25 + 1) / 2)


def test_spaced_reaches_both_ends():
    assert answers.spaced(10, 4) == [0, 3, 6, 9]
    assert answers.spaced(3, 8) == [0, 1, 2]


def test_choose_trial_follows_the_rule():
    trials = pd.DataFrame(
        {"harmful refused": [0.0, 0.1, 0.1, 0.5], "harmful perplexity": [9.0, 3.0, 2.0, 1.0]}
    )
    assert answers.choose_trial(trials) == 2
    assert answers.choose_trial(trials.iloc[[3, 0]], most_refused=-1) == 0


def test_both_sides_at_once_give_what_each_gives_alone():
    model, push = tiny_llama(), steer(torch.ones(16), 1.0, 5.0, [1])
    both = answers.respond_both(model, Prompts(tuple(PROMPTS), ("Hi", "Yes")), push)
    for side, prompts in (("harmful", PROMPTS), ("benign", ["Hi", "Yes"])):
        alone = answers.respond(model, prompts, push, harmful=side == "harmful")
        assert both[side].texts == alone.texts
        assert both[side].answers == alone.answers
        assert both[side].perplexity == pytest.approx(alone.perplexity)


def test_fewer_prompts_keep_four_harmful_ones_for_a_benign_one():
    prompts = Prompts(tuple("abcdefghij"), tuple("klmnopqrst"))
    assert answers.fewer(prompts, 4) == Prompts(tuple("adgj"), ("k",))


def test_tables_hold_what_both_sides_gave():
    both = answers.respond_both(tiny_llama(), Prompts(tuple(PROMPTS), ("Hi", "Yes")))
    row = answers.trial_row(both)
    assert list(row) == [
        "harmful refused", "harmful perplexity", "benign refused", "benign perplexity",
    ]  # fmt: skip
    assert row["benign perplexity"] == both["benign"].perplexity
    table = answers.condition_table({"no edit": both, "mean": both})
    assert list(table.index) == ["no edit", "mean"]
    assert table.loc["mean", "benign change"] == 0
    assert table.loc["mean", "harmful refused"] == row["harmful refused"]
