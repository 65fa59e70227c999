"""Notebook 09: does it mean anything that regions are near one another, or between two others?

- `neighbours`: what lies between, nearest regions and paths, density of activations.
- `memberships`: what regions say by their members alone: splits, purity, traits in common.
- `plots`: the figures.
"""
