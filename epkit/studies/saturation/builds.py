"""The builds of the study: every domain in every order and of every set of documents.

Each function clusters the directions of one layer in one calibration at one percentile, and gives
a table with a row a build, or the dictionaries where they are needed again.

Does not know: models, layers, how streams were made, what the numbers say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import Calibration
from epkit.dictionary import Dictionary
from epkit.geometry import directions
from epkit.stats import Interval
from epkit.studies.saturation.estimates import chao1, chao2
from epkit.studies.saturation.growth import (
    GrowthState,
    doubling_reached,
    founding_rows,
    grow,
    growth_state,
    prefix_regions,
    regions_at,
)
from epkit.studies.saturation.orders import revisited
from epkit.studies.saturation.pool import MIXED, Plan, Pool


def seen_from(x: Tensor, calibration: Calibration) -> Tensor:
    """Directions of activations (N, D) float32, from a calibration's centre, where they are."""
    return directions(x, calibration.centre.to(x.device))


def with_shared_thresholds(calibrations: Mapping[int, Calibration]) -> dict[int, Calibration]:
    """The same centres, and for every percentile one θ for all layers, the mean of theirs."""
    some = next(iter(calibrations.values())).thresholds
    mean = {p: float(np.mean([c.thresholds[p] for c in calibrations.values()])) for p in some}
    return {layer: replace(c, thresholds=mean) for layer, c in calibrations.items()}


def threshold_curves(u: Tensor, thresholds: Sequence[float], pool: Pool) -> pd.DataFrame:
    """K of every domain's own order at each θ: columns domain, θ, K. u : (N, D) of the pool."""
    return pd.DataFrame([
        {"domain": name, "θ": θ, "K": len(founding_rows(u[pool.rows(name).to(u.device)], θ))}
        for name in pool.domains for θ in thresholds
    ])  # fmt: skip


def order_builds(
    u: Tensor, calibration: Calibration, p: float, pool: Pool, plan: Plan, *, quiet_window: int
) -> tuple[pd.DataFrame, dict[str, Dictionary]]:
    """Build every order of every domain; u : (N, D) directions of the pool.

    Returns
    -------
    table : columns domain, order; K, half, quarter (after the whole, half, quarter of the stream);
        founded, the (K,) positions of founding; verdict; quiet at, quiet missed: where
        `quiet_window` activations had founded nothing, and what share of its regions came after;
        doubled at, doubled missed: the same of `doubling_reached`; Chao1, Chao2 from the first
        half (none for the mixed stream).
    first : {domain: dictionary of its own order}.
    """
    rows, first = [], {}
    for name, orders in plan.orders.items():
        for i, order in enumerate(orders):
            v = u[order.to(u.device)]
            d = grow(v, calibration, p)
            state = growth_state(d, plan.repeats[name, i]).state
            document = pool.document[order]
            row = {"domain": name, "order": i, "verdict": state} | _sizes(d, pool.n, quiet_window)
            if name != MIXED:
                half = _estimates(d, v, document, pool.n // 2)
                row |= {estimator: value.value for estimator, value in half.items()}
            if i == 0:
                first[name] = d
            rows.append(row)
    return pd.DataFrame(rows), first


def _sizes(d: Dictionary, n: int, quiet_window: int) -> dict[str, object]:
    stops = {"quiet": d.saturated_at(quiet_window), "doubled": doubling_reached(d)}
    missed = {
        name: np.nan if at is None else len(d) / regions_at(d, at) - 1 for name, at in stops.items()
    }
    return {
        "K": len(d),
        "half": regions_at(d, n // 2),
        "quarter": regions_at(d, n // 4),
        "founded": d.exemplar_index.cpu().numpy(),
    } | {f"{name} at": np.nan if at is None else at for name, at in stops.items()} | {
        f"{name} missed": share for name, share in missed.items()
    }  # fmt: skip


def _estimates(d: Dictionary, u: Tensor, document: Tensor, n: int) -> dict[str, Interval]:
    """Both estimates from the first n activations."""
    region = prefix_regions(d, u, n)
    return {"Chao1": chao1(region.bincount()), "Chao2": chao2(region, document[:n])}


def growth_curves(runs: pd.DataFrame, n: int, points: int = 60) -> pd.DataFrame:
    """K after 100 … n activations, at lengths spaced evenly in their logarithm.

    runs : columns p, domain, order, founded, a row a build. Returns columns p, domain, order, n, K.
    """
    ticks = np.unique(np.geomspace(100, n, points).astype(int))
    parts = [
        pd.DataFrame({
            "p": row.p, "domain": row.domain, "order": row.order,
            "n": ticks, "K": np.searchsorted(row.founded, ticks),
        })
        for row in runs.itertuples()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def set_builds(
    u: Tensor, calibration: Calibration, p: float, pool: Pool, plan: Plan
) -> pd.DataFrame:
    """Build every set of documents: columns domain, block, K, types (distinct tokens)."""
    return pd.DataFrame([
        {
            "domain": name, "block": i, "K": len(grow(u[block.to(u.device)], calibration, p)),
            "types": len(pool.token[block].unique()),
        }
        for name, blocks in plan.blocks.items() for i, block in enumerate(blocks)
    ])  # fmt: skip


def repeated_corpus(
    u: Tensor, calibration: Calibration, p: float, pool: Pool, domain: str, times: int
) -> tuple[Dictionary, GrowthState, GrowthState]:
    """The beginning of a domain read `times` times, to its stream's length, and what is said of it.

    u : (N, D) directions of the pool. Returns the dictionary, the verdict on growth alone, and the
    one that looks for repetition, both at a tolerance of 20 %, K being small.
    """
    once = pool.n // times
    rows = pool.rows(domain)[:once].repeat(times)
    window = pool.window[rows]
    again = torch.arange(times).repeat_interleave(once) * (int(window.max()) + 1)
    d = grow(u[rows.to(u.device)], calibration, p)
    blind = growth_state(d, torch.zeros(len(rows), dtype=torch.bool), tolerance=0.2)
    guarded = growth_state(d, revisited(pool.token[rows], window + again), tolerance=0.2)
    return d, blind, guarded
