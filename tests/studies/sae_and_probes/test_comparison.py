"""Regions, random exemplars and latents on the same tokens: tables by hand, pairing, devices."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture

import epkit
from epkit.readouts import BASES, signed
from epkit.studies.sae_and_probes import EP, RANDOM
from epkit.studies.sae_and_probes.comparison import (
    SHARES,
    LatentMatches,
    read_features,
    read_regions,
)
from epkit.studies.sae_and_probes.feature_match import top_tokens

X, H = mixture(600, 12), mixture(500, 12, seed=1)
DOCUMENT = torch.arange(len(H)) // 25


def made(device="cpu", percentiles=(4, 10), draws=2):
    """Dictionaries of X, random exemplars, and latents that are the coarsest one's own regions."""
    found = epkit.partition(X, percentiles, device="cpu")
    found = {p: d.to(device) for p, d in found.items()}
    drawn = {
        p: [epkit.random_dictionary(d, X, seed=s) for s in range(draws)] for p, d in found.items()
    }
    h = H.to(device)
    latents = read_features(lambda x: signed(found[max(percentiles)], x), h)
    matched = LatentMatches.of(latents, read_regions(found, drawn, h) | {("itself",): [latents]})
    return found, drawn, h, matched


@pytest.fixture(scope="module")
def parts():
    return made()


def test_every_dictionary_and_draw_is_read_in_both_bases(parts):
    found, _, _, matched = parts
    keys = {(name, p, basis) for name in (EP, RANDOM) for p in found for basis in BASES}
    assert set(matched.groups) == set(matched.matches) == keys | {("itself",)}
    for key, many in matched.groups.items():
        assert len(many) == len(matched.matches[key]) == (2 if key[0] == RANDOM else 1)
        assert len(key) == 1 or {len(one) for one in many} == {len(found[key[1]])}


def test_blocks_do_not_matter():
    found = epkit.partition(X, [10], device="cpu")[10]
    x = mixture(1500, 12, seed=2)
    whole = top_tokens([signed(found, x)])
    assert (read_features(lambda rows: signed(found, rows), x).index == whole.index).all()


def test_the_same_features_match_perfectly_and_others_do_not(parts):
    table = parts[3].table().set_index(["features", "p", "basis"])
    same = table.loc[(EP, 10, "mean")]
    assert [tuple(same[c]) for c in SHARES] == [(1, 1, 1)] * 2
    assert (same["mean F1 →"], same["mean F1 ←"], same["one to one, of the latents"]) == (1, 1, 1)
    other = table.loc[(RANDOM, 4, "mean")]
    assert other[SHARES[0]].value < 1
    assert other["one to one, of the latents"] <= other[SHARES[1]].high


def test_scale_stands_last_without_p_and_basis(parts):
    table = parts[3].table()
    assert table.features.tolist()[-1] == "itself"
    assert table.p.isna().tolist() == table.basis.isna().tolist() == [False] * 8 + [True]
    assert table[SHARES[0]].iloc[-1].value == 1


def test_differences_are_those_of_the_groups(parts):
    found, drawn, h, matched = parts
    against = matched.against_random(found, drawn, h, DOCUMENT)
    table = matched.table().set_index(["features", "p", "basis"])
    assert against.index.tolist() == [(p, basis) for p in found for basis in BASES]
    for at in against.index:
        own, random = (table.loc[(name, *at)] for name in (EP, RANDOM))
        for column, share in zip(("regions matched", "latents matched"), SHARES, strict=True):
            gap = against.loc[at, f"{column}: EP − random"]
            assert gap.value == pytest.approx(own[share].value - random[share].value)
            assert gap.low <= gap.value <= gap.high


def test_tokens_are_counted_by_document(parts):
    found, drawn, h, matched = parts
    key = (EP, 4, "mean")
    hit = matched.matches[key][0].f1_of_a > 0.5
    region = found[4].assign(h)[0].numpy()
    by_document = pd.Series(hit[region]).groupby(DOCUMENT.numpy()).mean()
    random = [
        pd.Series((m.f1_of_a > 0.5)[d.assign(h)[0].numpy()]).groupby(DOCUMENT.numpy()).mean()
        for m, d in zip(matched.matches[RANDOM, 4, "mean"], drawn[4], strict=True)
    ]
    expected = (by_document - np.mean(random, axis=0)).mean()
    for document in (DOCUMENT, DOCUMENT * 3):  # documents without a token are no documents
        against = matched.against_random(found, drawn, h, document)
        gap = against.loc[(4, "mean"), "tokens in a matched region: EP − random"]
        assert gap.value == pytest.approx(expected)


@pytest.mark.slow
def test_on_a_device(far):
    tables = []
    for device in ("cpu", far):
        found, drawn, h, matched = made(device, percentiles=(10,), draws=1)
        again = read_regions(found, drawn, H)  # activations may lie on the CPU
        assert all(
            (one.index == two.index).all()
            for key in again
            for one, two in zip(again[key], matched.groups[key], strict=True)
        )
        tables.append((matched.table(), matched.against_random(found, drawn, h, DOCUMENT)))
    for near, there in zip(*tables, strict=True):
        for column in near:
            a, b = (np.array(t[column].tolist()) for t in (near, there))
            if a.dtype.kind == "f":
                np.testing.assert_allclose(a, b, atol=1e-6)
