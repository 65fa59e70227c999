"""Notebook 06: what does fine-tuning change in the partition, and does what it put in stand out?

- `counterparts`: how much a region lacks a counterpart in the other model.
- `plots`: the figures.

Regions are matched by `epkit.matching`.
"""
