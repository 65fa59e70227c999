"""The estimators tried on made-up streams: fixed classes, whose number is known, and a continuum.

Does not know: models, tokens, corpora.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import calibrate
from epkit.geometry import directions
from epkit.stats import Interval
from epkit.studies.saturation.estimates import chao1, chao2, extrapolate
from epkit.studies.saturation.growth import grow, prefix_regions, regions_at

TRUTH = 300
"""Classes of every simulated stream."""
EQUAL, UNEQUAL = "equal classes", "classes of unequal frequency"
CLUMPED = "documents of six classes each"


def simulated_stream(kind: str, seed: int, length: int = 6000) -> tuple[Tensor, Tensor]:
    """Class and document of every draw of a made-up stream, in documents of a 60th of `length`.

    kind : EQUAL (700 draws, so that some classes are not met), UNEQUAL (frequencies fall with the
        rank to the power 1.5) or CLUMPED. Returns two (n,) int64.
    """
    rng = np.random.default_rng(seed)
    document = torch.arange(60).repeat_interleave(length // 60)
    if kind == CLUMPED:
        own = rng.integers(TRUTH, size=(60, 6))
        return torch.from_numpy(own[document, rng.integers(6, size=length)]), document
    weight = np.ones(TRUTH) if kind == EQUAL else 1 / np.arange(1, TRUTH + 1) ** 1.5
    taken = 700 if kind == EQUAL else length
    drawn = rng.choice(TRUTH, taken, p=weight / weight.sum())
    return torch.from_numpy(drawn), document[:taken]


def class_trials(streams: int = 40) -> pd.DataFrame:
    """Mean estimates over streams of each kind, and how often the interval covers the truth.

    Columns partition, true, seen, Chao1, Chao1 covers, Chao2, Chao2 covers.
    """
    rows = []
    for kind in (EQUAL, UNEQUAL, CLUMPED):
        drawn = [simulated_stream(kind, seed) for seed in range(streams)]
        seen = np.mean([len(region.unique()) for region, _ in drawn])
        row = {"partition": kind, "true": TRUTH, "seen": seen}
        estimates = {
            "Chao1": [chao1(region.bincount()) for region, _ in drawn],
            "Chao2": [chao2(region, document) for region, document in drawn],
        }
        for name, found in estimates.items():
            row[name] = np.mean([e.value for e in found])
            row[f"{name} covers"] = f"{np.mean([e.low <= TRUTH <= e.high for e in found]):.0%}"
        rows.append(row)
    return pd.DataFrame(rows)


def continuum_trial(seed: int, n: int = 8000, dim: int = 24) -> tuple[dict[str, object], Interval]:
    """Leader regions of a heavy-tailed cloud, estimated from its first half; always on the CPU.

    Returns a row for `class_trials` ("true" is K of the whole) and the laws' prediction of it.
    """
    rng = np.random.default_rng(seed)
    scaled = rng.normal(size=(n, dim)) * np.arange(1, dim + 1) ** -0.7
    cloud = torch.tensor(scaled, dtype=torch.float32)
    calibration = calibrate(cloud[: n // 4], [8], device="cpu")
    u = directions(cloud, calibration.centre)
    d = grow(u, calibration, 8)
    quarter, half = regions_at(d, n // 4), regions_at(d, n // 2)
    region = prefix_regions(d, u, n // 2)
    row = {
        "partition": f"leader rule on a continuum, {n // 2:,} of {n:,}",
        "true": len(d),
        "seen": half,
        "Chao1": chao1(region.bincount()).value,
        "Chao2": chao2(region, torch.arange(n // 2) // 100).value,
    }
    return row, extrapolate(quarter, half)
