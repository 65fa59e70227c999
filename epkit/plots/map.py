"""A flat map of one dictionary's regions, and what every picture of regions shares.

The map is t-SNE on cosine distances (near regions stay near; how far apart far ones lie says
nothing), or the first two principal components (linear, crowded). Labels are strings from the
caller, {region: text}.

Does not know: models, tokenizers. `sphere` draws Voronoi cells, `growth` whole atlases.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from epkit.checks import one_of, whole
from epkit.dictionary import Dictionary
from epkit.inspect.positions import tsne
from epkit.plots.labels import drawable, place_labels

COLOURS = {"size": "members", "coherence": "coherence"}
METHODS = {"tsne": "t-SNE axis", "pca": "principal component"}


def sample_regions(
    dictionary: Dictionary, n: int, *, min_members: int = 5, seed: int = 0
) -> list[int]:
    """A seeded sample of n regions with at least `min_members` members, ascending.

    All of them where there are no more than n. Raises ValueError where there is none.
    """
    eligible = _eligible(dictionary, min_members)
    n = whole("n", n, 1)
    chosen = np.random.default_rng(whole("seed", seed)).permutation(eligible)[:n]
    return np.sort(chosen).tolist()


def plot_map(
    dictionary: Dictionary,
    labels: Mapping[int, str] | None = None,
    *,
    colour: str = "size",
    method: str = "tsne",
    max_regions: int = 2000,
    min_members: int = 1,
    seed: int = 0,
) -> Figure:
    """Regions as points of a plane, near ones near; for reading.

    method : "tsne" or "pca". Other arguments as for `plot_sphere`; `seed` is t-SNE's.
    """
    one_of("method", method, METHODS)
    one_of("colour", colour, COLOURS)
    seed = whole("seed", seed, 0, 2**32 - 1)
    regions = largest_regions(dictionary, max_regions, min_members)
    place = flat_places(dictionary, regions, method, seed)
    values, norm = colouring(dictionary, regions, colour)
    figure, ax = plt.subplots(figsize=(9, 6.4), layout="constrained")
    size = 6 + 10 * np.sqrt(dictionary.counts[regions].cpu().numpy().clip(1) / 10)
    dots = ax.scatter(
        *place.T, c=values, norm=norm, cmap="viridis", s=size, linewidths=0.3, edgecolors="white"
    )
    ax.set(xticks=[], yticks=[], xlabel=f"{METHODS[method]} 1", ylabel=f"{METHODS[method]} 2")
    figure.colorbar(dots, ax=ax, label=COLOURS[colour], shrink=0.6, pad=0.01)
    here = [i for i, r in enumerate(regions) if r in (labels or {})]
    ax.set_title(f"Map of {len(regions):,} regions{made_of(dictionary)}")
    ax.plot(*place[here].T, "o", color="none", markersize=6, markeredgecolor="black")
    texts = [drawable(labels[regions[i]]) for i in here]
    place_labels(ax, place[here], texts)
    return figure


def flat_places(
    dictionary: Dictionary, regions: np.ndarray, method: str = "tsne", seed: int = 0
) -> np.ndarray:
    """Places of regions (R,) on a plane, (R, 2), by `method` of `plot_map`.

    Raises ValueError for fewer than three regions.
    """
    x = dictionary.exemplars[regions].cpu().double().numpy()
    if len(x) < 3:
        raise ValueError(f"a map needs at least three regions, got {len(x)}; lower min_members")
    if method == "pca":
        return PCA(2, svd_solver="full").fit_transform(x)
    return tsne(x, seed=seed)


def _eligible(dictionary: Dictionary, min_members: int) -> np.ndarray:
    min_members = whole("min_members", min_members, 1)
    eligible = (dictionary.counts >= min_members).nonzero()[:, 0].cpu().numpy()
    if not len(eligible):
        raise ValueError(f"no region has {min_members} members; lower min_members")
    return eligible


def largest_regions(dictionary: Dictionary, n: int, min_members: int) -> np.ndarray:
    """The n largest regions, ties to the lowest index, ascending."""
    n = whole("max_regions", n, 1)
    eligible = _eligible(dictionary, min_members)
    order = np.argsort(-dictionary.counts.cpu().numpy()[eligible], kind="stable")
    return np.sort(eligible[order[:n]])


def colouring(
    dictionary: Dictionary, regions: np.ndarray, colour: str
) -> tuple[np.ndarray, Normalize]:
    if one_of("colour", colour, COLOURS) == "coherence":
        return dictionary.coherence[regions].cpu().numpy(), Normalize(0, 1)
    values = dictionary.counts[regions].cpu().numpy().clip(1)
    return values, LogNorm(1, max(values.max(), 2))


def made_of(dictionary: Dictionary) -> str:
    about = dictionary.metadata
    parts = [f"layer {about['layer']}"] if "layer" in about else []
    parts += [f"p {about['percentile']:g}"] if "percentile" in about else []
    return f" of {', '.join(parts)}" if parts else ""
