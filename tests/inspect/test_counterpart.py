"""Counterparts of regions, and a second region beside the one on show."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from region_examples import WordTokenizer, built_atlas, example_dictionary

from epkit.inspect.compare import Compare
from epkit.inspect.counterpart import counterpart
from epkit.inspect.listing import RegionList
from epkit.inspect.regions import Regions


@pytest.fixture(scope="module")
def lists():
    model, atlas = built_atlas()
    return {key: RegionList(Regions(d, model)) for key, d in atlas.items()}


def test_same_layer_by_exemplars_another_by_the_exemplars_own_token(lists):
    here = lists[2, 1].regions
    for region in (0, 30, 200):
        other, why = counterpart(region, here, lists[2, 5].regions)
        cosines = lists[2, 5].regions.dictionary.exemplars @ here.dictionary.exemplars[region]
        assert other == int(cosines.argmax())
        assert "nearest exemplar" in why
        there = lists[1, 1].regions
        other, why = counterpart(region, here, there)
        place = here.text.places[int(here.dictionary.exemplar_index[region])]
        x = there.source.fetch(np.array([place]))
        assert other == int(there.dictionary.assign(x)[0])
        assert "token lies here" in why


def test_no_counterpart_is_said(lists):
    with pytest.raises(ValueError, match="different streams"):
        counterpart(0, lists[2, 1].regions, Regions(example_dictionary(), WordTokenizer()))
    blind = Regions(lists[1, 1].regions.dictionary, lists[1, 1].regions.promoted.model.tokenizer)
    with pytest.raises(ValueError, match="needs the model or its activations"):
        counterpart(0, lists[2, 1].regions, blind)


def test_what_stands_beside(lists):
    compare = Compare(threading.RLock(), sorted(lists), lists.__getitem__)
    changes = []
    compare.on_change(lambda: changes.append(compare.beside))
    compare.follow((2, 1), 30)
    assert compare.panel.layout.display == "none"
    compare.what.value = (2, 5)
    expected, _ = counterpart(30, lists[2, 1].regions, lists[2, 5].regions)
    assert compare.beside == (2, 5, expected) == changes[-1]
    assert f'data-region="{expected}"' in compare.panel.card.value
    compare.follow((2, 1), 200)  # another counterpart
    assert compare.beside[2] == counterpart(200, lists[2, 1].regions, lists[2, 5].regions)[0]
    compare.panel.nearest[0].click()
    assert compare.beside == (2, 5, compare.panel.nearest[0].region) or compare.beside[:2] == (2, 5)
    compare.what.value = "region"
    compare.number.value = 7
    assert compare.beside == (2, 1, 7)
    compare.number.value = 10_000
    assert "regions are numbered" in compare.said.value
    assert compare.beside == (2, 1, 7)
    compare.follow((1, 1), 0)  # region 7 was of another dictionary
    assert compare.beside is None
    assert compare.panel.layout.display == "none"
    compare.put((1, 5), 3)
    assert compare.beside == (1, 5, 3)


def test_another_stream_stands_beside_nothing(lists):
    other = Regions(example_dictionary(), WordTokenizer())
    strange = {(2, 1): lists[2, 1], (9, 1): RegionList(replace_layer(other))}
    compare = Compare(threading.RLock(), sorted(strange), strange.__getitem__)
    compare.follow((2, 1), 0)
    compare.what.value = (9, 1)
    assert "different streams" in compare.said.value
    assert compare.beside is None


def replace_layer(regions):
    d = regions.dictionary
    return Regions(replace(d, metadata=d.metadata | {"layer": 9}), WordTokenizer())
