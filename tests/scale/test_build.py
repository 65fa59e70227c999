"""Tests of epkit.scale.build, on Ray on this machine, with a tiny model in a folder."""

import pytest
from fake_stream import same
from tiny_models import tiny_llama

import epkit

pytestmark = pytest.mark.slow

QUIET = {"checkpoint": False, "keep": False, "n_calibration": 300, "context": 24}
TEXTS = [f"The {i * 7919}th text of {i % 11} and {'abc' * (i % 17)}." for i in range(400)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    model = tiny_llama()
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


def test_two_workers_build_what_one_process_builds(ray, folder, capsys, monkeypatch):
    from epkit.scale.actors import RayCrew

    settle, lost = RayCrew.settle, []

    def losing(crew, founders):
        if not lost:
            lost.append(ray.kill(crew._actors[0]))
        return settle(crew, founders)

    monkeypatch.setattr(RayCrew, "settle", losing)
    model = epkit.load_model(folder)
    wanted = epkit.build(model, TEXTS, [1, 2], [2, 10], 9000, show_progress=False, **QUIET)
    made = epkit.scale.build(folder, TEXTS, [1, 2], [2, 10], 9000, workers=2, **QUIET)
    assert same(made, wanted)
    assert lost
    assert "workers 2" in capsys.readouterr().out


def test_a_build_goes_on_from_the_checkpoint_of_another(ray, folder, tmp_path, monkeypatch):
    model = epkit.load_model(folder)
    options = QUIET | {"checkpoint": tmp_path / "state", "checkpoint_every": 0}
    run = epkit.ActivationStream.run

    def interrupted(self, bucket, cursor):
        if cursor > 128:
            raise KeyboardInterrupt
        return run(self, bucket, cursor)

    with monkeypatch.context() as patch:
        patch.setattr(epkit.ActivationStream, "run", interrupted)
        patch.setattr("epkit.build_state.PAUSE", 0)
        with pytest.raises(KeyboardInterrupt):
            epkit.build(model, TEXTS, [1], [5], 6000, show_progress=False, **options)
    assert (tmp_path / "state").exists()
    made = epkit.scale.build(model, TEXTS, [1], [5], 6000, show_progress=False, **options)
    assert same(made, epkit.build(model, TEXTS, [1], [5], 6000, show_progress=False, **QUIET))


def test_a_model_in_memory_alone_cannot_be_given_to_workers():
    with pytest.raises(ValueError, match="in memory alone"):
        epkit.scale.build(tiny_llama(), TEXTS, [1], [5], 500, **QUIET)


@pytest.mark.parametrize("option", ["saturation_window", "cache"])
def test_options_that_only_one_process_has(option, folder):
    with pytest.raises(ValueError, match=f"takes no {option}"):
        epkit.scale.build(folder, TEXTS, [1], [5], 500, **{option: 5}, **QUIET)
