"""Sharing: neighbours that have the same words, against regions that have not."""

import numpy as np
import pytest
import torch
from conftest import mixture
from tiny_models import tiny_llama

import epkit
from epkit.studies.neighbourhoods.memberships import trait_agreement
from epkit.studies.neighbourhoods.sharing import (
    Neighbourhood,
    mean_shares,
    sharing_curves,
    sharing_table,
)
from epkit.studies.neighbourhoods.words import StreamWords

MEASURES = ["same word", "same class, other word", "same document, other word", "promoted tokens"]


@pytest.fixture(scope="module")
def hoods():
    """The word of an activation is its coarse region, so near fine regions share words."""
    x, model = mixture(1500, 16), tiny_llama()
    ep = epkit.partition(x, [60, 4], device="cpu")
    token = [" a" + "bcdefghijklmnopqrstuvwxyz"[r % 25] for r in ep[60].assign(x)[0].tolist()]
    words = StreamWords.from_texts(token, [""] * len(x), np.arange(len(x)) % 7)
    kinds = {"EP": ep[4], "random exemplars": epkit.random_dictionary(ep[4], x)}
    return {
        name: Neighbourhood.of(model, words, d, d.assign(x)[0].numpy(), min_members=4)
        for name, d in kinds.items()
    }


def test_eligible_regions_have_enough_members_and_the_nearest_of_these(hoods):
    hood = hoods["EP"]
    assert hood.eligible.tolist() == np.flatnonzero(hood.counts >= 4).tolist()
    assert hood.counts.sum() == 1500
    apart = 1 - hood.points @ hood.points.T
    apart.fill_diagonal_(9)
    assert hood.pairs()[:, 1].tolist() == hood.eligible[apart.argmin(1).numpy()].tolist()
    second = apart.sort(dim=1).values[:, 1]
    torch.testing.assert_close(hood.distance[:, 1], second, atol=1e-5, rtol=0)
    assert hood.pairs(2)[:, 0].tolist() == hood.eligible.tolist()
    assert (hood.tokens[hood.counts < 4] == 0).all()
    assert len(set(hood.tokens[hood.eligible[0]].tolist())) == 10


def test_controls_are_of_eligible_regions(hoods):
    control = hoods["random exemplars"]
    equal, far = control.pairs_of_equal_size(), control.pairs_as_far_as(hoods["EP"])
    assert equal[:, 0].tolist() == control.eligible.tolist()
    assert len(far) == len(hoods["EP"].eligible)
    assert set(far.ravel()) | set(equal.ravel()) <= set(control.eligible)


def test_what_pairs_share(hoods):
    hood = hoods["EP"]
    found = hood.share(hood.pairs())
    assert list(found) == MEASURES
    wanted = trait_agreement(hood.region, hood.words.word, hood.pairs())
    assert np.array_equal(found["same word"], wanted)
    assert all(len(values) == len(hood.eligible) for values in found.values())


def test_neighbours_share_words_and_the_table_says_so(hoods):
    near = {name: hood.share(hood.pairs()) for name, hood in hoods.items()}
    far = {name: hood.share(hood.pairs_of_equal_size()) for name, hood in hoods.items()}
    control = hoods["random exemplars"]
    equal = control.share(control.pairs_as_far_as(hoods["EP"]))
    table = sharing_table(near, far, equal)
    assert table.index.tolist() == MEASURES
    row = table.loc["same word"]
    assert row["more than random pairs"].low > 0
    assert row["neighbours"] - row["random pairs"] == pytest.approx(
        row["more than random pairs"].value
    )
    curves, baseline = sharing_curves(hoods, [1, 2, 10_000]), mean_shares(far)
    assert len(curves) == 2 * 2 * len(MEASURES)  # there is no 10,000th neighbour
    first = curves.query("dictionary == 'EP' and measure == 'same word'")
    assert first["value"].iloc[0] == pytest.approx(row["neighbours"])
    assert first["distance"].is_monotonic_increasing
    shown = baseline.query("dictionary == 'EP' and measure == 'same word'")["value"]
    assert shown.item() == pytest.approx(row["random pairs"])
