"""What is counted; and that clustering on a device asks it once a block."""

import pytest
import torch
from conftest import mixture

import epkit
from epkit.benchmark.counts import Counter
from epkit.blocks import nearest
from epkit.clustering import LeaderClustering, fit_together
from epkit.geometry import directions
from epkit.members import MemberCollector

WAITS = {
    "item": lambda x: x[0, 0].item(),
    "if": lambda x: bool(x.any()),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x[:, 0] > 0],
    "set by mask": lambda x: x.__setitem__(x > 0, 1.0),
    "cpu": lambda x: x.cpu(),
    "list": lambda x: x.tolist(),
    "unique": lambda x: x.unique(),
    "bincount": lambda x: x[:, 0].long().abs().bincount(),
}
GOES_ON = {
    "product": lambda x: x @ x.T,
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "rows": lambda x: x[torch.zeros(2, dtype=torch.int64, device=x.device)],
    "sort": lambda x: x.sort(),
    "view": lambda x: x[1:].T,
}


@pytest.mark.parametrize(
    ("work", "waits"),
    [(w, 1) for w in WAITS.values()] + [(w, 0) for w in GOES_ON.values()],
    ids=[*WAITS, *GOES_ON],
)
def test_what_the_host_waits_for(far, work, waits):
    x = mixture(12, 4).to(far)
    with Counter(far) as count:
        work(x)
    assert count.waits == waits
    assert count.operations > 0 or work is GOES_ON["view"]


@pytest.mark.parametrize("precision", ["half", "single"])
def test_clustering_asks_a_device_once_a_block(far, precision, monkeypatch):
    monkeypatch.setattr(nearest, "ROWS", 32)  # blocks of 128 rows
    x = mixture(1400, 12)
    cal = epkit.calibrate(x, [0.5, 2, 4], device="cpu")
    thresholds = list(cal.thresholds.values())
    parts = LeaderClustering.several(cal.centre, thresholds, far, precision)
    collectors = [MemberCollector(0, far) for _ in parts]
    u = directions(x.to(far), cal.centre.to(far))
    waits = []
    for start in range(0, len(u), 128):
        with Counter(far) as count:
            found = fit_together(parts, u[start : start + 128])
            for part, collector, (region, distance) in zip(parts, collectors, found, strict=True):
                collector.update(start, region, distance, part.n_regions)
        waits.append((count.waits, count.operations))
    assert sum(n for n, _ in waits[1:]) <= len(waits)
    assert waits[-1][0] == 1


def test_looking_up_asks_a_device_once_a_block(far, monkeypatch):
    monkeypatch.setattr(nearest, "ROWS", 32)
    x = mixture(600, 12)
    d = epkit.partition(x, [2], device=far)[2]
    u = d.directions(x.to(far))
    with Counter(far) as count:
        nearest.nearest(u, d.exemplars)
    assert count.waits <= 5 + 5
