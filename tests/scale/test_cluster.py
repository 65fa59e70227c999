"""Tests of epkit.scale.cluster and epkit.scale.actors, on Ray on this machine."""

import os
import random
import sys
import time

import pytest
import torch
from conftest import mixture
from scale_examples import cut, expected, same

import epkit
from epkit.clustering import LeaderClustering
from epkit.scale.cluster import cluster, take_all
from epkit.scale.epochs import Reader

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("EPKIT_TEST_KILLS", 2))
"""Workers killed in the test; each takes a second or more to come back."""


@pytest.fixture
def x():
    return mixture(900, 12, spread=0.6)


def test_three_workers_give_the_bytes_of_one(ray, x, capsys):
    centre = x.mean(0)
    made = cluster(cut(x, random.Random(0)), centre.numpy(), 0.2, workers=3, model="mine", layer=2)
    assert same(made, expected(x, centre, 0.2, model="mine", layer=2))
    out = capsys.readouterr().out
    assert "workers 3" in out
    assert "misses" in out
    assert ray.is_initialized()  # it was not ours to stop


def test_several_thresholds_in_one_pass(ray, x):
    centre, thresholds = x.mean(0), {1: 0.1, 4: 0.4}
    made = cluster(x, centre, thresholds, workers=1, show_progress=False)
    assert list(made) == [1, 4]
    for p, d in made.items():
        assert same(d, expected(x, centre, thresholds[p]))


def test_lost_workers_are_made_again_and_the_bytes_stay(ray, x):
    from epkit.scale.actors import RayCrew

    class Losing(RayCrew):
        rng, kills = random.Random(3), 0

        def _each(self, call, again):
            def called(i):
                running = call(i)
                if self.kills < KILLS and self.rng.random() < 0.4:
                    time.sleep(self.rng.random() * 0.02)  # before, during or after the work
                    ray.kill(self._actors[i])
                    self.kills += 1
                return running

            return super()._each(called, again)

    centre = x.mean(0)
    parts = {(0, 0): LeaderClustering(centre, 0.2, "cpu")}
    with Losing(parts, 2) as crew:
        take_all(crew, parts, Reader(iter([x]), 12), lengths=[30] * 30)
        assert crew.kills == KILLS
        assert 0 < crew.losses <= KILLS
    assert same(parts[0, 0].dictionary(), expected(x, centre, 0.2))


def test_a_worker_that_is_always_lost_ends_the_job(ray, x):
    from epkit.scale.actors import RayCrew

    class Doomed(RayCrew):
        def _made(self):
            actor = super()._made()
            ray.kill(actor)
            return actor

    parts = {(0, 0): LeaderClustering(x.mean(0), 0.2, "cpu")}
    with Doomed(parts, 1) as crew, pytest.raises(RuntimeError, match="worker 0 was lost 5 times"):
        take_all(crew, parts, Reader(iter([x]), 12))


def test_unusable_activations_are_told_in_one_sentence(ray, x):
    with pytest.raises(ValueError, match="has no direction"):
        cluster(torch.zeros(3, 12), x.mean(0), 0.2, workers=1, show_progress=False)


def test_more_workers_than_cpus(ray, x):
    with pytest.raises(ValueError, match="workers is 4, but the Ray cluster has 3 CPUs"):
        cluster(x, x.mean(0), 0.2, workers=4)


def test_without_ray_one_sentence_says_what_to_install(monkeypatch, x):
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("actors", "connection"):
        monkeypatch.delitem(sys.modules, f"epkit.scale.{name}", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "epkit\[scale\]"'):
        epkit.scale.cluster(x, x.mean(0), 0.2)


@pytest.mark.parametrize("threshold", [0, 3, {}, {1: -1}])
def test_bad_thresholds(threshold, x):
    pytest.importorskip("ray")
    with pytest.raises(ValueError, match="threshold"):
        cluster(x, x.mean(0), threshold)


@pytest.mark.parametrize("workers", [0, 1.5, True])
def test_bad_workers(workers, x):
    pytest.importorskip("ray")
    with pytest.raises((TypeError, ValueError), match="workers must be"):
        cluster(x, x.mean(0), 0.2, workers)
