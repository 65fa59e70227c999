"""Held-out results of a run kept as a table of text, so that another run can show them.

Does not know: how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from epkit.stats import Interval
from epkit.studies.refusal.verdict import brief

SHOWN = ("harmful refused", "benign refused", "benign ratio")


def brief_results(
    results: pd.DataFrame, controls: pd.DataFrame, rates: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """`condition_table` and `control_table` as one table of text, a row a condition or a kind of
    control; of controls the median, lowest and highest rate on their own few prompts."""
    rows = {
        name: {column: brief(row[column]) for column in SHOWN} for name, row in results.iterrows()
    }
    few = rates["region"][0]
    rows["region, the controls' prompts"] = {SHOWN[0]: f"{few:.2f}"}
    for kind, c in controls.iterrows():
        span = Interval(c["median"], c.lowest, c.highest)
        below = f"{c['as low as the region']:.0f} as low as the region"
        rows[f"{c.n:.0f} {kind}"] = {SHOWN[0]: f"{brief(span)}, {below}"}
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*SHOWN]).fillna("")


def record_path(folder: str | Path, model: str) -> Path:
    """Where a model's results lie."""
    return Path(folder) / f"refusal_{Path(model).name}.csv"


def recorded(folder: str | Path, but: str) -> dict[str, pd.DataFrame]:
    """{model: what a run on it wrote at `record_path`}, of all models `but` one."""
    own = record_path(folder, but)
    return {
        path.stem.removeprefix("refusal_"): pd.read_csv(path, index_col=0, keep_default_na=False)
        for path in sorted(Path(folder).glob("refusal_*.csv"))
        if path != own
    }
