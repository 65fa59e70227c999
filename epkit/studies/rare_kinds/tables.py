"""From rows of single streams to tables: means of every kind, and differences between readers.

What is to be told is how readers differ on kinds of text that nobody has thought of, so kinds are
the units: rows are averaged over streams within a kind, and intervals are Student's t over kinds.

Does not know: activations, dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from epkit.stats import Interval, least_detectable, t_interval
from epkit.studies.rare_kinds.kinds import NO_KIND
from epkit.studies.rare_kinds.readers import EP, METHODS
from epkit.studies.rare_kinds.unlike import RULES, read_at_random

BUDGET = 50
"""Regions that somebody may be willing to read."""

RECORD = "rare_kinds.csv"

KEYS = ["prevalence", "p", "method", "kind"]


def choose_rules(rows: pd.DataFrame, on: str, prevalence: float, p: float) -> dict[str, str]:
    """{reader: the rule by which fewest regions are read until kind `on` is seen} at one setting.

    Fewest by the mean logarithm over streams; of equal ones the first of `RULES`. Readers that are
    not ranked have none.
    """
    own, chosen = setting_of(rows[rows.kind == on], prevalence, p), {}
    for method in own.method.unique():
        read = own.loc[own.method == method, [f"read: {rule}" for rule in RULES]]
        if read.notna().all(axis=None):
            chosen[method] = list(RULES)[int(np.log2(read).mean().to_numpy().argmin())]
    return chosen


def by_kind(rows: pd.DataFrame, rules: Mapping[str, str]) -> pd.DataFrame:
    """Means over streams: a row a prevalence, percentile, reader and kind.

    Columns: streams, K, found (share of the streams), recall, false_share; rule, and by it
    log2_read (regions read until seen), log2_random (the same expected in random order) and seen
    (share of streams in which it is within `BUDGET`); "" and nan for a reader without a rule.
    """
    read = np.array([
        row.get(f"read: {rules.get(row['method'])}", np.nan) for row in rows.to_dict("records")
    ])  # fmt: skip
    random = read_at_random(rows.readable, rows.regions)
    each = rows.assign(
        found=(rows.regions > 0).astype(float),
        log2_read=np.log2(read),
        log2_random=np.where(np.isnan(read), np.nan, np.log2(random)),
        seen=np.where(np.isnan(read), np.nan, read <= BUDGET),
    )
    values = ["K", "found", "recall", "false_share", "log2_read", "log2_random", "seen"]
    grouped = each.groupby(KEYS, sort=False)
    made = grouped[values].mean().assign(streams=grouped.size()).reset_index()
    return made.assign(rule=[rules.get(method, "") for method in made.method])


def setting_of(table: pd.DataFrame, prevalence: float, p: float) -> pd.DataFrame:
    """The rows of one prevalence and percentile; ValueError where there are none."""
    own = table[(table.prevalence == prevalence) & (table.p == p)]
    if own.empty:
        raise ValueError(f"nothing was measured at a prevalence of {prevalence:g} % and p {p:g}")
    return own


def found_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row a reader, at one setting: runs with a region of the kind, recall and false share.

    table : of `setting_of`. The last two columns are for passages of no kind.
    """
    out = {}
    for method in (m for m in METHODS if (table.method == m).any()):
        own = table[(table.method == method) & (table.kind != NO_KIND)]
        none = table[(table.method == method) & (table.kind == NO_KIND)]
        out[method] = {
            "found": _runs(own),
            "share": own.found.mean(),
            "recall": own.recall.mean(),
            "false share": own.false_share.mean(),
            "found, no kind": _runs(none),
            "recall, no kind": none.recall.mean(),
        }
    return pd.DataFrame(out).T


def _runs(table: pd.DataFrame) -> str:
    return f"{round((table.found * table.streams).sum())} of {table.streams.sum()}"


def kind_values(table: pd.DataFrame, method: str, column: str, kinds: list[str]) -> np.ndarray:
    """A reader's column at one setting, a value a kind."""
    return table[table.method == method].set_index("kind").loc[kinds, column].to_numpy()


def kind_differences(table: pd.DataFrame, columns: list[str], kinds: list[str]) -> pd.DataFrame:
    """EP less every other reader at one setting: t intervals over kinds, a row a reader."""
    out = {}
    for method in (m for m in METHODS if m != EP and (table.method == m).any()):
        pairs = {c: [kind_values(table, m, c, kinds) for m in (EP, method)] for c in columns}
        if not any(np.isnan(pair).any() for pair in pairs.values()):
            out[method] = {c: t_interval(a - b) for c, (a, b) in pairs.items()}
    return pd.DataFrame(out).T


def reading_table(table: pd.DataFrame, kinds: list[str]) -> pd.DataFrame:
    """A row a reader, at one setting and on the kinds that chose no rule.

    Columns: rule; read, the geometric mean of regions read until the kind is seen; in random order,
    the same expected; of random order, their ratio with its interval; seen within `BUDGET`.
    """
    out, rules = {}, dict(zip(table.method, table.rule, strict=True))
    for method in (m for m in METHODS if rules.get(m)):
        read, random, seen = (
            kind_values(table, method, c, kinds) for c in ("log2_read", "log2_random", "seen")
        )
        out[method] = {
            "rule": rules[method],
            "read": 2 ** read.mean(),
            "in random order": 2 ** random.mean(),
            "of random order": power(t_interval(read - random)),
            f"seen within {BUDGET}": seen.mean(),
        }
    return pd.DataFrame(out).T


def power(log2: Interval) -> Interval:
    """A difference of log2 as a ratio."""
    return Interval(*(float(2**value) for value in log2))


def save_record(table: pd.DataFrame, folder: str | Path) -> Path:
    """Add a table of `by_kind` to what is recorded, to be shown by later runs (`load_record`).

    Rows of a prevalence, percentile, reader and kind that are there already are replaced. Returns
    the path.
    """
    path = Path(folder) / RECORD
    parts = [load_record(folder), table.round(4)] if path.is_file() else [table.round(4)]
    whole = pd.concat(parts).drop_duplicates(KEYS, keep="last")
    whole.sort_values(KEYS[:2], kind="stable").to_csv(path, index=False)
    return path


def load_record(folder: str | Path) -> pd.DataFrame:
    """What `save_record` wrote; FileNotFoundError where nothing is recorded."""
    return pd.read_csv(Path(folder) / RECORD, keep_default_na=False, na_values={
        column: [""] for column in ("log2_read", "log2_random", "seen")
    })  # fmt: skip


def least_shown(cell: Interval) -> str:
    """What an open difference could have shown, in brackets; nothing where it is shown."""
    return cell.side("", "", least_detectable(cell, " (detectable: {:.2f})"))


def curve(table: pd.DataFrame, over: str, column: str) -> pd.DataFrame:
    """Mean over kinds of a column, a row a value of `over` (prevalence or p), a column a reader."""
    own = table[table.kind != NO_KIND]
    lines = own.pivot_table(index=over, columns="method", values=column)
    return lines.reindex(columns=[m for m in METHODS if (own.method == m).any()])
