"""What workers and driver send one another, epoch by epoch, for a pass that was measured.

A miss travels as its stream position and direction, a founder as the same to every worker, and a
worker returns the sums of each region that its rows touched, with the members that are kept. Epochs
are as long as `epkit.scale` makes them.

Does not know: time, machines.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd

from epkit.members import KEPT, KINDS
from epkit.scale.epochs import FIRST, deal, next_length
from epkit.studies.scaling.passes import StreamPass

POSITION = 8
TOKEN = 4
MEMBERS = len(KINDS) * KEPT * (8 + 8 + 4)
"""Bytes of the kept members of a region: key, position, distance."""


def row_bytes(dim: int) -> int:
    """A miss or a founder."""
    return POSITION + 4 * dim


def sum_bytes(dim: int, members: bool = True) -> int:
    """What a worker returns for a region: its number, the sums, and the kept members."""
    return POSITION + 8 * (dim + 3) + (MEMBERS if members else 0)


def epoch_table(
    made: StreamPass,
    workers: int,
    clock: Callable[..., tuple[float, float]] = lambda *epoch: (1.0, 1.0),
) -> pd.DataFrame:
    """The epochs of a pass dealt to `workers`, one a row.

    clock : seconds of the driver and of the workers for an epoch's columns from `rows` on; by
        default equal, so that no epoch grows for the driver's being idle.

    start, rows, misses, founders, regions (known before), touched (regions that a worker returns,
    summed over workers).
    """
    table, start, length = [], 0, FIRST
    while start < len(made):
        end = min(start + length, len(made))
        known, after = made.regions_before(start), made.regions_before(end)
        cuts = [start + cut for cut in deal(end - start, [1.0] * workers)]
        touched = [len(np.unique(made.region[a:b])) for a, b in itertools.pairwise(cuts)]
        misses = made.misses(start, end)
        table.append((start, end - start, misses, after - known, known, sum(touched)))
        length, start = next_length(length, misses, workers, *clock(*table[-1][1:])), end
    return pd.DataFrame(
        table, columns=["start", "rows", "misses", "founders", "regions", "touched"]
    )


def foretold_misses(made: StreamPass, table: pd.DataFrame) -> np.ndarray:
    """Misses of epochs by the rate at which regions were founded in the eighth before each: what
    they would be if the rows came in random order."""
    window = np.maximum(table.start // 8, 1)
    before = [
        made.regions_before(start) - made.regions_before(start - w)
        for start, w in zip(table.start, window, strict=True)
    ]
    return np.array(before) / window.to_numpy() * table.rows.to_numpy()


def burst(made: StreamPass, workers: int = 1) -> float:
    """How many times as many rows miss as the rate of founding foretells, after the first tenth of
    the stream: a document repeats its own words, and an epoch's rows do not see its founders."""
    table = epoch_table(made, workers)
    late = table[table.start > len(made) // 10]
    foretold = foretold_misses(made, late).sum()
    return float(late.misses.sum() / foretold) if foretold else 1.0


def with_bytes(table: pd.DataFrame, dim: int, workers: int, members: bool = True) -> pd.DataFrame:
    """The table with bytes between driver and workers: `tokens` and `new exemplars` out, `missed`
    and `sums` in."""
    return table.assign(**{
        "tokens": table.rows * TOKEN,
        "missed": table.misses * row_bytes(dim),
        "new exemplars": table.founders * row_bytes(dim) * workers,
        "sums": table.touched * sum_bytes(dim, members),
    })  # fmt: skip


PARTS = ["tokens", "missed", "new exemplars", "sums"]


def traffic_row(made: StreamPass, workers: int) -> dict[str, object]:
    """A pass by so many workers: epochs, share of rows that missed, bytes for an activation."""
    table = with_bytes(epoch_table(made, workers), made.dim, workers)
    row = {
        "workers": workers, "epochs": len(table), "rows that miss": table.misses.sum() / len(made),
    }  # fmt: skip
    row |= {f"{part}, B": table[part].sum() / len(made) for part in PARTS}
    row["all, of an activation"] = sum(table[p].sum() for p in PARTS) / len(made) / (4 * made.dim)
    return row
