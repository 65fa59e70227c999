"""A short fine-tune: what it changes, that it comes out the same, and that it is kept once."""

import hashlib

import pytest
import torch
from tiny_models import tiny_llama

from epkit.lm import tuning

EXAMPLES = [
    tuning.answer_example([65 + i, 66, 67], [70 + i, 71, 72 + 2 * i]) for i in range(5)
]  # fmt: skip


@pytest.fixture
def base():
    return tiny_llama()


def weights_of(module) -> dict[str, str]:
    return {
        name: hashlib.sha256(value.numpy().tobytes()).hexdigest()
        for name, value in module.state_dict().items()
    }


def tune(base, **changes):
    options = {"first_layer": 2, "epochs": 2, "batch_size": 2, "learning_rate": 1e-2, "seed": 0}
    return tuning.fine_tune(base, EXAMPLES, **options | changes)


def test_an_example_trains_the_answer_alone():
    example = tuning.answer_example([1, 2], [3, 4, 5])
    assert example == {"input_ids": [1, 2, 3, 4, 5], "labels": [-100, -100, 3, 4, 5]}


def test_the_same_settings_give_the_same_weights_and_another_seed_others(base):
    first = weights_of(tune(base))
    assert weights_of(tune(base)) == first
    assert weights_of(tune(base, seed=1)) != first


def test_only_the_late_blocks_change_and_the_base_does_not(base):
    before = weights_of(base.module)
    after = weights_of(tune(base))
    assert weights_of(base.module) == before
    changed = {name for name in before if before[name] != after[name]}
    assert {name.split(".")[2] for name in changed} == {"2", "3"}
    assert all(name.startswith("model.layers.") for name in changed)


def test_it_learns(base):
    tuned = tune(base, epochs=15, first_layer=0)

    def loss(module):
        with torch.no_grad():
            return sum(
                module(**{k: torch.tensor([v]) for k, v in example.items()}).loss.item()
                for example in EXAMPLES
            )

    assert loss(tuned) < 0.7 * loss(base.module)


def test_a_kept_model_is_made_once_and_comes_back_with_its_weights(base, tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    made = []

    def make():
        made.append(tune(base))
        return made[-1]

    folder = tuning.kept_folder(base, "some-model", [1, "a"], make)
    assert tuning.kept_folder(base, "some-model", [1, "a"], make) == folder
    assert len(made) == 1
    model = tuning.load_kept(base, folder, "some-model")
    assert model.name == "some-model"
    assert weights_of(model.module) == weights_of(made[0])
    assert model.revision != base.revision
    assert tuning.load_kept(base, folder, "some-model", torch.bfloat16).dtype == torch.bfloat16


def test_other_parts_and_other_names_have_folders_of_their_own(base, tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    asked = (("a", [1]), ("a", [2]), ("b", [1]))
    folders = {tuning.kept_folder(base, *each, lambda: base.module) for each in asked}
    assert len(folders) == 3
    assert {f.name for f in (tmp_path / "models").glob("[!.]*")} == {f.name for f in folders}
