"""Pictures hold what they should, whatever the text; warnings are errors here."""

import builtins
import html
import warnings
from dataclasses import replace

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import mixture

import epkit
from epkit.lm.trace import Trace
from epkit.members import MemberCollector
from epkit.plots import growth as plots
from epkit.plots import map as pictures
from epkit.plots import sphere
from epkit.plots.labels import drawable, place_labels

HOSTILE = ["$x^2$", "$$", "a$b", r"\$", "\\frac", "\x00\x07", "漢字", "\u202eabc", "<b>&", "  ", ""]


def partition(n, dim, p, layer, seed=0):
    x = mixture(n, dim, seed)
    cal = epkit.calibrate(x, [p], device="cpu")
    part = epkit.LeaderClustering(cal.centre, cal.thresholds[p], device="cpu")
    region, distance = part.fit_directions(epkit.geometry.directions(x, cal.centre))
    collector = MemberCollector()
    collector.update(0, region, distance, part.n_regions)
    tokens = torch.arange(n, dtype=torch.int32)
    members = collector.members(tokens, tokens[:1] + n, tokens >= 0)
    return replace(part.dictionary(layer=layer, percentile=p), members=members)


@pytest.fixture(scope="module")
def atlas():
    return {(layer, p): partition(600, 12, p, layer, layer) for layer in (2, 5) for p in (0.5, 4)}


@pytest.fixture(scope="module")
def dictionary(atlas):
    return atlas[2, 0.5]


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


# ---- whole atlases ------------------------------------------------------------------------------

ATLAS_PLOTS = [plots.plot_growth, plots.plot_sizes, plots.plot_coherence, plots.plot_distances]


@pytest.mark.parametrize("plot", ATLAS_PLOTS)
def test_one_labelled_panel_per_layer(atlas, plot):
    figure = plot(atlas)
    figure.draw_without_rendering()
    assert [ax.get_title() for ax in figure.axes] == ["layer 2", "layer 5"]
    assert all(ax.get_xlabel() for ax in figure.axes)
    assert figure.axes[0].get_ylabel()
    assert figure.get_suptitle()
    assert all(len(ax.get_legend().get_texts()) == 2 for ax in figure.axes)


@pytest.mark.parametrize("plot", ATLAS_PLOTS)
def test_an_empty_atlas_gets_one_sentence(plot):
    with pytest.raises(ValueError, match="the atlas is empty"):
        plot({})


def test_growth_ends_at_the_number_of_regions(atlas):
    figure = plots.plot_growth(atlas)
    for ax, layer in zip(figure.axes, (2, 5), strict=True):
        ends = [int(line.get_ydata()[-1]) for line in ax.lines]
        assert ends == [len(atlas[layer, p]) for p in (0.5, 4)]


def test_sizes_are_the_counts(atlas):
    line = plots.plot_sizes(atlas).axes[0].lines[0]
    counts = sorted(atlas[2, 0.5].counts.tolist(), reverse=True)
    np.testing.assert_array_equal(line.get_ydata(), counts)


def test_shares_add_up_to_one(atlas):
    for plot in (plots.plot_coherence, plots.plot_distances):
        for ax in plot(atlas).axes:
            for outline in ax.patches:
                # The outline of a step histogram goes up and down: its heights at bin starts.
                x, y = outline.get_xy().T
                heights = {round(a, 9): b for a, b in zip(x[::2], y[1::2], strict=False)}
                assert sum(heights.values()) == pytest.approx(1, abs=1e-4)


def test_no_sampled_distance_is_over_the_threshold(dictionary):
    distance, weight = plots._sampled_distances(dictionary)
    assert distance.max() <= dictionary.threshold + 1e-6
    assert len(distance) == len(weight)
    # Weights give back the members other than exemplars of regions that have such members.
    assert weight.sum() == pytest.approx(int((dictionary.counts - 1).sum()), rel=0.02)


def test_distances_need_members(dictionary):
    with pytest.raises(ValueError, match="has no members"):
        plots.plot_distances({(2, 0.5): replace(dictionary, members=None)})


def test_regions_too_small_for_coherence_are_still_drawn(atlas):
    figure = plots.plot_coherence(atlas, min_members=10**6)
    figure.draw_without_rendering()
    assert len(figure.axes) == 2


# ---- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_can_be_drawn_and_is_no_formula(text):
    figure, ax = plt.subplots()
    drawn = ax.text(0.5, 0.5, drawable(text))
    ax.set_xticks([0.5], [drawable(text)])
    assert not drawn._preprocess_math(drawable(text))[1]
    figure.canvas.draw()


def test_what_text_becomes():
    assert drawable(" the") == "␣the"
    assert drawable("a b ") == "a b␣"
    assert drawable("  ") == "␣␣"
    assert drawable("x\n\t") == "x↵⇥"
    assert drawable("漢\x00") == "□□"
    assert drawable("\ufffd") == "□"
    assert drawable("$a$") == r"\$a\$"
    assert drawable("abcdefghij", limit=5) == "abcd…"
    assert drawable("naïve Ж") == "naïve Ж"


def test_labels_do_not_lie_on_one_another():
    figure, ax = plt.subplots(figsize=(6, 6), layout="constrained")
    points = np.random.default_rng(0).normal(0.5, 0.05, size=(12, 2))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    place_labels(ax, points, ["label number"] * len(points))
    figure.canvas.draw()
    boxes = [matplotlib.text.Text.get_window_extent(t) for t in ax.texts]
    assert len(boxes) == 12
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 for b in boxes)


def test_a_lone_label_stands_at_its_point():
    figure, ax = plt.subplots()
    place_labels(ax, np.array([[0.5, 0.5]]), ["x"])
    figure.canvas.draw()
    box = matplotlib.text.Text.get_window_extent(ax.texts[0])
    x, y = ax.transData.transform((0.5, 0.5))
    assert abs(box.x0 - x) < 15
    assert abs((box.y0 + box.y1) / 2 - y) < 15


# ---- regions ------------------------------------------------------------------------------------


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


# ---- the sphere ---------------------------------------------------------------------------------


def with_exemplars(exemplars):
    k = len(exemplars)
    ones = torch.ones(k)
    return epkit.Dictionary(
        torch.zeros(exemplars.shape[1]), 0.5, exemplars, exemplars, torch.arange(k) + 1, ones,
        torch.arange(k), ones, ones,
    )  # fmt: skip


def test_cells_hold_their_points_and_cover_the_sphere(dictionary):
    ball = sphere.sphere(dictionary)
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
    ball = sphere.sphere(dictionary)
    x = dictionary.exemplars.double().numpy()
    _, s, vt = np.linalg.svd(x - x.mean(0))
    projected = (x - x.mean(0)) @ vt[:3].T
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(projected), np.abs(ball.points), atol=1e-6)
    assert ball.variance == pytest.approx((s[:3] ** 2).sum() / (s**2).sum())


def test_near_duplicates_share_a_cell(dictionary):
    exemplars = torch.cat([dictionary.exemplars, dictionary.exemplars[:4] + 1e-7])
    ball = sphere.sphere(with_exemplars(exemplars))
    assert len(ball.regions) == len(dictionary)
    assert ball.regions.max() < len(dictionary)


def test_every_cell_is_on_the_front_or_the_back(dictionary):
    ball = sphere.sphere(dictionary)
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
    regions = sphere.sphere(dictionary, max_regions=50).regions.tolist()
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
        sphere.sphere(with_exemplars(exemplars))
    assert "lower min_members" in str(error.value)


# ---- a trace ------------------------------------------------------------------------------------


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
