"""A made-up benchmark for the tests of concept detection."""

import numpy as np
import torch

from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.protocol import RowActivations


def planted(seed=0, n=40, dim=12, tokens=6):
    """2n training and 2n test rows; positives have one token along axis 0 (first concept) or 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4 * n, tokens, dim)) * 0.5 + 2
    positive = np.tile(np.arange(2 * n) < n, 2)
    sides = [positive, ~positive]
    for axis, side in enumerate(sides):
        x[side, rng.integers(tokens), axis] += 6
    flat = torch.tensor(x.reshape(-1, dim), dtype=torch.float32)
    starts = np.arange(4 * n) * tokens
    activations = RowActivations(flat, starts, starts + tokens, n_fed=len(flat))
    train, test = np.arange(2 * n), np.arange(2 * n, 4 * n)
    concepts = [
        Concept(i, f"axis {i}", "text", train, side[train], test, side[test], np.array([], int))
        for i, side in enumerate(sides)
    ]
    return activations, concepts
