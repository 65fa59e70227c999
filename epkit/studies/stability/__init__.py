"""Notebook 10: how much of a dictionary comes again, what helps, and what layers have in common.

- `recurrence`: regions found again in another order or sample, and what predicts it.
- `splits`: the runs of pairs of parts, and how alike they are; what a cut by stability keeps.
- `alternatives`: other ways to as many directions, and whose regions come again.
- `variants`, `remedies`: remedies against the accidents of order, and what they gain.
- `distances`: the rule under other distances.
- `trajectories`, `following`: the same tokens through the regions of every layer.
- `verdict`: what came of it, in sentences; `plots`: the figures.
"""
