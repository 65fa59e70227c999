"""Tests of epkit.scale.cluster, on Ray on this machine."""

import random
import sys

import pytest
from conftest import mixture
from scale_examples import cut, expected, same

import epkit
from epkit.scale.cluster import cluster

pytestmark = pytest.mark.slow


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
