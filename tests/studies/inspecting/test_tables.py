"""Tables of what regions say, against the readouts and lenses they are made of."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture
from plot_examples import partition
from region_examples import WORDS, WordTokenizer

import epkit
from epkit import readouts
from epkit.inspect.regions import Regions
from epkit.lm.lens import LogitLens
from epkit.studies.inspecting import tables
from epkit.studies.inspecting.members import Grouping, MemberTokens, group_members, member_tokens

X = mixture(420, 12)
FRESH = mixture(60, 12, seed=1)
DOCUMENT = torch.arange(60) // 10


def example():
    """A dictionary whose stream is the words in turn."""
    d = partition(420, 12, 1, 1)
    d.members.tokens.remainder_(60).add_(1)
    return d


def lens_of(promoted):
    """A lens whose suppressed tokens are the promoted in reverse."""
    zeros = torch.zeros(promoted.shape)
    return LogitLens(promoted, zeros, promoted.flip(1), zeros)


@pytest.fixture(scope="module")
def regions():
    return Regions(example(), WordTokenizer())


def test_words_of_the_lens_by_region(regions):
    k = len(regions)
    mean, exemplar = (torch.arange(k * 3).view(k, 3) % 50 + start for start in (1, 5))
    found = tables.lens_words(
        regions, {"mean": lens_of(mean), "exemplar": lens_of(exemplar)}, [2, 0], n=2
    )
    assert found.region.tolist() == [2, 0]
    assert found.exemplar[0] == regions.labels[2]
    told = [WORDS[i].strip() for i in mean[2].tolist()]
    assert found["promoted (mean)"][0] == "  ".join(told[:2])
    assert found["suppressed (mean)"][0] == "  ".join(told[:0:-1])
    assert found["promoted (exemplar)"][1] == "word4  word5"


def test_readouts_of_a_prompt(regions):
    d = regions.dictionary
    a = FRESH[:7]
    found = tables.prompt_readouts(regions, a, [f" t{i}" for i in range(7)])
    assert found.token.tolist() == [f"t{i}" for i in range(7)]
    nearest = d.assign(a)[0].tolist()
    assert found["one-hot"].tolist() == [f"{r} ({regions.labels[r]})" for r in nearest]
    best = readouts.cosine(d, a).max(1)
    for line, region, value in zip(
        found["top 3 cosines, mean basis"], best.indices, best.values, strict=True
    ):
        assert line.startswith(f"{region} ({regions.labels[region]}) {value:.2f}  ")
    assert found["largest signed"].tolist() == pytest.approx(
        readouts.signed(d, a).relu().amax(1).tolist()
    )
    per_token = (readouts.otsu_cut(d, a).to_dense() > 0).sum(1)
    assert found["regions in the Otsu cut"].tolist() == per_token.tolist()


def test_decoding_by_its_definition():
    d = example()
    random = epkit.random_dictionary(d, X)
    found = tables.decoding_table(d, random, FRESH.half(), DOCUMENT)
    assert list(found.index) == [(b, r) for b in readouts.BASES for r in tables.READOUTS]
    h = FRESH.half().float()
    f = readouts.top_k(d, h, 8, "exemplar")
    cosine = torch.cosine_similarity(readouts.decode(d, f, "exemplar") - d.centre, h - d.centre)
    row = found.loc[("exemplar", "top 8, signed")]
    # documents are of one length here, so the mean over them is that over activations
    assert row["cosine with a − c"].value == pytest.approx(cosine.mean().item(), abs=1e-6)
    assert row["entries per token"] == f._nnz() / 60
    assert row["difference"].value == pytest.approx(
        row["cosine with a − c"].value - row["random exemplars"].value
    )
    assert (found["entries per token"].xs("one-hot", level="readout") == 1).all()


def hand():
    """Nine activations of two regions and one that is too small; tokens by hand."""
    words = np.array([" a"] * 4 + ["7", " x", "y", ",", " b"], dtype=object)
    before = np.array([" the"] * 9, dtype=object)
    tokens = MemberTokens(np.arange(9), words, before, np.array([1, 1, 2, 2, 3, 3, 3, 4, -1]))
    groups = [np.arange(4), np.arange(4, 8), np.array([8])]
    region = np.repeat([0, 1, 2], [4, 4, 1])
    return tokens, Grouping(region, groups, np.array([0, 1]))


def test_the_next_token_against_what_regions_promote():
    tokens, own = hand()
    promoted = torch.tensor([[1, 9], [3, 4], [5, 5]])
    lens = {"mean": lens_of(promoted), "exemplar": lens_of(promoted + 100)}
    random_lens = {basis: lens_of(promoted[:2]) for basis in lens}
    found = tables.promotion_table(tokens, own, lens, own, random_lens, seed=3)
    assert found.index.tolist() == ["mean", "exemplar"]
    assert found["own region"]["mean"].value == (2 / 4 + 4 / 4) / 2
    assert found["own region"]["exemplar"].value == 0
    assert found["region of a random exemplar"]["exemplar"].value == 0.75
    swapped = np.random.default_rng(3).permutation(2).tolist() == [1, 0]
    assert found["another region"]["mean"].value == (0 if swapped else 0.75)


def test_what_the_drawn_regions_share():
    tokens, own = hand()
    tokens.before[4:] = ["one", "two", "three", "four", "five"]
    found = tables.drawn_table(SimpleNamespace(coherence=torch.ones(3)), own, tokens, [0, 1])
    assert found.members.tolist() == [4, 4]
    assert found.evident.tolist() == ["token", "–"]
    assert found.what[0] == "' a' (100%)"
    assert found.what[1].startswith("(nearest: ")
    assert found["members drawn"][1] == "one ⟦7⟧  |  two ⟦x⟧  |  three ⟦y⟧  |  four ⟦,⟧"


def test_shares_of_groups_and_of_activations():
    _, own = hand()
    kinds = {tables.EP: np.array(["token", "none"]), tables.CHANCE: np.array(["none"] * 3)}
    found = tables.evidence_table(kinds, {tables.EP: own})
    assert found.n.tolist() == [2, 3]
    assert [interval.value for interval in found[tables.SHARE]] == [0.5, 0]
    assert found.loc[tables.EP, tables.HELD].value == pytest.approx(4 / 9)
    assert found.loc[tables.CHANCE, tables.HELD] == "–"


@pytest.mark.slow
@pytest.mark.parametrize("given", ["far", "near"])
def test_a_far_dictionary_says_the_same(far, given):
    here, there = Regions(example(), WordTokenizer()), Regions(example().to(far), WordTokenizer())
    a = FRESH.to(far) if given == "far" else FRESH
    pd.testing.assert_frame_equal(
        tables.prompt_readouts(there, a[:5], WORDS[1:6]),
        tables.prompt_readouts(here, FRESH[:5], WORDS[1:6]),
        rtol=1e-4,
    )
    made = {}
    for d, h, x in ((here.dictionary, FRESH, X), (there.dictionary, a, X.to(a.device))):
        random = epkit.random_dictionary(d, x)
        tokens, own = member_tokens(here.text, 420), group_members(d, x, 3)
        decoding = tables.decoding_table(d, random, h, DOCUMENT).map(str)
        made[d.centre.device.type] = decoding, tables.drawn_table(d, own, tokens, own.large[:4])
    for one, two in zip(made["cpu"], made["cuda"], strict=True):
        pd.testing.assert_frame_equal(one, two, rtol=1e-4)
