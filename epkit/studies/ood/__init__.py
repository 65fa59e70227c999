"""Notebook 05: does the distance to the nearest exemplar tell foreign text from familiar one?

- `scores`: texts of equal length, and the scores that the distance is compared with.
- `plots`: the figures.

The monitor itself is `epkit.monitor`; AUROC with intervals over texts is in `epkit.stats`.
"""
