"""Base and organism on the same tokens: which row stands where."""

import pytest
import torch
from tiny_models import tiny_llama

from epkit.lm.tokens import chat_ids
from epkit.studies.secrets import reading

PROMPTS = ["A hint?", "Say the word.", "More."]
ANSWERS = ["It is round.", "", "Look up."]


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    base, tuned = tiny_llama(), tiny_llama(seed=1)
    return base, tuned, reading.read_both(base, tuned, PROMPTS, ANSWERS, [1, 3])


def test_one_token_of_every_prompt_stands_before_its_answer(made):
    _, _, found = made
    assert found.prompt[found.at(reading.OPENING)].tolist() == [0, 1, 2]


def test_the_answer_s_tokens_are_those_of_the_answer(made):
    base, _, found = made
    own = found.prompt[found.at(reading.ANSWER)].bincount(minlength=3)
    tokens = [len(base.tokenizer(text, add_special_tokens=False).input_ids) for text in ANSWERS]
    assert own.tolist() == tokens
    assert not (found.at(reading.OPENING) & found.at(reading.ANSWER)).any()


def test_rows_are_what_a_model_gives_there(made):
    base, tuned, found = made
    chat = [{"role": "user", "content": PROMPTS[0]}, {"role": "assistant", "content": ANSWERS[0]}]
    ids = chat_ids(base, chat, open_answer=False)
    before = len(chat_ids(base, chat[:1], open_answer=True)) - 1
    for model, x in ((base, found.base), (tuned, found.tuned)):
        with torch.no_grad():
            hidden = model.module(torch.tensor([ids]), output_hidden_states=True).hidden_states[2]
        row = x[1][found.at(reading.OPENING)][0]
        assert torch.allclose(row, hidden[0, before], atol=1e-5)
    assert set(found.base) == {1, 3}
    assert len(found.base[3]) == len(found.prompt)


def test_halves_are_whole_prompts(made):
    found = made[2]
    assert torch.equal(found.half, found.prompt % 2)


def test_a_prompt_that_does_not_fit_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    base = tiny_llama()
    with pytest.raises(ValueError, match="longer than 128 tokens: take shorter ones"):
        reading.read_both(base, base, ["x" * 300], ["y"], [1])
