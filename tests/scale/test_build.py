"""Tests of epkit.scale.build, on Ray on this machine, with a tiny model in a folder."""

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from types import SimpleNamespace

import pytest
from fake_stream import same
from scale_examples import PlainBuildCrew
from tiny_models import tiny_llama

import epkit
import epkit.scale.build

scale_build = sys.modules["epkit.scale.build"]

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

    def losing(crew, founders, end):
        if not lost:
            lost.append(ray.kill(crew._actors[0]))
        return settle(crew, founders, end)

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


def test_activations_are_not_cached_by_workers(folder):
    with pytest.raises(ValueError, match="takes no cache"):
        epkit.scale.build(folder, TEXTS, [1], [5], 500, cache=True, **QUIET)


def test_a_saturated_build_stops_where_one_process_stops(ray, folder):
    model, texts = epkit.load_model(folder), TEXTS[:60] * 6
    options = QUIET | {"saturation_window": 900, "show_progress": False}
    wanted = epkit.build(model, texts, [1, 3], [5, 10], 12_000, **options)
    made = epkit.scale.build(model, texts, [1, 3], [5, 10], 12_000, workers=2, **options)
    assert same(made, wanted)
    assert made[1, 5].metadata["n_activations"] < 9000


@pytest.fixture(scope="module")
def model():
    return tiny_llama()


@pytest.mark.parametrize("seed", range(50))
def test_50_builds_of_any_configuration_have_the_same_bytes(seed, model, monkeypatch):
    rng = random.Random(seed)
    texts = TEXTS[: rng.choice([40, 400])] * rng.choice([1, 4])
    layers = rng.sample(range(4), rng.choice([1, 2, 3]))
    stream = epkit.ActivationStream(
        model, texts, layers, context=rng.choice([12, 24, 60]), batch_tokens=rng.choice([64, 300])
    )  # fmt: skip
    stream.bucket = rng.choice([1, 3, 16, 64])  # windows that are dealt as one
    options = {
        "checkpoint": False, "keep": False, "show_progress": False, "seed": seed,
        "n_calibration": rng.choice([100, 700]), "saturation_window": rng.choice([None, 60, 300]),
    }  # fmt: skip
    percentiles, n = rng.sample([1, 2, 5, 10, 30], rng.choice([1, 2])), rng.randint(200, 2500)
    wanted = epkit.build_from(stream, percentiles, n, **options)

    crew = SimpleNamespace(RayCrew=partial(PlainBuildCrew, losing=rng if seed % 2 else None))
    monkeypatch.setitem(sys.modules, "epkit.scale.actors", crew)
    monkeypatch.setattr(scale_build._Reader, "of", lambda like: scale_build._Reader(stream))
    lengths = lambda *epoch: rng.randint(1, rng.choice([50, 400, 3000]))  # noqa: E731
    monkeypatch.setattr(scale_build, "next_length", lengths)
    steps = partial(scale_build._in_epochs, workers=rng.randint(1, 4), source="auto")
    assert same(epkit.build_from(stream, percentiles, n, steps=steps, **options), wanted)


SCRIPT = """
import sys, epkit, epkit.build_state
epkit.build_state.PAUSE = 0
folder, checkpoint, texts = sys.argv[1], sys.argv[2], sys.stdin.read().split("\\n")
epkit.scale.build(
    folder, texts, [1], [5], 9000, checkpoint=checkpoint, checkpoint_every=0, keep=False,
    n_calibration=300, context=24,
)
"""


def test_a_killed_driver_goes_on_from_its_checkpoint(ray, folder, tmp_path, capsys):
    state = tmp_path / "state"
    address = ray.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, folder, state], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, env={**os.environ, "RAY_ADDRESS": address}, text=True,
    )  # fmt: skip
    driver.stdin.write("\n".join(TEXTS))
    driver.stdin.close()
    while not state.exists():
        assert driver.poll() is None
        time.sleep(0.01)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    options = QUIET | {"checkpoint": state}
    made = epkit.scale.build(folder, TEXTS, [1], [5], 9000, workers=1, **options)
    assert "going on with an interrupted build at" in capsys.readouterr().out
    wanted = epkit.build(
        epkit.load_model(folder), TEXTS, [1], [5], 9000, show_progress=False, **QUIET
    )
    assert same(made, wanted)
