"""A made-up benchmark, and made-up results, for the tests of concept detection."""

import re

import numpy as np
import torch

from epkit.studies.axbench.comparison import LABELLED, named
from epkit.studies.axbench.configurations import READINGS
from epkit.studies.axbench.data import Concept
from epkit.studies.axbench.protocol import RowActivations
from epkit.studies.axbench.tables import TEXTS


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


def aurocs(kinds, texts=TEXTS, *, readings=READINGS, others=LABELLED, **changes):
    """{method: (runs, 4)}: EP's and others' AUROCs are the same but for `changes`.

    changes : what is added, by the kind or method with _ for what is no letter.
    """
    base = np.array([0.6, 0.7, 0.8, 0.86])

    def runs(name, n):
        added = changes.get(re.sub(r"\W", "_", name), 0)
        return np.stack([base + added + 0.001 * i for i in range(n)])

    found = {
        named(k, r, t): runs(k, 5 if k == "random exemplars" else 3)
        for t in texts for k in kinds for r in readings
    }  # fmt: skip
    return found | {name: runs(name, 1) for name in others}
