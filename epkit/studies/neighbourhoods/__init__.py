"""Notebook 09: does it mean anything that regions are near one another, or between two others?

In the notebook's order:

- `words`: what activations say by their tokens, and the names of regions.
- `neighbours`: what lies between, nearest regions and paths, density of activations.
- `excess`: how much more lies between near regions than by chance, and than for other points.
- `betweenness`, `paths`: anchors of words, and paths, for regions and for points that are none.
- `memberships`: what regions say by their members alone: splits, purity, traits in common.
- `nesting`, `sharing`, `sizes`, `recurrence`: tables of these beside their controls.
- `verdict`: what the tables show, in sentences. `plots`: the figures.
"""
