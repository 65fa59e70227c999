"""The partition on a sphere: its cells cover it, its texts are texts."""

import builtins
import html

import numpy as np
import pytest
import torch
from plot_examples import HOSTILE

import epkit
from epkit.plots import sphere
from epkit.plots.sphere import sphere_cells


def with_exemplars(exemplars):
    k = len(exemplars)
    ones = torch.ones(k)
    return epkit.Dictionary(
        torch.zeros(exemplars.shape[1]), 0.5, exemplars, exemplars, torch.arange(k) + 1, ones,
        torch.arange(k), ones, ones,
    )  # fmt: skip


def test_cells_hold_their_points_and_cover_the_sphere(dictionary):
    ball = sphere_cells(dictionary)
    assert len(ball.regions) == len(ball.points) == len(ball.cells) == len(dictionary)
    assert 0 < ball.variance < 1
    np.testing.assert_allclose(np.linalg.norm(ball.points, axis=1), 1)
    for i, cell in enumerate(ball.cells):
        # Every point of an outline is as near to its own point as to any other.
        nearness = cell @ ball.points.T
        assert (nearness[:, i] >= nearness.max(axis=1) - 0.01).all()
    corners, faces, owner = sphere._triangles(ball)
    a, b, c = (corners[faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    assert area.sum() == pytest.approx(4 * np.pi, rel=0.05)
    assert owner.max() == len(ball.cells) - 1


def test_points_are_the_principal_components(dictionary):
    ball = sphere_cells(dictionary)
    x = dictionary.exemplars.double().numpy()
    _, s, vt = np.linalg.svd(x - x.mean(0))
    projected = (x - x.mean(0)) @ vt[:3].T
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(projected), np.abs(ball.points), atol=1e-6)
    assert ball.variance == pytest.approx((s[:3] ** 2).sum() / (s**2).sum())


def test_near_duplicates_share_a_cell(dictionary):
    exemplars = torch.cat([dictionary.exemplars, dictionary.exemplars[:4] + 1e-7])
    ball = sphere_cells(with_exemplars(exemplars))
    assert len(ball.regions) == len(dictionary)
    assert ball.regions.max() < len(dictionary)


def test_every_cell_is_on_the_front_or_the_back(dictionary):
    ball = sphere_cells(dictionary)
    front, back = (sphere._hemisphere(ball.cells, side) for side in (1, -1))
    assert set(front[1]) | set(back[1]) == set(range(len(ball.cells)))
    for flat in (*front[0], *back[0]):
        assert np.linalg.norm(flat, axis=1).max() <= 1 + 1e-9
    # Together the two discs are full: no cell is lost or drawn twice.
    area = sum(abs(shoelace(flat)) for flat in (*front[0], *back[0]))
    assert area == pytest.approx(2 * np.pi, rel=0.02)


def shoelace(xy):
    """Signed area of a closed outline."""
    x, y = xy.T
    return (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2


def test_still_sphere(dictionary):
    labels = dict(zip(range(len(HOSTILE)), HOSTILE, strict=True))
    figure = sphere.plot_sphere(dictionary, labels, colour="coherence")
    figure.canvas.draw()
    assert [ax.get_title() for ax in figure.axes[:2]] == ["front", "back"]
    assert sum(len(ax.texts) for ax in figure.axes[:2]) == len(HOSTILE)
    assert "of the variance" in figure.get_suptitle()


def test_turnable_sphere_escapes_texts(dictionary):
    pytest.importorskip("plotly", reason="plotly is an optional dependency")
    figure = sphere.turn_sphere(dictionary, {0: "<b>x</b>", 1: "$y$"}, max_regions=50)
    mesh, _, points = figure.data
    assert len(mesh.intensity) == len(mesh.i)
    assert 0 <= min(mesh.intensity) <= max(mesh.intensity) <= 1
    page = figure.to_json()
    assert "<b>x" not in page
    assert len(points.text) == len(points.hovertext) == 50
    regions = sphere_cells(dictionary, max_regions=50).regions.tolist()
    if 0 in regions:
        assert html.unescape(points.text[regions.index(0)]) == "<b>x</b>"
    if 1 in regions:
        assert "$" not in points.text[regions.index(1)]


def test_without_plotly_the_error_says_what_to_install(dictionary, monkeypatch):
    real = builtins.__import__

    def no_plotly(name, *args, **kwargs):
        if name.startswith("plotly"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_plotly)
    with pytest.raises(ModuleNotFoundError, match=r"epkit\[plot3d\]"):
        sphere.turn_sphere(dictionary)


@pytest.mark.parametrize(
    "exemplars",
    [
        torch.eye(6)[:3],
        torch.eye(3),
        torch.nn.functional.normalize(torch.cat([torch.randn(20, 2), torch.zeros(20, 3)], 1)),
    ],
)
def test_what_spans_no_sphere_gets_one_sentence(exemplars):
    with pytest.raises(ValueError, match="sphere") as error:
        sphere_cells(with_exemplars(exemplars))
    assert "lower min_members" in str(error.value)
