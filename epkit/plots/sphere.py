"""The partition on a sphere: Voronoi cells of the regions, still and turnable.

1. Exemplars go to their first three principal components and from there to the unit sphere.
2. Each gets the cell of the points that are nearer to it than to any other (Caroli et al. 2010, by
   `scipy.spatial.SphericalVoronoi`). Regions whose projections coincide share a cell.

Three axes hold a small part of the variance, so this is a shadow of the partition, with the share
in its title. Labels are strings from the caller, {region: text}.

Does not know: models, tokenizers.
"""

import html
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from scipy.spatial import SphericalVoronoi, cKDTree
from sklearn.decomposition import PCA

from epkit.dictionary import Dictionary
from epkit.plots.labels import drawable, place_labels
from epkit.plots.map import COLOURS, colouring, largest_regions, made_of

TOO_CLOSE = 1e-4
"""Chord between two points of the unit sphere that would give no usable cells."""

ARC = 0.12
"""Longest straight piece of a cell's edge, in radians."""


@dataclass(frozen=True, eq=False)
class Sphere:
    """Spherical Voronoi cells of R regions.

    Attributes
    ----------
    regions : (R,) int64, the regions drawn.
    points : (R, 3) float64, unit: where each one lies.
    cells : R closed outlines, each (M, 3) unit points along its great-circle edges.
    variance : share of the exemplars' variance that the three axes hold.
    """

    regions: np.ndarray
    points: np.ndarray
    cells: list[np.ndarray]
    variance: float


def sphere_cells(
    dictionary: Dictionary, *, max_regions: int = 1000, min_members: int = 1
) -> Sphere:
    """Spherical Voronoi cells of the largest regions.

    Parameters
    ----------
    max_regions : of all regions with at least `min_members` members, the largest so many.

    Raises
    ------
    ValueError : fewer than four distinct regions, or exemplars that do not span three dimensions.
    """
    regions = largest_regions(dictionary, max_regions, min_members)
    x = dictionary.exemplars[regions].cpu().double().numpy()
    if min(x.shape) < 4:
        raise ValueError(
            f"a sphere needs at least four regions in four dimensions, got {x.shape[0]} in "
            f"{x.shape[1]}; lower min_members or take a finer percentile"
        )
    pca = PCA(3, svd_solver="full").fit(x)
    points = pca.transform(x)
    length = np.linalg.norm(points, axis=1, keepdims=True)
    keep = _apart(points / np.maximum(length, 1e-12)) & (length[:, 0] > 1e-9)
    points = (points / np.maximum(length, 1e-12))[keep]
    try:
        voronoi = SphericalVoronoi(points, threshold=TOO_CLOSE / 100)
    except ValueError as error:
        raise ValueError(
            f"the {len(points)} distinct regions do not span a sphere; lower min_members or take a "
            "finer percentile"
        ) from error
    voronoi.sort_vertices_of_regions()
    cells = [_outline(voronoi.vertices[cell]) for cell in voronoi.regions]
    return Sphere(regions[keep], points, cells, float(pca.explained_variance_ratio_.sum()))


def plot_sphere(
    dictionary: Dictionary,
    labels: dict[int, str] | None = None,
    *,
    colour: str = "size",
    max_regions: int = 1000,
    min_members: int = 1,
) -> Figure:
    """The sphere from its front and its back, still: every cell is on one of them.

    labels : {region: text} of the regions to name; others are drawn without.
    colour : "size" or "coherence" of the region.
    """
    ball = sphere_cells(dictionary, max_regions=max_regions, min_members=min_members)
    values, norm = colouring(dictionary, ball.regions, colour)
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 5), layout="constrained")
    for ax, side, name in zip(axes, (1, -1), ("front", "back"), strict=True):
        flat, shown = _hemisphere(ball.cells, side)
        cells = PolyCollection(
            flat, array=values[shown], norm=norm, cmap="viridis", edgecolors="white", linewidths=0.4
        )
        ax.add_collection(cells)
        ax.set(xlim=(-1.2, 1.2), ylim=(-1.1, 1.1), aspect="equal", title=name)
        ax.set_axis_off()
    figure.colorbar(cells, ax=axes, label=COLOURS[colour], shrink=0.6, pad=0.01)
    figure.suptitle(_title(dictionary, ball))
    for ax, side in zip(axes, (1, -1), strict=True):
        here = [i for i, r in enumerate(ball.regions) if r in (labels or {})]
        here = [i for i in here if ball.points[i, 0] * side > 0]
        spots = ball.points[here][:, 1:] * [side, 1]
        ax.plot(*spots.T, "o", color="black", markersize=4, markeredgecolor="white")
        place_labels(ax, spots, [drawable(labels[ball.regions[i]]) for i in here])
    return figure


