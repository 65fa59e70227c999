"""Random activations that a region's distances stand against, and their picture."""

import numpy as np
import pytest
import torch
from region_examples import TEXTS, WordTokenizer, built_atlas, example_dictionary

from epkit.geometry import distances
from epkit.inspect.background import REACH
from epkit.inspect.evidence import BINS
from epkit.inspect.histogram import Histogram, histogram_html
from epkit.inspect.regions import Regions
from epkit.lm.activations import ActivationStream
from epkit.lm.store import cached


def test_from_the_model_and_from_a_set(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    model, atlas = built_atlas(layers=(2,), percentiles=(5,))
    d = atlas[2, 5]
    stream = ActivationStream(model, TEXTS, [2], context=64)
    held = Regions(d, model, activations=cached(stream, 900, show_progress=False)).background
    assert not held.pending
    assert len(held.directions) == d.n  # fewer than would be drawn
    run = Regions(d, model).background
    assert run.pending
    assert run.bars(0) == []
    assert "being drawn" in run.said(0)
    for _ in run.steps():
        pass
    # These texts are fewer windows than would be drawn: all of them, read to the end.
    assert len(run.directions) == len(held.directions)
    torch.testing.assert_close(run.directions, held.directions, atol=1e-4, rtol=0)
    gap = distances(held.directions, d.exemplars[7:8])[:, 0]
    edges = np.arange(REACH * BINS + 1) * d.threshold / BINS
    expected = np.histogram(gap.numpy(), edges)[0]
    assert abs(np.array(held.bars(7)) - expected).sum() <= 2  # on an edge
    assert f"median {float(gap.median()):.2f}" in held.said(7)
    assert f"{float((gap <= d.threshold).float().mean()):.1%} within θ" in held.said(7)


def test_without_activations_there_is_none():
    regions = Regions(example_dictionary(), WordTokenizer())
    assert not regions.background.pending
    assert regions.background.said(0) == ""
    assert "grey" not in regions[0].to_html()


@pytest.mark.parametrize("background", [[], [1] * 72])
def test_bars_tell_their_numbers(background):
    told = "grey: 72" if background else ""
    html = histogram_html(Histogram([0, 3, 1], [], "4 of <b>", background, told), 0.6, 0.3, 0.1)
    assert "<title>0.20–0.40: 3</title>" in html
    assert "highest bar: 3" in html
    assert html.count('class="ep-back"') == len(background)
    assert "θ 0.60" in html
    assert ("grey: 72" in html) == bool(background)
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
