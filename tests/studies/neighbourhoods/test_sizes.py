"""Sizes, densities and their bins, by hand."""

import numpy as np
import pandas as pd
from conftest import mixture

import epkit
from epkit.studies.neighbourhoods.sizes import region_sizes, shape_table, size_panels


def example():
    return pd.DataFrame({
        "members": [1, 1, 2, 7, 40], "density": [0, 4, 2, 9, 50],
        "coherence": [1.0, 1.0, 0.9, 0.5, 0.25],
    })  # fmt: skip


def test_sizes_are_those_of_the_stream():
    x = mixture(800, 16)
    d = epkit.partition(x, [4], device="cpu")[4]
    region, distance = d.assign(x)
    found = region_sizes(d, region.numpy(), d.directions(x))
    assert found["members"].tolist() == d.counts.tolist()
    assert found["coherence"].tolist() == d.coherence.tolist()
    within = (d.distances(x) <= d.threshold).sum(0)
    assert found["density"].tolist() == (within - 1).tolist()
    member = np.bincount(region[distance <= d.threshold], minlength=len(d))
    assert (found["density"] + 1 >= member).all()


def test_a_shape_by_hand():
    table = shape_table({"EP": example(), "random exemplars": example().iloc[::-1]})
    assert table.loc["EP", "median members"] == 2
    assert table.loc["EP", "largest"] == 40
    assert table.loc["EP", "of one member"] == "40.0%"
    assert table.loc["EP", "median density"] == 4
    assert table.loc["EP", "density of regions of at most three"] == 2
    assert 0.5 < table.loc["EP", "members ~ density (Spearman)"].value <= 1


def test_every_value_has_its_bin():
    values, bins = size_panels({"EP": example(), "random exemplars": example() * 2})
    assert list(values) == list(bins)
    for quantity, edges in bins.items():
        for of_name in values[quantity].values():
            assert np.histogram(of_name, edges)[0].sum() == np.sum(of_name <= edges[-1])
    shown = values["coherence |Σu|/N, N ≥ 5"]
    assert shown["EP"].tolist() == [0.5, 0.25]
    density = values["activations within θ (density)"]["EP"]
    assert density.tolist() == [1, 5, 3, 10, 51]
    assert bins["members"][0] < 1 < bins["members"][1]
