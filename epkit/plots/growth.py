"""Pictures of a whole atlas: growth, sizes, coherence, distances of members.

Functions take an atlas {(layer, percentile): Dictionary} and return a matplotlib Figure that is not
shown yet, with one panel per layer and one colour per percentile.

Does not know: models, tokenizers. `map` and `sphere` draw the regions of one dictionary.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from epkit.checks import whole
from epkit.dictionary import Dictionary

Atlas = Mapping[tuple[int, float], Dictionary]

PANEL = (4.6, 4.1)
"""Width and height of a panel in inches."""


def plot_growth(atlas: Atlas) -> Figure:
    """Regions founded against activations seen; a curve that lies flat has saturated."""
    figure, axes, colours = _panels(atlas)
    for (layer, p), d in atlas.items():
        seen, regions = d.growth()
        axes[layer].plot(seen, regions, color=colours[p], label=f"p {p:g}: {len(d):,}")
    for layer, ax in axes.items():
        ax.set(title=f"layer {layer}", xlabel="activations seen", ylim=(0, None))
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.yaxis.set_major_formatter("{x:,.0f}")
        _legend_below(ax, "percentile: regions")
    _leftmost(axes).set_ylabel("regions founded")
    figure.suptitle("Growth of the dictionary")
    return figure


def plot_sizes(atlas: Atlas) -> Figure:
    """Members of every region against its rank by size, both on logarithmic axes."""
    figure, axes, colours = _panels(atlas)
    for (layer, p), d in atlas.items():
        counts = d.counts.cpu().sort(descending=True).values
        alone = (counts == 1).double().mean().item()
        label = f"p {p:g}: {alone:.0%}"
        axes[layer].plot(np.arange(1, len(d) + 1), counts, color=colours[p], label=label)
    for layer, ax in axes.items():
        ax.set(title=f"layer {layer}", xlabel="rank of the region", xscale="log", yscale="log")
        _legend_below(ax, "percentile: regions of one member")
    _leftmost(axes).set_ylabel("members")
    figure.suptitle("Sizes of the regions")
    return figure


def plot_coherence(atlas: Atlas, min_members: int = 5) -> Figure:
    """Distribution of coherence |Σu|/N over the regions with at least `min_members` members."""
    min_members = whole("min_members", min_members, 1)
    figure, axes, colours = _panels(atlas)
    for (layer, p), d in atlas.items():
        coherence = d.coherence[d.counts >= min_members].cpu().numpy()
        label = f"p {p:g}: {len(coherence):,}"
        _shares(axes[layer], coherence, None, np.linspace(0, 1, 51), colours[p], label)
    for layer, ax in axes.items():
        ax.set(title=f"layer {layer}", xlabel="coherence", xlim=(0, 1))
        _legend_below(ax, "percentile: regions")
    _leftmost(axes).set_ylabel("share of regions")
    figure.suptitle(f"Coherence of the regions with {min_members} members or more")
    return figure


def plot_distances(atlas: Atlas) -> Figure:
    """Distances of members to their exemplar, against the threshold θ (dotted).

    From the random members that a build keeps of every region, each weighted by the members it
    stands for; exemplars themselves, at distance 0, are left out.

    Raises ValueError for a dictionary without members.
    """
    figure, axes, colours = _panels(atlas)
    for (layer, p), d in atlas.items():
        if d.members is None:
            raise ValueError(f"the dictionary of layer {layer}, p {p:g} has no members: build it")
        distance, weight = _sampled_distances(d)
        label = f"p {p:g}: {d.threshold:.2f}"
        _shares(axes[layer], distance, weight, np.linspace(0, 2, 101), colours[p], label)
        axes[layer].axvline(d.threshold, color=colours[p], linestyle=":")
    for layer, ax in axes.items():
        widest = max(d.threshold for (at, _), d in atlas.items() if at == layer)
        ax.set(title=f"layer {layer}", xlabel="distance to the exemplar", xlim=(0, 1.1 * widest))
        _legend_below(ax, "percentile: θ")
    _leftmost(axes).set_ylabel("share of members")
    figure.suptitle("Distances of members, and the threshold")
    return figure


def _sampled_distances(d: Dictionary) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the kept random members that are not exemplars, and their weights."""
    own = d.exemplar_index.cpu()[:, None]
    member = (d.members.random_index >= 0) & (d.members.random_index != own)
    weight = (d.counts.cpu() - 1)[:, None] / member.sum(1, keepdim=True).clamp(min=1)
    return d.members.random_distance[member].numpy(), weight.expand_as(member)[member].numpy()


def _shares(
    ax: Axes, values: np.ndarray, weights: np.ndarray | None, bins: np.ndarray, colour, label: str
) -> None:
    """An outlined histogram whose bars add up to 1; nothing but a legend entry for no values."""
    weights = np.ones(len(values)) if weights is None else weights
    ax.hist(
        values, bins=bins, weights=weights / max(weights.sum(), 1e-12), histtype="step",
        color=colour, label=label, linewidth=1.5,
    )  # fmt: skip


def _panels(atlas: Atlas) -> tuple[Figure, dict[int, Axes], dict[float, tuple]]:
    """A figure with one panel per layer, and a colour per percentile."""
    if not isinstance(atlas, Mapping):
        raise TypeError(
            f"atlas must be {{(layer, percentile): Dictionary}}, got a {type(atlas).__name__}"
        )
    if not atlas:
        raise ValueError("the atlas is empty: there is no dictionary to draw")
    layers = sorted({layer for layer, _ in atlas})
    percentiles = sorted({p for _, p in atlas})
    figure, axes = plt.subplots(
        1, len(layers), figsize=(PANEL[0] * len(layers), PANEL[1]), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax in axes[0]:
        sns.despine(ax=ax)
    palette = sns.color_palette("viridis", len(percentiles))
    return (
        figure,
        dict(zip(layers, axes[0], strict=True)),
        dict(zip(percentiles, palette, strict=True)),
    )


def _legend_below(ax: Axes, title: str) -> None:
    """Under the panel, where it hides no curve."""
    ax.legend(title=title, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))


def _leftmost(axes: dict[int, Axes]) -> Axes:
    """The leftmost panel."""
    return next(iter(axes.values()))


def plain_ticks(axis: Axis, steps: Sequence[int] = (1, 2, 5)) -> None:
    """Numbers at `steps` of every decade of a logarithmic axis, not powers of ten."""
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(NullFormatter())
