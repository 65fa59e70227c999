"""Tests of epkit.scale.epochs and epkit.scale.shard, with workers that are plain objects."""

import random

import pytest
import torch
from conftest import mixture
from scale_examples import PlainCrew, cut, expected, same

from epkit.blocks.products import proposed
from epkit.clustering import LeaderClustering, fit_together
from epkit.geometry import directions
from epkit.scale.cluster import take_all
from epkit.scale.epochs import (
    FIRST,
    LEAST,
    MISSES,
    MOST,
    MOST_MISSES,
    Reader,
    deal,
    new_speeds,
    next_length,
    slowest,
)


@pytest.mark.parametrize("seed", range(50))
def test_regions_are_those_of_one_worker_whatever_the_epochs(seed):
    rng = random.Random(seed)
    n, dim = rng.randrange(1, 500), rng.choice([2, 3, 8, 24, 33])
    x = mixture(n, dim, seed=seed, spread=rng.choice([0.02, 0.35, 1.0]))
    x[rng.randrange(n) :: 7] = x[0]  # ties
    centre = x.mean(0) + 0.1
    thresholds = {
        p: rng.choice([1e-4, 0.02, 0.2, 0.6, 1.0, 1.4]) for p in range(rng.choice([1, 2]))
    }
    parts = {(0, p): LeaderClustering(centre, t, "cpu") for p, t in thresholds.items()}
    losing = rng if seed % 2 else None
    crew = PlainCrew(parts, rng.choice([1, 2, 3, 7]), losing)
    most = rng.choice([9, 60, 200, 900])
    lengths = [rng.randint(1, most) for _ in range(n)]
    take_all(crew, parts, Reader(cut(x, rng), dim), lengths=lengths)
    for (_, p), part in parts.items():
        assert same(part.dictionary(), expected(x, centre, thresholds[p]))


def test_long_epochs_of_many_blocks(stream):
    x = torch.cat([stream, mixture(3000, 24, seed=1)])
    centre = x.mean(0)
    for threshold in (0.05, 0.5):
        parts = {(0, 0): LeaderClustering(centre, threshold, "cpu")}
        take_all(PlainCrew(parts, 2), parts, Reader(iter([x]), 24), lengths=[100, 4400])
        assert same(parts[0, 0].dictionary(), expected(x, centre, threshold))


def test_one_product_a_block_serves_all_dictionaries_of_a_layer(stream, monkeypatch):
    products = []

    def counted(u, v):
        products.append(len(u))
        return proposed(u, v)

    thresholds = (0.1, 0.3, 0.6)
    together = LeaderClustering.several(torch.zeros(24), thresholds, "cpu")
    fit_together(together, directions(stream[:500], torch.zeros(24)))
    parts = {(0, part.threshold): part for part in together}
    crew = PlainCrew(parts, 1)
    monkeypatch.setattr("epkit.blocks.shelf.proposed", counted)
    crew.find([500], [{0: stream[500:600]}])
    assert products[0] == 100
    assert sum(n == 100 for n in products) == 1  # further products are of rows with rivals


def test_an_epoch_is_as_long_as_its_misses_allow():
    assert next_length(FIRST, FIRST, 2) == 2 * FIRST  # few misses: twice as long
    assert next_length(40_000, 2 * MISSES, 2) == 20_000
    assert next_length(40_000, 100 * MISSES, 2) == 20_000  # at least half
    assert next_length(MOST * 2, 1, 2) == MOST * 2  # bounded for a worker
    assert next_length(FIRST, FIRST * 8, 1) == FIRST
    assert next_length(5, 0, 1) == FIRST


def test_an_epoch_grows_while_the_driver_has_less_to_do_than_the_workers():
    many = 20 * MISSES
    assert next_length(40_000, many, 2, driver=1, waited=2.25) == 60_000  # its work is a square
    assert next_length(40_000, many, 2, driver=4, waited=1) == 20_000
    assert next_length(40_000, many, 2, driver=0, waited=1) == 80_000
    assert next_length(40_000, 2 * MOST_MISSES, 2, driver=1, waited=100) == 20_000
    assert next_length(40_000, MISSES // 2, 2, driver=9, waited=1) == 80_000  # few are allowed


def test_a_slow_worker_gets_less_and_no_worker_nothing():
    assert deal(100, [1, 1, 2]) == [0, 25, 50, 100]
    assert deal(0, [3, 1]) == [0, 0, 0]
    assert deal(3, [1, 1, 1, 1]) == [0, 1, 2, 2, 3]
    *_, before, end = deal(1000, [1, 1, 1, 0])
    assert end == 1000
    assert end - before == pytest.approx(1000 * LEAST / 4, rel=0.1)


def test_speeds_follow_what_workers_do_and_forgive_who_had_nothing_to_do():
    assert new_speeds([1.0, 1.0], [(10, 0.1), (0, 0.0)]) == [100, 100]
    assert new_speeds([100.0, 10.0], [(20, 0.1), (10, 1.0)]) == [150, 10]
    assert new_speeds([100.0, 10.0], [(10, 0.1), (0, 0.0)]) == [100, 55]
    assert new_speeds([1.0, 1.0], [(0, 0.0), (0, 0.0)]) == [1, 1]


def test_the_line_of_progress_names_a_slow_worker():
    assert slowest([5.0]) == slowest([4, 5, 9]) == {}
    assert slowest([40, 10, 50]) == {"slow": "worker 1 (25% of the median speed)"}


def test_a_reader_gives_every_row_once_in_order(stream):
    reader = Reader(cut(stream, random.Random(0)), 24)
    taken = []
    while len(rows := reader.take(len(taken) * 13 + 1)):
        taken.append(rows)
    assert torch.equal(torch.cat(taken), stream)
    assert [len(rows) for rows in taken[:3]] == [1, 14, 27]


def test_an_empty_stream_and_one_that_is_not_finite(stream):
    parts = {(0, 0): LeaderClustering(stream[0], 0.2, "cpu")}
    take_all(PlainCrew(parts, 2), parts, Reader(iter([stream[:0]]), 24))
    with pytest.raises(ValueError, match="no activation was taken in"):
        parts[0, 0].dictionary()
    with pytest.raises(ValueError, match="must be finite"):
        Reader(iter([stream / 0]), 24).take(10)
