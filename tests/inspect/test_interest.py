"""The score of interest, by its definition, and the dictionary that is opened."""

from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from region_examples import WORDS, WordTokenizer, example_dictionary

from epkit.inspect.interest import FILLED, dictionary_to_open, interest
from epkit.inspect.regions import Regions


def test_interest_is_what_it_says():
    d = example_dictionary()
    score = interest(Regions(d, WordTokenizer()))
    members = d.members
    first = torch.cat([torch.ones(1).bool(), ~members.clustered])[:-1]  # just after a BOS
    for k in range(len(d)):
        n, c = int(d.counts[k]), float(d.coherence[k])
        index = members.of(k, "random")[0]
        words = [WORDS[t].strip().casefold() for t in members.token_of(index).tolist()]
        pairs = list(combinations(words, 2))
        varied = np.mean([a != b for a, b in pairs]) if pairs else 0
        alike = min(max((n * c**2 - 1) / (n - 1), 0), 1) if n > 1 else 0
        places = members.clustered.nonzero()[:, 0][index]
        windows = torch.searchsorted(members.lengths.cumsum(0), places, right=True).tolist()
        apart = list(combinations(windows, 2))
        spread = np.mean([a != b for a, b in apart]) if apart else 0
        inner = float((~first[places]).float().mean())
        assert score[k] == pytest.approx(alike * varied * spread * inner, abs=1e-5)


def test_alike_is_the_mean_cosine_of_two_members():
    u = F.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)) + 1, dim=1)
    coherence = float(u.mean(0).norm())
    pairs = (u @ u.T)[~torch.eye(9).bool()]
    assert (9 * coherence**2 - 1) / 8 == pytest.approx(float(pairs.mean()), abs=1e-6)


def atlas_of(**filled):
    """{(layer, p): dictionary} with so many regions of five members: l1p4=120, …"""
    keys = [(tuple(map(int, name[1:].split("p"))), n) for name, n in filled.items()]
    return {key: SimpleNamespace(counts=torch.full((n,), 5)) for key, n in keys}


def test_the_coarsest_well_filled_dictionary_of_the_deepest_layer_is_opened():
    atlas = atlas_of(l1p8=FILLED, l2p1=900, l2p4=FILLED, l2p16=FILLED - 1)
    assert dictionary_to_open(atlas) == (2, 4)
    assert dictionary_to_open(atlas, layer=1) == (1, 8)
    assert dictionary_to_open(atlas, percentile=1) == (2, 1)
    assert dictionary_to_open(atlas_of(l1p1=40, l1p2=30)) == (1, 1)


def test_what_cannot_be_opened():
    with pytest.raises(ValueError, match=r"no dictionary of layer 3 and percentile None"):
        dictionary_to_open(atlas_of(l1p1=5), layer=3)
    with pytest.raises(ValueError, match="the atlas is empty"):
        dictionary_to_open({})
    with pytest.raises(TypeError, match="atlas must be"):
        dictionary_to_open(7)


def test_a_region_of_one_word_is_of_no_interest():
    d = example_dictionary()
    d = replace(d, coherence=torch.ones(len(d)))
    one = WordTokenizer(["<bos>", *[" Word", "word"] * 40])
    assert interest(Regions(d, one)).max() == 0
