"""Tests of epkit.studies.scaling.traffic: against epochs that were run, byte by byte."""

import numpy as np
import pytest
from conftest import mixture
from scale_examples import PlainCrew

import epkit
from epkit.clustering import LeaderClustering
from epkit.scale.epochs import Reader
from epkit.studies.scaling import traffic
from epkit.studies.scaling.passes import StreamPass, pass_over


class CountingCrew(PlainCrew):
    """What it was asked and what it answered, in rows and bytes."""

    seed = 0

    def find(self, starts, parts):
        found = super().find(starts, parts)
        misses = [value for one in found for value in one.values()]
        self.epochs.append([sum(len(part[0]) for part in parts), sum(len(m.index) for m in misses)])
        self.sent[0] += sum(m.index.nbytes + m.directions.nbytes for m in misses)
        return found

    def settle(self, founders, end):
        settled = super().settle(founders, end)
        for one in settled:
            for key, s in one.items():
                self.sent[1] += founders[key].index.nbytes + founders[key].directions.nbytes
                members = sum(v.nbytes for v in s.members.values())
                self.sent[2] += s.region.nbytes + s.table.nbytes + members
        return settled


@pytest.mark.parametrize("workers", [1, 3])
def test_epochs_and_bytes_are_those_of_workers(workers, monkeypatch):
    from epkit.scale import epochs
    from epkit.scale.cluster import take_all

    monkeypatch.setattr(epochs.time, "monotonic", lambda: 0.0)  # no epoch grows by the clock
    x = mixture(6000, 12, spread=0.5)
    calibration = epkit.calibrate(x, [3])
    parts = {(0, 3): LeaderClustering(calibration.centre, calibration.thresholds[3], "cpu")}
    crew = CountingCrew(parts, workers)
    crew.epochs, crew.sent = [], [0, 0, 0]
    take_all(crew, parts, Reader(iter([x]), 12))
    made = pass_over(x, calibration, 3, "cpu")
    # where driver and workers take no time, an epoch may be twice the last
    table = traffic.epoch_table(made, workers, lambda *epoch: (0.0, 0.0))
    assert table[["rows", "misses"]].to_numpy().tolist() == crew.epochs
    assert table.founders.sum() == parts[0, 3].n_regions
    counted = traffic.with_bytes(table, 12, workers)
    assert counted[["missed", "new exemplars", "sums"]].sum().tolist() == crew.sent
    assert (counted.tokens == 4 * counted.rows).all()


def test_bursts_are_what_random_order_does_not_foretell():
    n = 20_000
    rng = np.random.default_rng(0)
    region = rng.zipf(1.5, n)
    for repeats, low, high in ((1, 0.8, 1.3), (4, 2.0, 5.0)):
        stream = region[: n // repeats].repeat(repeats)  # each comes again at once
        _, founded, inverse = np.unique(stream, return_index=True, return_inverse=True)
        made = StreamPass(np.sort(founded), founded[inverse], inverse, 0.1, 8)
        assert low < traffic.burst(made) < high


def test_a_row_of_the_table_adds_up():
    x = mixture(3000, 12, spread=0.5)
    made = pass_over(x, epkit.calibrate(x, [3]), 3, "cpu")
    row = traffic.traffic_row(made, 2)
    bytes_ = sum(row[f"{part}, B"] for part in traffic.PARTS)
    assert row["all, of an activation"] == pytest.approx(bytes_ / 48)
    assert 0 < row["rows that miss"] <= 1
