"""All builds of a layer, against single ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from epkit import LeaderClustering, calibrate
from epkit.studies.saturation.builds import (
    growth_curves,
    order_builds,
    repeated_corpus,
    seen_from,
    set_builds,
    threshold_curves,
    with_shared_thresholds,
)
from epkit.studies.saturation.estimates import chao1, chao2
from epkit.studies.saturation.growth import (
    doubling_reached,
    growth_state,
    prefix_regions,
    regions_at,
)


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


def test_where_rules_stop_and_what_came_later(u, cal, plan, built):
    table = built[0].set_index(["domain", "order"])
    assert table["quiet at"].notna().any()
    for (name, order), row in table.iterrows():
        d = leaders(u[plan.orders[name][order]], cal, 4)
        for rule, at in (("quiet", d.saturated_at(30)), ("doubled", doubling_reached(d))):
            if at is None:
                assert np.isnan(row[f"{rule} at"])
                assert np.isnan(row[f"{rule} missed"])
            else:
                assert row[f"{rule} at"] == at
                assert row[f"{rule} missed"] == len(d) / regions_at(d, at) - 1


def test_estimates_are_from_the_half(u, pool, plan, built):
    table, first = built
    mixed = table.domain == "mixed"
    assert table[mixed][["Chao1", "Chao2"]].isna().all(axis=None)
    assert table[~mixed][["Chao1", "Chao2"]].notna().all(axis=None)
    order = plan.orders["code"][0]
    row = table[(table.domain == "code") & (table.order == 0)].iloc[0]
    region = prefix_regions(first["code"], u[order], 200)
    one, two = chao1(region.bincount()), chao2(region, pool.document[order[:200]])
    assert (row["Chao1"], row["Chao2"]) == (one.value, two.value)


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


def test_one_threshold_for_all_layers(cal):
    other = replace(cal, thresholds={p: θ + 0.2 for p, θ in cal.thresholds.items()})
    shared = with_shared_thresholds({2: cal, 7: other})
    for p, θ in cal.thresholds.items():
        assert shared[2].thresholds[p] == shared[7].thresholds[p] == pytest.approx(θ + 0.1)
    assert torch.equal(shared[7].centre, cal.centre)


def test_regions_against_the_threshold(u, cal, pool):
    thresholds = [cal.thresholds[4], cal.thresholds[8]]
    table = threshold_curves(u, thresholds, pool)
    assert table.domain.tolist() == [name for name in pool.domains for _ in thresholds]
    for row in table.itertuples():
        p = {cal.thresholds[p]: p for p in (4, 8)}[row.θ]
        assert len(leaders(u[pool.rows(row.domain)], cal, p)) == row.K


def test_a_corpus_read_again_fools_growth_and_not_the_guard(u, cal, pool):
    d, blind, guarded = repeated_corpus(u, cal, 8, pool, "maths", 8)
    assert len(d) == regions_at(d, 50)
    assert (blind.gain.value, blind.revisited) == (0.0, 0.0)
    assert (guarded.state, guarded.revisited) == ("revisits", 1.0)
