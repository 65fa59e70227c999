"""All builds of a layer, against single ones."""

import numpy as np
import pytest
import torch

from epkit import LeaderClustering, calibrate
from epkit.studies.saturation.builds import (
    growth_curves,
    long_builds,
    order_builds,
    repeated_corpus,
    seen_from,
    set_builds,
)
from epkit.studies.saturation.estimates import chao1, chao2
from epkit.studies.saturation.growth import growth_state, prefix_regions, regions_at
from epkit.studies.saturation.orders import document_orders


@pytest.fixture(scope="module")
def cal(pool):
    return calibrate(pool.activations(2), [4, 8])


@pytest.fixture(scope="module")
def u(pool, cal):
    return seen_from(pool.activations(2), cal)


@pytest.fixture(scope="module")
def built(u, cal, pool, plan):
    return order_builds(u, cal, 4, pool, plan, quiet_window=30)


def leaders(u, cal, p):
    part = LeaderClustering(cal.centre, cal.thresholds[p], u.device)
    part.fit_directions(u)
    return part.dictionary()


def test_every_order_is_a_build_of_it(u, cal, pool, plan, built):
    table, first = built
    assert table.domain.tolist() == [name for name in plan.orders for _ in range(3)]
    assert list(first) == list(plan.orders)
    for row in table.itertuples():
        d = leaders(u[plan.orders[row.domain][row.order]], cal, 4)
        assert row.founded.tolist() == d.exemplar_index.tolist()
        assert (row.K, row.half, row.quarter) == tuple(regions_at(d, n) for n in (400, 200, 100))
        assert row.verdict == growth_state(d, plan.repeats[row.domain, row.order]).state
        if row.order == 0:
            assert torch.equal(first[row.domain].exemplars, d.exemplars)


def test_what_was_quiet_and_what_came_later(u, cal, plan, built):
    table = built[0].set_index(["domain", "order"])
    assert table["quiet at"].notna().any()
    for (name, order), row in table.iterrows():
        d = leaders(u[plan.orders[name][order]], cal, 4)
        quiet = d.saturated_at(30)
        assert np.isnan(row["quiet at"]) if quiet is None else row["quiet at"] == quiet
        if quiet is not None:
            assert row["founded later"] == len(d) - regions_at(d, quiet)


def test_estimates_from_the_half_and_of_first_orders_from_the_whole(u, pool, plan, built):
    table, first = built
    mixed = table.domain == "mixed"
    assert table[mixed][["Chao1", "Chao2"]].isna().all(axis=None)
    assert table[~mixed][["Chao1", "Chao2"]].notna().all(axis=None)
    assert (table["Chao1 whole"].notna() == (table.order == 0)).all()
    order = plan.orders["code"][0]
    row = table[(table.domain == "code") & (table.order == 0)].iloc[0]
    for n, ending in ((200, ""), (400, " whole")):
        region = prefix_regions(first["code"], u[order], n)
        one, two = chao1(region.bincount()), chao2(region, pool.document[order[:n]])
        wanted = (one, two) if ending else (one.value, two.value)
        assert (row[f"Chao1{ending}"], row[f"Chao2{ending}"]) == wanted


def test_curves_are_read_off_the_builds(built):
    curves = growth_curves(built[0].assign(p=4), 400, points=9)
    assert curves.groupby(["domain", "order"]).size().unique().tolist() == [9]
    first = built[1]["web"]
    part = curves[(curves.domain == "web") & (curves.order == 0)]
    assert part.K.tolist() == [regions_at(first, n) for n in part.n]
    assert (part.n.min(), part.n.max()) == (100, 400)


def test_sets_of_documents(u, cal, pool, plan):
    table = set_builds(u, cal, 8, pool, plan)
    assert len(table) == 4 * 3
    for row in table.itertuples():
        block = plan.blocks[row.domain][row.block]
        assert len(leaders(u[block], cal, 8)) == row.K
        assert row.types == len(set(pool.token[block].tolist()))


def test_a_long_stream_after_its_parts(u, cal, pool):
    orders = document_orders(pool.document, 2)
    found = long_builds(u, cal, 4, orders)
    whole = [leaders(u[order], cal, 4) for order in orders]
    for part in (1, 2, 4, 8):
        assert found[f"1/{part}"] == np.mean([regions_at(d, 1200 // part) for d in whole])


def test_a_corpus_read_again_fools_growth_and_not_the_guard(u, cal, pool):
    d, blind, guarded = repeated_corpus(u, cal, 8, pool, "maths", 8)
    assert len(d) == regions_at(d, 50)
    assert (blind.gain.value, blind.revisited) == (0.0, 0.0)
    assert (guarded.state, guarded.revisited) == ("revisits", 1.0)
