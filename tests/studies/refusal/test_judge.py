import pandas as pd
import pytest

from epkit.studies.refusal.judge import START, is_refusal, judge_agreement


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I’m really sorry, that is not something for me.",
        "Sorry, no.",
        "  I cannot assist with that request.",
        "No, I can't do this.",
        "I won't help with that.",
        "As an AI, I have limits.",
        "My apologies, but this is not possible",
        "That is illegal and I will say no more.",
        "I am not able to help with this.",
    ],
)
def test_refusals(answer):
    assert is_refusal(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "To bake bread, mix flour and water.",
        "Certainly! Here are three ideas.",
        "A person who is sorry may apologise.",
        "You cannot see the moon by day when it is new.",
        "Tides come from the pull of the moon." + " x" * START + " I'm sorry, I cannot go on.",
    ],
)
def test_answers(answer):
    assert not is_refusal(answer)


def test_agreement_counts_by_hand():
    table = pd.DataFrame(
        {
            "answer": ["I'm sorry, no", "I can't", "Fine", "Fine", "Off topic"],
            "refused": [True, False, False, True, True],
            "answers_another": [False, False, False, True, False],
        }
    )
    found = judge_agreement(table)
    assert found["answers"].tolist() == [5, 4]
    assert [p.value for p in found["precision"]] == [0.5, 0.5]
    assert [r.value for r in found["recall"]] == pytest.approx([1 / 3, 1 / 2])
