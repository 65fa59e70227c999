"""Made-up activations, responses, tables and settings for the tests of the refusal study."""

import numpy as np
import pandas as pd
import torch

from epkit.stats import Interval
from epkit.studies.refusal.answers import Responses
from epkit.studies.refusal.sweep import RefusalSetting
from epkit.studies.refusal.trials import NULLS, RANDOM
from epkit.studies.refusal.verdict import RefusalFindings


def blobs(n=40, seed=0):
    """(3 n, 6) activations around three far directions, and which blob each is of."""
    rng = torch.Generator().manual_seed(seed)
    blob = torch.arange(3).repeat_interleave(n)
    return 10 * torch.eye(6)[blob] + torch.randn(3 * n, 6, generator=rng) + 1, blob


def responses(refused, losses=(2.0, 4.0), distinct=1.0):
    """Answers of which these are refused, with losses over two tokens each."""
    refused = np.array(refused, dtype=bool)
    losses = np.array(losses)
    return Responses(refused, ("text",) * len(refused), losses, np.full(len(losses), 2), distinct)


def near(value, reach=0.05):
    return Interval(value, max(0.0, value - reach), value + reach)


def results(**changed):
    """A `condition_table` with cells of the chosen edit changed."""
    columns = ["harmful refused", "benign refused", "benign ratio"]
    rows = {
        "no edit": [0.70, 0.10, 1.0],
        "region, mean": [0.05, 0.0, 1.2],
        "centroid-span swap": [0.4, 0.1, 1.1],
    }
    table = pd.DataFrame(
        {name: [near(v) for v in values] for name, values in rows.items()}, index=columns
    ).T
    for column, value in changed.items():
        table.at["region, mean", column.replace("_", " ")] = near(value)
    return table


def controls(null=0.048, random=0.048):
    """A `control_table` with these p."""
    row = {"n": 20, "median": 0.6, "lowest": 0.5, "highest": 0.7}
    rows = {
        name: row | {"as low as the region": round(p * 21) - 1, "p": p}
        for name, p in ((NULLS, null), (RANDOM, random))
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def steered(refused=0.6, ratio=1.2):
    """A `steering_table` of the held-out prompts."""
    rows = [
        ("no edit", 0, 0.1, 1.0),
        ("region", 0.2, refused, ratio),
        ("random direction", 0.4, 0.1, 1.1),
    ]
    columns = ["direction", "α", "refused", "ratio"]
    return pd.DataFrame([(d, a, near(r), near(x)) for d, a, r, x in rows], columns=columns)


def findings(**given):
    """Findings of a region that is specific, necessary and sufficient, with some changed."""
    made = {
        "setting": RefusalSetting(9, 10, "mean", 4, 12),
        "results": results(),
        "controls": controls(),
        "rates": {
            "no edit": np.array([0.75]), "region": np.array([0.0]),
            NULLS: np.full(20, 0.6), RANDOM: np.full(20, 0.7),
        },
        "n_prompts": 12,
        "members": 33,
        "cosine": 0.61,
        "steered": steered(),
        "planted": False,
    }  # fmt: skip
    return RefusalFindings(**made | given)
