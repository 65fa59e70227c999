"""Notebook 10: how much of a dictionary comes again, what helps, and what layers have in common.

- `recurrence`: regions found again in another order or sample, and what predicts it.
- `variants`: remedies against the accidents of order, and the rule under another distance.
- `trajectories`: the same tokens through the regions of every layer.
- `plots`: the figures.
"""
