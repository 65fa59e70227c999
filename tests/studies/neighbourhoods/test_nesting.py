"""Nesting by hand, and purer than shuffled where fine regions are parts of coarse ones."""

import numpy as np
import pytest
import torch
from conftest import mixture

import epkit
from epkit.blocks.nearest import nearest
from epkit.studies.neighbourhoods.memberships import kept_together
from epkit.studies.neighbourhoods.nesting import (
    difference_over_documents,
    mixture_of,
    nesting_table,
)


def test_a_difference_is_of_means_of_documents():
    document = np.array([0, 0, 0, 1, 2, 2])
    a = np.array([1.0, 0.0, np.nan, 1.0, 0.5, 0.5])
    b = np.array([0.0, 0.0, 0.0, np.nan, 0.25, np.nan])
    # Document 0: 1/2 and 0; 1 has no b; 2: 1/2 and 1/4.
    found = difference_over_documents(a, b, document)
    assert found.value == pytest.approx((0.5 + 0.25) / 2)
    assert (found.low, found.high) == (0.25, 0.5)


@pytest.mark.parametrize("shared", [0, 3, 5])
def test_a_mixture_has_so_many_of_the_fine_ones(shared):
    fine, fresh = torch.arange(20.0).view(10, 2), -1 - torch.arange(10.0).view(5, 2)
    found = mixture_of(fine, fresh, shared, seed=4)
    assert found.shape == fresh.shape
    assert int((found[:, 0] >= 0).sum()) == shared
    assert len(found.unique(dim=0)) == len(found)
    assert torch.equal(found, mixture_of(fine, fresh, shared, seed=4))


def test_the_table_of_a_stream():
    x = mixture(1500, 16)
    levels, document = [12, 6, 3], np.arange(1500) // 30
    ep = epkit.partition(x, levels, device="cpu")
    random, fresh = (
        {p: epkit.random_dictionary(d, x, seed=s) for p, d in ep.items()} for s in (0, 1)
    )
    u = ep[12].directions(x)
    regions = {
        name: {p: nearest(u, d.exemplars)[0].numpy() for p, d in kind.items()}
        for name, kind in (("EP", ep), ("random exemplars", random))
    }
    table = nesting_table(ep, random, fresh, regions, u, document)
    assert table.index.tolist() == [(12, 6), (6, 3)]
    row, mine = table.loc[(12, 6)], regions["EP"]
    assert row["EP"] == pytest.approx(np.nanmean(kept_together(mine[6], mine[12])))
    assert (table["EP"] > 2 * table["shuffled"]).all()
    drawn = regions["random exemplars"]
    assert row["random, all shared"] == np.nanmean(kept_together(drawn[6], drawn[12]))
    gain = row["EP"] - row["random, as many shared"]
    assert row["EP − random"].low - 0.1 < gain < row["EP − random"].high + 0.1
    assert row["exemplars shared"].endswith("%")
