"""The picture of a trace."""

import pytest
import torch
from plot_examples import HOSTILE

from epkit.lm.trace import Trace
from epkit.plots import trace as plots


@pytest.mark.parametrize("n", [2, 11, 40])
def test_trace_picture_shows_tokens_and_regions(n):
    texts = (["<bos>", *HOSTILE] * 4)[:n]
    region = torch.arange(2 * n).reshape(2, n)
    distance = torch.linspace(0, 1, 2 * n).reshape(2, n)
    region[:, 0], distance[:, 0] = -1, torch.nan
    clustered = torch.arange(n) > 0
    tokens = torch.arange(n, dtype=torch.int32)
    trace = Trace(tokens, texts, clustered, (2, 5), region, distance, torch.tensor([0.4, 0.6]))
    figure = plots.plot_trace(trace)
    figure.canvas.draw()
    panels = figure.axes[:-1]
    assert len(panels) == -(-n // 16)
    shown = [t.get_text() for ax in panels for t in ax.texts]
    assert shown.count("") == 2
    assert f"({2 * n - 1})" in shown
    assert "1" in shown
    assert figure.get_suptitle()


def test_names_stand_under_the_numbers():
    clustered, region = torch.tensor([False, True]), torch.tensor([[-1, 1]])
    distance, tokens = torch.tensor([[torch.nan, 0.2]]), torch.arange(2, dtype=torch.int32)
    trace = Trace(tokens, ["<bos>", "a"], clustered, (2,), region, distance, torch.tensor([0.4]))
    figure = plots.plot_trace(trace, names={2: ["x", "$dog"]})
    figure.canvas.draw()
    assert [t.get_text() for t in figure.axes[0].texts] == ["", "1\n\\$dog"]