def turn_sphere(
    dictionary: Dictionary,
    labels: dict[int, str] | None = None,
    *,
    colour: str = "size",
    max_regions: int = 300,
    min_members: int = 1,
):
    """The sphere to turn with the mouse, as a plotly figure; arguments as for `plot_sphere`.

    Hovering over a region's point shows its number, members, coherence and label.

    Raises ModuleNotFoundError where plotly is not installed.
    """
    try:
        import plotly.graph_objects as go
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the turnable sphere needs plotly: pip install 'epkit[plot3d]', or use plot_sphere"
        ) from error
    ball = sphere_cells(dictionary, max_regions=max_regions, min_members=min_members)
    values, norm = colouring(dictionary, ball.regions, colour)
    corners, faces, owner = _triangles(ball)
    x, y, z = corners.T.astype(np.float32)
    i, j, k = faces.T.astype(np.int32)
    surface = go.Mesh3d(
        x=x, y=y, z=z, i=i, j=j, k=k, intensity=norm(values)[owner].astype(np.float32),
        intensitymode="cell", colorscale="Viridis", flatshading=True, hoverinfo="skip",
        lighting={"ambient": 1, "diffuse": 0}, colorbar=_colourbar(colour, norm),
    )  # fmt: skip
    edges = np.concatenate([np.vstack([c, c[:1], [[np.nan] * 3]]) for c in ball.cells])
    ex, ey, ez = (1.002 * edges).T.astype(np.float32)
    lines = go.Scatter3d(
        x=ex, y=ey, z=ez, mode="lines", line={"color": "white", "width": 1}, hoverinfo="skip"
    )
    figure = go.Figure([surface, lines, _points(go, dictionary, ball, labels or {})])
    figure.update_layout(
        title=_title(dictionary, ball), showlegend=False, width=800, height=700,
        scene={f"{axis}axis": {"visible": False} for axis in "xyz"},
        margin={"l": 0, "r": 0, "b": 0, "t": 50},
    )  # fmt: skip
    return figure


def _points(go, dictionary: Dictionary, ball: Sphere, labels: dict[int, str]):
    """Points with hover texts, and labels where there are some."""
    hover = [
        f"region {r}<br>{int(dictionary.counts[r]):,} members<br>"
        f"coherence {float(dictionary.coherence[r]):.2f}<br>{_markup(labels.get(r, ''))}"
        for r in ball.regions.tolist()
    ]
    px, py, pz = (1.02 * ball.points).T.astype(np.float32)
    return go.Scatter3d(
        x=px, y=py, z=pz, mode="markers+text", marker={"size": 2, "color": "black"},
        text=[_markup(labels.get(r, "")) for r in ball.regions.tolist()],
        hovertext=hover, hoverinfo="text", textfont={"size": 11, "color": "black"},
    )  # fmt: skip


def _markup(text: str) -> str:
    """Text that plotly shows as it is: it reads a little HTML and, between dollars, formulas."""
    return html.escape(drawable(text).replace(r"\$", "＄"))


def _colourbar(colour: str, norm: Normalize) -> dict:
    """Ticks at the values that the scaled colours stand for."""
    if colour == "coherence":
        ticks = np.linspace(0, 1, 6)
    else:
        ticks = 10.0 ** np.arange(np.floor(np.log10(norm.vmax)) + 1)
    return {
        "title": COLOURS[colour], "tickvals": norm(ticks).tolist(), "len": 0.6,
        "ticktext": [f"{tick:,.10g}" for tick in ticks],
    }  # fmt: skip


def _triangles(ball: Sphere) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every cell as a fan around its point: corners (C, 3), faces (F, 3), cell of a face (F,)."""
    corners, faces, owner, base = [], [], [], 0
    for cell, (point, outline) in enumerate(zip(ball.points, ball.cells, strict=True)):
        rim = base + 1 + np.arange(len(outline))
        faces.append(np.stack([np.full_like(rim, base), rim, np.roll(rim, -1)], axis=1))
        owner.append(np.full(len(rim), cell))
        corners.append(np.vstack([point, outline]))
        base += 1 + len(outline)
    return np.concatenate(corners), np.concatenate(faces), np.concatenate(owner)


def _apart(points: np.ndarray) -> np.ndarray:
    """Which points to keep so that no two are too close: of such a pair, the first."""
    keep = np.ones(len(points), dtype=bool)
    for i, j in sorted(cKDTree(points).query_pairs(TOO_CLOSE)):
        keep[j] &= not keep[i]
    return keep


def _outline(corners: np.ndarray) -> np.ndarray:
    """Corners of a cell, (V, 3), joined by great-circle arcs of short straight pieces."""
    pieces = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        angle = np.arccos(np.clip(a @ b, -1, 1))
        t = np.arange(0, 1, min(1.0, ARC / max(angle, 1e-9)))[:, None]
        pieces.append(a * (1 - t) + b * t)
    outline = np.concatenate(pieces)
    return outline / np.maximum(np.linalg.norm(outline, axis=1, keepdims=True), 1e-12)


def _hemisphere(cells: list[np.ndarray], side: int) -> tuple[list[np.ndarray], list[int]]:
    """Flat outlines of the cells seen along the first axis, cut at the horizon, and their places.

    Seen from behind, left and right change places, as on a ball that was turned.
    """
    flat, shown = [], []
    for i, cell in enumerate(cells):
        beyond = cell[:, 0] * side < 0
        if beyond.all():
            continue
        xy = cell[:, 1:] * [side, 1]
        rim = xy / np.maximum(np.linalg.norm(xy, axis=1, keepdims=True), 1e-12)
        flat.append(np.where(beyond[:, None], rim, xy))
        shown.append(i)
    return flat, shown


def _title(dictionary: Dictionary, ball: Sphere) -> str:
    return (
        f"{len(ball.regions):,} regions{made_of(dictionary)} on a sphere "
        f"(three axes with {ball.variance:.0%} of the variance)"
    )
