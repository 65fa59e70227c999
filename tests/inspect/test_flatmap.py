"""Places on a map, and the map of buttons."""

import threading

import numpy as np
import torch
from region_examples import WordTokenizer, example_dictionary

from epkit.inspect.flatmap import RegionMap
from epkit.inspect.listing import RegionList
from epkit.inspect.positions import map_places
from epkit.inspect.regions import Regions


def test_near_regions_are_near_on_the_map():
    d = example_dictionary(k=60, dim=8)
    places = map_places(d)
    assert places.shape == (60, 2)
    assert places.min() == 0
    assert places.max() == 1
    cosines = d.exemplars @ d.exemplars.T - 2 * torch.eye(60)
    near = cosines.argmax(1).numpy()
    apart = np.linalg.norm(places - places[near], axis=1).mean()
    assert apart < 0.6 * np.linalg.norm(places[:, None] - places[None], axis=2).mean()
    assert (map_places(d) == places).all()


def test_regions_beyond_those_placed_stand_among_their_nearest():
    d = example_dictionary(k=60, dim=8)
    places = map_places(d, placed=30)
    largest = d.counts.argsort(descending=True, stable=True)[:30]
    rest = [k for k in range(60) if k not in largest.tolist()]
    for k in rest:
        near = largest[(d.exemplars[largest] @ d.exemplars[k]).topk(3).indices].numpy()
        low, high = places[near].min(0) - 1e-5, places[near].max(0) + 1e-5
        assert ((low <= places[k]) & (places[k] <= high)).all()


def test_few_regions_have_places():
    assert map_places(example_dictionary(k=2)).shape == (2, 2)


def test_dots_are_buttons_that_lead_to_regions():
    listed = RegionList(Regions(example_dictionary(), WordTokenizer()))
    chosen = []
    shown = RegionMap(threading.RLock())
    shown.on_choose(chosen.append)
    shown.show(listed, 3)
    shown.thread.join(60)
    regions = [value for _, value in shown.dots.options]
    assert set(regions) == set((listed.counts >= 5).nonzero()[0])
    assert shown.dots.value == 3
    shown.dots.value = regions[2]
    assert chosen == [regions[2]]
    assert listed.regions.names[regions[2]] in shown.dots.tooltips[2]
    before = shown.style_sheet.value
    listed.search("word12")
    shown.show(listed, 5)
    assert before.count("opacity:0.12") == 0
    assert shown.style_sheet.value.count("opacity:0.12") == len(regions) - len(listed.rows)
    assert "<img" not in shown.style_sheet.value + shown.said.value + shown.ring.value
