"""Made-up prompts' activations, tables and settings for the tests of the refusal study."""

import pandas as pd
import torch

from epkit.studies.refusal.trials import RefusalSetting
from epkit.studies.refusal.verdict import RefusalFindings


def blobs(n=40, seed=0):
    """(3 n, 6) activations around three far directions, and which blob each is of."""
    rng = torch.Generator().manual_seed(seed)
    blob = torch.arange(3).repeat_interleave(n)
    return 10 * torch.eye(6)[blob] + torch.randn(3 * n, 6, generator=rng) + 1, blob


def findings(**given):
    """Findings of a direction that is necessary and sufficient, with some changed."""
    columns = ["harmful refused", "harmful low", "harmful high", "benign refused"]
    columns += ["harmful perplexity", "benign perplexity", "benign perplexity ratio"]
    results = {
        "no edit": [0.96, 0.9, 0.99, 0.05, 1.1, 1.28, 1.0],
        "mean": [0.03, 0.01, 0.08, 0.0, 1.5, 1.36, 1.06],
        "null region": [0.98, 0.9, 1.0, 0.2, 1.1, 1.5, 1.2],
        "difference of means": [0.02, 0.0, 0.07, 0.0, 1.6, 1.4, 1.1],
    }
    steered = {"direction": ["mean, layer 9"] * 2, "refused": [0.1, 0.6], "perplexity": [1.2, 1.5]}
    others = {"harmful refused": [0.0, 0.5], "harmful perplexity": [2.3, 3.0]}
    made = {
        "setting": RefusalSetting(9, 10, "mean", 4, 12, 1.8),
        "results": pd.DataFrame(results, index=columns).T,
        "sizes": pd.DataFrame({"members": [83.0, 23.0]}, index=["region", "null region (p = 7)"]),
        "cosines": {"mean": 0.98, "null region": -0.16, "difference of means": 1.0},
        "others": pd.DataFrame(others, index=["calibrated centre, region", "contrast"]),
        "steered": pd.DataFrame(steered),
        "orders": [0.03, 0.09],
        "untuned": 2.43,
        "planted": True,
    }
    return RefusalFindings(**made | given)
