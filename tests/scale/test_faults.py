"""Tests of what goes wrong around epkit.scale: machines, memory, slow and lost workers."""

import os
import random
import subprocess
import sys
import time

import pytest
import torch
from conftest import mixture
from scale_examples import expected, same

from epkit.clustering import LeaderClustering
from epkit.scale.cluster import take_all
from epkit.scale.epochs import Reader

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("EPKIT_TEST_KILLS", 20))
"""Workers killed in the test; each takes about a second to come back on an idle machine."""


@pytest.fixture
def x():
    return mixture(900, 12, spread=0.6)


@pytest.fixture
def parts(x):
    return {(0, 0): LeaderClustering(x.mean(0), 0.2, "cpu")}


def test_lost_workers_are_made_again_and_the_bytes_stay(ray, x, parts):
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

    with Losing(parts, 2) as crew:
        take_all(crew, parts, Reader(iter([x]), 12), lengths=[30] * 30)
        assert crew.kills == KILLS
        assert 0 < crew.losses <= KILLS
    assert same(parts[0, 0].dictionary(), expected(x, x.mean(0), 0.2))


def test_a_worker_that_is_always_lost_ends_the_job(ray, x, parts):
    from epkit.scale.actors import RayCrew

    class Doomed(RayCrew):
        def _made(self):
            actor = super()._made()
            ray.kill(actor)
            return actor

    with Doomed(parts, 1) as crew, pytest.raises(RuntimeError, match="worker 0 was lost 5 times"):
        take_all(crew, parts, Reader(iter([x]), 12))


def test_a_slow_worker_gets_less_of_an_epoch(ray, x, parts, tmp_path, capsys):
    from epkit.scale.actors import RayCrew, unpacked

    marker, given = str(tmp_path / "one-is-slow"), []

    def reader():
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            seconds = 0.002
        except FileExistsError:
            seconds = 0.0

        def read(rows):
            rows = unpacked(rows)
            time.sleep(seconds * len(rows[0]))
            return rows

        return read

    class Watched(RayCrew):
        def find(self, starts, parts):
            given.append([len(part[0]) for part in parts])
            return super().find(starts, parts)

    with Watched(parts, 2, reader=reader) as crew:
        take_all(crew, parts, Reader(iter([x]), 12), show=True, lengths=[100] * 9)
    assert given[0] == [50, 50]
    assert 4 * min(given[-1]) < max(given[-1])
    slow = given[-1].index(min(given[-1]))
    assert f"slow worker {slow} (" in capsys.readouterr().out
    assert same(parts[0, 0].dictionary(), expected(x, x.mean(0), 0.2))


def test_a_full_object_store_ends_the_job_in_one_sentence(ray, x, parts, monkeypatch):
    from epkit.scale import actors

    def full(value):
        raise ray.exceptions.ObjectStoreFullError("no room")

    with actors.RayCrew(parts, 1) as crew, monkeypatch.context() as patch:
        patch.setattr(actors.ray, "put", full)
        with pytest.raises(RuntimeError, match=r"Ray's object store is full.*object_store_memory"):
            take_all(crew, parts, Reader(iter([x]), 12))


# Two machines of one CPU each, with object stores that an epoch does not fit. In the second epoch
# a machine is lost and another is there; in the third one is lost for good.
MACHINES = """
import logging, sys, torch
import epkit.scale.connection
from ray.cluster_utils import Cluster
import ray
sys.path.insert(0, sys.argv[1])
from conftest import mixture
from scale_examples import expected, same
from epkit.clustering import LeaderClustering
from epkit.scale import actors
from epkit.scale.cluster import take_all
from epkit.scale.epochs import Reader

def machine(cpus):
    for again in (True, True, False):  # Ray waits half a minute for a machine, however busy it is
        try:
            return cluster.add_node(
                num_cpus=cpus, object_store_memory=80 * 2**20, include_dashboard=False
            )
        except Exception:
            if not again:
                raise

class Crew(actors.RayCrew):
    epoch = 0
    def settle(self, founders, end):
        self.epoch += 1
        if self.epoch == 2:
            machine(1)
        if self.epoch > 1:
            cluster.remove_node(machines.pop(), allow_graceful=False)
        return super().settle(founders, end)

actors.WAIT = 2
n = 20_000
x = mixture(n, 1024, spread=0.2)
cluster = Cluster()
try:
    machine(0)
    machines = [machine(1), machine(1)]
    ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    parts = {(0, 0): LeaderClustering(x.mean(0), 0.5, "cpu")}
    with Crew(parts, 2) as crew:
        take_all(crew, parts, Reader(iter([x]), 1024), lengths=[n // 2, n // 2])
        assert crew.losses == 1, crew.losses
        assert same(parts[0, 0].dictionary(), expected(x, x.mean(0), 0.5))
        try:
            take_all(crew, parts, Reader(iter([x[:500]]), 1024))
        except RuntimeError as error:
            print(error)
finally:
    ray.shutdown()
    cluster.shutdown()
"""


def test_lost_machines_and_small_object_stores():
    pytest.importorskip("ray")
    tests = os.path.dirname(os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, "-c", MACHINES, tests], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 workers need a CPU each, and the Ray cluster has 1 left" in done.stdout


def test_unusable_activations_are_told_in_one_sentence(ray, x, parts):
    from epkit.scale.actors import RayCrew

    with RayCrew(parts, 1) as crew, pytest.raises(ValueError, match="has no direction"):
        take_all(crew, parts, Reader(iter([torch.zeros(3, 12)]), 12))
