"""Figures that several notebooks draw: growth and sizes of an atlas, maps, the sphere, traces."""

from epkit.plots.growth import (
    plot_coherence,
    plot_distances,
    plot_growth,
    plot_sizes,
)
from epkit.plots.map import plot_map, sample_regions
from epkit.plots.sphere import plot_sphere, sphere_cells, turn_sphere
from epkit.plots.trace import plot_trace

__all__ = [
    "plot_coherence",
    "plot_distances",
    "plot_growth",
    "plot_map",
    "plot_sizes",
    "plot_sphere",
    "plot_trace",
    "sample_regions",
    "sphere_cells",
    "turn_sphere",
]
