"""Kinds of dictionaries against latents on the same tokens: keys, pairing, tables, a device."""

import numpy as np
import pytest
import torch
from conftest import mixture

import epkit
from epkit.controls import equal_kinds
from epkit.readouts import one_hot
from epkit.stats import bootstrap_difference
from epkit.studies.sae_and_probes import EP, RANDOM
from epkit.studies.sae_and_probes.comparison import (
    IDENTITY,
    RESEEDED,
    SHUFFLED,
    LatentMatches,
    late_tokens,
    match_kinds,
)
from epkit.studies.sae_and_probes.equal_support import Overlap, ranked_latents

X, H = mixture(600, 12), mixture(500, 12, seed=1)
DOCUMENT = torch.arange(len(H)) // 25
TOKEN = torch.arange(len(H)) % 9
SCALE = {(RESEEDED, None), (IDENTITY, None), (SHUFFLED, None)}


def made(device="cpu", percentiles=(4, 20)):
    """Kinds of dictionaries, and latents that are the coarsest EP's own regions."""
    found = {p: d.to(device) for p, d in epkit.partition(X, percentiles, device="cpu").items()}
    kinds = {p: equal_kinds(d, X, n_orders=2, n_draws=2, rounds=1) for p, d in found.items()}
    h, own = H.to(device), kinds[max(percentiles)][EP][0]
    latents = ranked_latents(lambda x: one_hot(own, x).to_dense(), h)
    matched = match_kinds(kinds, latents, h, DOCUMENT * 3, token=TOKEN, others=[latents], seed=1)
    return kinds, latents, matched


@pytest.fixture(scope="module")
def parts():
    return made()


def test_every_kind_and_run_is_there_and_what_stands_for_scale(parts):
    kinds, _, matched = parts
    assert set(matched.groups) == {(k, p) for p in kinds for k in kinds[p]} | SCALE
    for (kind, p), runs in matched.groups.items():
        assert len(runs) == (len(kinds[p][kind]) if p else 1)


def test_the_same_features_match_perfectly_and_shuffled_ones_do_not(parts):
    matched = parts[2]
    own = matched.groups[EP, 20][0]
    kept = own.members >= 5
    assert (own.f1[kept] == 1).all()
    assert own.latent[kept].tolist() == np.flatnonzero(kept).tolist()
    again = matched.groups[RESEEDED, None][0]
    assert (again.f1[kept] == 1).all()
    assert matched.tokens((SHUFFLED, None)).mean() < 0.2
    assert matched.tokens((IDENTITY, None)).mean() < 0.2


def test_tokens_are_shares_of_documents_whatever_their_numbers(parts):
    matched = parts[2]
    expected = [
        np.mean([one.token_matched[i == DOCUMENT].mean() for one in matched.groups[RANDOM, 4]])
        for i in range(20)
    ]
    assert matched.tokens((RANDOM, 4)) == pytest.approx(np.array(expected))


def test_the_table_has_every_kind_at_p_and_the_differences(parts):
    kinds, _, matched = parts
    table = matched.table(20)
    assert table.index.tolist() == [*kinds[20], RESEEDED, IDENTITY, SHUFFLED]
    assert len(table.columns) <= 7
    assert table.loc[RANDOM, "tokens, against random exemplars"] is None
    gap = table.loc[EP, "tokens, against random exemplars"]
    assert gap == bootstrap_difference(matched.tokens((EP, 20)), matched.tokens((RANDOM, 20)))
    assert table.loc[EP, "detectable"] > 0
    distinct = [len(set(one.latent[one.matched])) for one in matched.groups[RANDOM, 20]]
    assert table.loc[RANDOM, "distinct latents"] == np.mean(distinct)
    f1 = np.concatenate([one.f1 for one in matched.groups[EP, 20]])
    assert table.loc[EP, "matched"].value == np.mean(f1[~np.isnan(f1)] > 0.5)


def made_up(sizes, hits):
    f1 = np.where(hits, 0.9, 0.1)
    feature = np.repeat(np.arange(len(sizes)), sizes)
    return Overlap(feature, np.array(sizes), np.zeros(len(sizes), dtype=int), f1)


def test_at_equal_size_by_hand():
    own = made_up([5, 6, 9, 12, 15, 30], [1, 0, 1, 0, 1, 1])
    other = made_up([5, 7, 11, 16], [0, 0, 1, 1])  # none of 20 or more
    matched = LatentMatches({(EP, 4): [own], (RANDOM, 4): [other]}, np.zeros(77, dtype=int))
    found = matched.at_equal_size((EP, 4), 4)
    assert found.value == pytest.approx((12 * (2 / 3 - 0) + 27 * (1 / 2 - 1)) / 39)
    error = np.sqrt((12 / 39) ** 2 * (2 / 9) / 3 + (27 / 39) ** 2 * (1 / 4) / 2)
    assert found.high - found.value == pytest.approx(1.96 * error)
    assert matched.at_equal_size((RANDOM, 4), 4).value == 0


def test_late_tokens_are_told_by_their_place_in_the_window():
    window = torch.tensor([0, 0, 0, 2, 2, 3, 3, 3, 3])
    assert late_tokens(window, 2).nonzero()[:, 0].tolist() == [2, 7, 8]
    assert late_tokens(window, 0).all()


@pytest.mark.slow
def test_on_a_device(far):
    near, there = (made(device, (20,))[2] for device in ("cpu", far))
    for key, runs in near.groups.items():
        for one, other in zip(runs, there.groups[key], strict=True):
            assert (one.feature == other.feature).mean() > 0.99
    assert near.tokens((EP, 20)) == pytest.approx(there.tokens((EP, 20)), abs=0.02)
