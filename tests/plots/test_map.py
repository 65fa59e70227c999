"""The flat map, and which regions are drawn."""

import numpy as np
import pytest
from plot_examples import HOSTILE

from epkit.plots import map as pictures


def test_samples_are_seeded_and_large_enough(dictionary):
    one = pictures.sample_regions(dictionary, 5, min_members=3, seed=1)
    assert one == pictures.sample_regions(dictionary, 5, min_members=3, seed=1)
    assert one == sorted(set(one))
    assert (dictionary.counts[one] >= 3).all()
    assert one != pictures.sample_regions(dictionary, 5, min_members=3, seed=2)
    assert len(pictures.sample_regions(dictionary, 10**6, min_members=1)) == len(dictionary)
    with pytest.raises(ValueError, match="no region has 1000000 members"):
        pictures.sample_regions(dictionary, 5, min_members=10**6)


def test_the_largest_regions_are_drawn(dictionary):
    few = pictures.largest_regions(dictionary, 6, 1)
    assert dictionary.counts[few].min() >= dictionary.counts.sort(descending=True).values[5]
    assert (np.diff(few) > 0).all()


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("colour", ["size", "coherence"])
def test_map(dictionary, method, colour):
    labels = dict(zip(range(len(HOSTILE)), HOSTILE, strict=True))
    figure = pictures.plot_map(dictionary, labels, colour=colour, method=method, max_regions=60)
    figure.canvas.draw()
    ax = figure.axes[0]
    shown = set(pictures.largest_regions(dictionary, 60, 1).tolist())
    assert len(ax.collections[0].get_offsets()) == 60
    assert len(ax.texts) == len(shown & set(labels)) > 2
    assert "layer 2" in ax.get_title()


def test_map_is_the_same_every_time(dictionary):
    one, other = (pictures.plot_map(dictionary, max_regions=60) for _ in range(2))
    np.testing.assert_array_equal(*(f.axes[0].collections[0].get_offsets() for f in (one, other)))


def test_bad_choices_get_one_sentence(dictionary):
    with pytest.raises(ValueError, match="method must be one of tsne, pca"):
        pictures.plot_map(dictionary, method="umap")
    with pytest.raises(ValueError, match="colour must be one of size, coherence"):
        pictures.plot_map(dictionary, colour="age", method="pca")
    with pytest.raises(ValueError, match="at least three regions"):
        pictures.plot_map(dictionary, max_regions=2)
