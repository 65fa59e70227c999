"""Made-up results of notebook 08: matches with latents and scores of probes."""

import numpy as np
import pandas as pd

from epkit.studies.sae_and_probes import EP, RANDOM, SAE
from epkit.studies.sae_and_probes.comparison import IDENTITY, LatentMatches
from epkit.studies.sae_and_probes.equal_support import Overlap
from epkit.studies.sae_and_probes.probing import BEFORE, FITTED, LATENTS, MEAN, ONE_HOT
from epkit.studies.sae_and_probes.scores import COORDINATE, COORDINATES, RAW, ProbeScores

DOCUMENTS, LENGTH = 20, 50
TRAINED = {"a": 0.99, "b": 0.92, "c": 0.95, "d": 0.7}


def overlap(share, seed=0):
    """Two features; the first, with about `share` of every document's tokens, is matched."""
    rng = np.random.default_rng(seed)
    feature = (rng.random(DOCUMENTS * LENGTH) >= share).astype(int)
    f1 = np.array([0.9, 0.1])
    return Overlap(feature, np.bincount(feature, minlength=2), np.array([3, 5]), f1)


def matches(ep, random, identity=0.4, percentiles=(4, 10)):
    groups = {}
    for p in percentiles:
        groups[EP, p] = [overlap(ep)]
        groups[RANDOM, p] = [overlap(random, 1), overlap(random, 2)]
    groups[IDENTITY, None] = [overlap(identity, 3)]
    return LatentMatches(groups, np.arange(DOCUMENTS * LENGTH) // LENGTH)


def probed(ep, random, sae=0.85, percentiles=(4, 10)):
    """Four sets; a kind's AUROC is its level and a little more or less."""
    levels = {("", 0.0, RAW): 0.96, ("", 0.0, COORDINATES): 0.9, ("", 0.0, COORDINATE): 0.7}
    for p in percentiles:
        levels |= {(EP, p, MEAN): ep, (EP, p, ONE_HOT): 0.6, (RANDOM, p, MEAN): random}
    levels |= {(SAE, 4, LATENTS): sae, (SAE, 4, BEFORE): sae, (EP, 4, FITTED): ep}
    rows = [
        dict(zip(("kind", "p", "readout"), key, strict=True))
        | {"run": 0, "set": name, "AUROC": score, "accuracy": score}
        for i, (key, level) in enumerate(levels.items())
        for name, score in zip(TRAINED, level + 0.01 * np.cos(np.arange(4) * (i + 1)), strict=True)
    ]
    index = ["kind", "p", "readout", "run", "set"]
    return ProbeScores(pd.DataFrame(rows).set_index(index).sort_index(kind="stable"), TRAINED)
