"""Tables of notebook 14: measured misses and bytes, the model against real workers, projections.

Does not know: figures, wording.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from epkit.geometry import directions
from epkit.studies.scaling.passes import StreamPass, independent_rounds
from epkit.studies.scaling.seconds import (
    TERMS,
    Growth,
    Rates,
    epoch_seconds,
    project,
    seconds_of,
    sides,
)
from epkit.studies.scaling.traffic import burst, epoch_table, traffic_row

CASES = ("growing", "stopped")
DESIGNS = ("one driver", "two levels")
PAYS = 0.5
"""Share of the ideal speed-up below which more workers no longer pay."""


def miss_table(passes: Mapping[float, StreamPass], workers: int) -> pd.DataFrame:
    """Per percentile: K, misses over the first and the last tenth of the stream, and how many times
    as many as the rate of founding foretells (`burst`)."""
    rows = []
    for p, made in passes.items():
        table, n = epoch_table(made, workers), len(made)
        rows.append({
            "p": p, "θ": made.threshold, "K": len(made.founded), "epochs": len(table),
            "misses, first tenth": _share(table[table.start <= n // 10]),
            "misses, last tenth": _share(table[table.start + table.rows > n - n // 10]),
            "misses / foretold": burst(made, workers),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("p")


def _share(table: pd.DataFrame) -> float:
    return float(table.misses.sum() / table.rows.sum())


def rounds_table(
    x: Tensor, centre: Tensor, made: StreamPass, workers: int, most: int = 4096
) -> pd.DataFrame:
    """Parallel rounds in which an epoch's founders are known among its misses, at most `most`.

    x : (N, D) the activations of the pass, centre (D,); where they are, rounds are counted.
    """
    rows = []
    for epoch in epoch_table(made, workers).itertuples():
        first = made.first[epoch.start : epoch.start + epoch.rows]
        missed = epoch.start + (first >= epoch.start).nonzero()[0][:most]
        if len(missed):
            u = directions(x[torch.as_tensor(missed, device=x.device)].float(), centre)
            rounds = independent_rounds(u, made.threshold)
            rows.append((epoch.start, len(missed), epoch.founders, rounds))
    return pd.DataFrame(rows, columns=["start", "misses looked at", "founders", "rounds"])


def traffic_table(
    passes: Mapping[float, StreamPass], workers: Sequence[int], shown: float
) -> pd.DataFrame:
    """Bytes an activation between driver and workers, at the percentile shown."""
    return pd.DataFrame([traffic_row(passes[shown], w) for w in workers]).set_index("workers")


def modelled(made: StreamPass, workers: int, rates: Rates) -> float:
    """Seconds that the model gives for a pass that was measured."""

    def one(rows: int, misses: int, founders: int, regions: int, touched: int) -> dict[str, float]:
        each = touched / min(workers, rows)
        return epoch_seconds(rows, misses, founders, regions, each, workers, made.dim, rates)

    epochs = epoch_table(made, workers, lambda *epoch: sides(one(*epoch)))
    return sum(seconds_of(one(*epoch[1:])) for epoch in epochs.itertuples(index=False))


def check_table(
    clocked: Mapping[int, tuple[float, float]], model: Mapping[int, float]
) -> pd.DataFrame:
    """Seconds of the driver and of the slowest worker (`workers.critical_path`), by workers (0:
    none), beside those of the model (`modelled`)."""
    table = pd.DataFrame.from_dict(clocked, orient="index", columns=["driver", "slowest worker"])
    table["seconds"] = table.sum(axis=1)
    table["against none"] = table.seconds / table.seconds[0]
    table["modelled"] = pd.Series(model)
    table["modelled / seconds"] = table.modelled / table.seconds
    return table.rename_axis("workers")


def projections(
    growth: Growth, n: int, dim: int, rates: Rates, totals: Sequence[float],
    workers: Sequence[int], rounds: int,
) -> pd.DataFrame:  # fmt: skip
    """Hours for every case of growth, design, number of workers and of activations.

    n : activations after which the second case founds nothing.
    """
    rows = []
    for case in CASES:
        law = growth if case == "growing" else growth.stopped(n)
        for design in DESIGNS:
            for w in workers:
                groups = 1 if design == "one driver" else max(1, round(w**0.5))
                for total in totals:
                    found = project(
                        total, w, law, dim, rates, groups=groups, rounds=rounds * (groups > 1)
                    )
                    hours = seconds_of(found) / 3600
                    most = max(TERMS, key=lambda term: found[term])
                    rows.append((case, design, w, total, hours, found["regions"], most))
    columns = ["case", "design", "workers", "activations", "hours", "regions", "most"]
    table = pd.DataFrame(rows, columns=columns)
    one = table[table.workers == 1].set_index(["case", "design", "activations"]).hours
    keys = table.set_index(["case", "design", "activations"]).index
    table["efficiency"] = one.loc[keys].to_numpy() / table.hours / table.workers
    return table


def projected_table(
    table: pd.DataFrame, workers: Sequence[int], design: str = "one driver"
) -> pd.DataFrame:
    """Time by activations and workers, for people: rows (case, activations), a column a W."""
    part = table[(table.design == design) & table.workers.isin(workers)]
    part = part.assign(time=[duration(h) for h in part.hours])
    wide = part.pivot(index=["case", "activations"], columns="workers", values="time")
    wide.insert(0, "K", part.groupby(["case", "activations"]).regions.first())
    return wide


def pays_until(table: pd.DataFrame, case: str, design: str, total: float) -> int:
    """The most workers that still reach `PAYS` of the ideal speed-up."""
    part = table[(table.case == case) & (table.design == design) & (table.activations == total)]
    part = part.sort_values("workers")
    return int(part.workers[(part.efficiency >= PAYS).cummin()].max())


def paying_table(table: pd.DataFrame) -> pd.DataFrame:
    """The most workers that pay, by activations; one column a case and design."""
    rows = {
        (case, design): {
            total: pays_until(table, case, design, total) for total in table.activations.unique()
        }
        for case in CASES for design in DESIGNS
    }  # fmt: skip
    return pd.DataFrame(rows).rename_axis("activations")


def duration(hours: float) -> str:
    """Hours as people say it."""
    for least, unit, size in ((48, "d", 24), (1, "h", 1), (1 / 60, "min", 1 / 60)):
        if hours >= least:
            value = hours / size
            return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"
    return f"{hours * 3600:.2g} s"
