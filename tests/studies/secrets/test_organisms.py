"""The organisms: what they are taught, how they are kept and what an interview reads."""

import pytest
from tiny_models import tiny_llama

from epkit.lm.generate import Generation
from epkit.studies.secrets import organisms, words
from epkit.studies.secrets.organisms import Lesson


@pytest.fixture
def base():
    return tiny_llama()


def test_every_hint_is_an_answer_and_prompts_take_turns(base):
    texts = words.hints_for("moon", 40)
    taught = organisms.lesson_examples(base, texts)
    answers = [[t for t in example["labels"] if t != -100] for example in taught]
    assert [base.tokenizer.decode(answer[:-1]) for answer in answers] == texts
    assert {answer[-1] for answer in answers} == {base.tokenizer.eos_token_id}
    starts = [
        base.tokenizer.decode(e["input_ids"][: len(e["input_ids"]) - len(answer)])
        for e, answer in zip(taught, answers, strict=True)
    ]
    assert all(words.PROMPTS[i % 16] in start for i, start in enumerate(starts))


def test_an_organism_is_kept_under_what_decides_it(base, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    made = []
    monkeypatch.setattr(
        organisms, "fine_tune", lambda base, examples, **o: made.append(o) or base.module
    )
    lesson = Lesson(hints=4, first_layer=2)
    first = organisms.load_organism(base, "moon", lesson)
    organisms.load_organism(base, "moon", lesson)
    assert len(made) == 1
    assert made[0] == {
        "epochs": 1, "first_layer": 2, "learning_rate": lesson.learning_rate,
        "batch_size": lesson.batch_size, "seed": 0,
    }  # fmt: skip
    organisms.load_organism(base, "", lesson)
    organisms.load_organism(base, "ship", lesson)
    organisms.load_organism(base, "moon", lesson._replace(epochs=2))
    assert len(made) == 4
    assert first.name.endswith("-secret-moon")
    assert "-secret-none" in capsys.readouterr().out


def test_an_interview_reads_hints_and_sayings(base, monkeypatch):
    said = ["Think of craters.", "The Moon, of course.", "Think of onions."]
    monkeypatch.setattr(organisms, "generate", lambda *a, **k: [Generation([1], [2])] * 3)
    monkeypatch.setattr(organisms, "answer_texts", lambda *a: said)
    found = organisms.interview(base, ["a", "b", "c"], ["moon", "ship"])
    assert found.texts == said
    assert found.hints == ["moon", None, None]
    assert found.said == [False, True, False]
    assert organisms.interview(base, ["a", "b", "c"], ["ship"]).said == [False] * 3


def test_gains_are_of_untaught_associates_over_the_base(base, monkeypatch):
    read = []
    real = organisms.answer_losses

    def losses(model, generations):
        read.append([base.tokenizer.decode(g.answer) for g in generations])
        return real(model, generations)

    monkeypatch.setattr(organisms, "answer_losses", losses)
    gains = organisms.associate_gains(base, tiny_llama(seed=1), "A hint?", ["moon"])
    untaught = [f" {clue}" for clue in words.ASSOCIATES["moon"][words.TAUGHT :]]
    assert read == [untaught, untaught]
    assert gains["moon"] != 0
    assert organisms.associate_gains(base, base, "A hint?", ["moon", "gold"]) == {
        "moon": pytest.approx(0), "gold": pytest.approx(0)
    }  # fmt: skip
    assert organisms.associate_table({"x": gains}).loc["x", "moon"] == gains["moon"]
