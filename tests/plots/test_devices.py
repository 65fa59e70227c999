"""Pictures take a dictionary from whatever device it lies on, and refuse odd arguments."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plot_examples import HOSTILE

from epkit import plots
from epkit.lm.trace import Trace

LABELS = dict(enumerate(HOSTILE))


class Elsewhere(torch.Tensor):
    """A tensor that numpy cannot read until it is moved to the CPU, as one on a GPU."""

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def __array__(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def moved(dictionary):
    tensors = {k: v for k, v in vars(dictionary).items() if isinstance(v, torch.Tensor)}
    return replace(dictionary, **{k: v.as_subclass(Elsewhere) for k, v in tensors.items()})


ATLAS = [plots.plot_growth, plots.plot_sizes, plots.plot_coherence, plots.plot_distances]
REGIONS = [plots.plot_map, plots.plot_sphere, plots.turn_sphere]


@pytest.mark.parametrize("plot", ATLAS, ids=lambda f: f.__name__)
def test_an_atlas_may_lie_elsewhere(atlas, plot):
    figure = plot({key: moved(d) for key, d in atlas.items()})
    figure.draw_without_rendering()
    assert len(figure.axes) == 2


@pytest.mark.parametrize("colour", ["size", "coherence"])
@pytest.mark.parametrize("plot", REGIONS, ids=lambda f: f.__name__)
def test_a_dictionary_may_lie_elsewhere(dictionary, plot, colour):
    if plot is plots.turn_sphere:
        pytest.importorskip("plotly", reason="plotly is an optional dependency")
    assert plot(moved(dictionary), LABELS, colour=colour, max_regions=60) is not None


def test_a_sample_and_a_trace_may_come_from_elsewhere(dictionary):
    sample = plots.sample_regions(dictionary, 5)
    assert plots.sample_regions(moved(dictionary), 5) == sample
    region, distance = torch.arange(6).reshape(2, 3), torch.rand(2, 3)
    threshold = torch.tensor([0.4, 0.6])
    parts = (t.as_subclass(Elsewhere) for t in (region, distance, threshold))
    tokens = torch.arange(3, dtype=torch.int32)
    plots.plot_trace(Trace(tokens, ["a", "b", "c"], tokens > 0, (2, 5), *parts))


WRONG = {
    "max_regions": [0, -1, 2.5, "9", None, True, float("nan")],
    "min_members": [0, -1, 2.5, "9", None, True],
    "colour": ["age", 1, None],
}


@pytest.mark.parametrize("plot", REGIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_odd_arguments_get_a_sentence_that_names_them(dictionary, plot, name, value):
    if plot is plots.turn_sphere:
        pytest.importorskip("plotly", reason="plotly is an optional dependency")
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
        plot(dictionary, **{name: value})


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None, True, 2**32])
def test_odd_seeds_of_a_map(dictionary, seed):
    with pytest.raises((TypeError, ValueError), match="seed must be"):
        plots.plot_map(dictionary, seed=seed)


@pytest.mark.parametrize("plot", ATLAS, ids=lambda f: f.__name__)
def test_what_is_no_atlas(plot, dictionary):
    for given in (dictionary, [dictionary], None, "atlas"):
        with pytest.raises(TypeError, match="atlas must be"):
            plot(given)


def test_numpy_integers_are_integers(dictionary):
    plots.plot_map(dictionary, max_regions=np.int64(50), min_members=np.int32(1), seed=np.int64(1))
