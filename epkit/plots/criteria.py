"""The one table over all notebooks: which dictionary of one stream is best at what, at equal K.

Notebooks record a row per criterion and dictionary (`record_criteria`), of whatever criteria they
measure; whoever shows the table copes with those that are missing. In every criterion a higher
value is the better one. Columns of a record:

    criterion, dictionary     what was measured, of what
    value, low, high          mean and its 95 % interval
    detectable                least difference from random exemplars that would have been shown
                              (power .8); empty for random exemplars themselves
    setting                   "01: gemma-3-270m, layer 12, …": the notebook and what it was run on

Two dictionaries are told apart at a criterion where they differ by more than the larger of their
detectable differences. Strictly that is the resolution of a comparison with random exemplars; of
other pairs no difference was recorded, and it stands in for theirs.

Does not know: how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from epkit.files import write_text
from epkit.stats import Interval

COLUMNS = ["criterion", "dictionary", "value", "low", "high", "detectable", "setting"]
CONTROLS = ("random exemplars", "k-means")
"""What a kind of EP has to beat to be recommended."""


def read_criteria(path: str | Path) -> pd.DataFrame:
    """A record, in the order written.

    Raises FileNotFoundError, or ValueError for missing columns or a dictionary that stands twice
    at one criterion.
    """
    return _checked(pd.read_csv(path), str(path))


def criterion_row(
    criterion: str, dictionary: str, interval: Interval, detectable: float, setting: str
) -> dict[str, object]:
    """A row of a record. detectable : nan for the control."""
    return {
        "criterion": criterion, "dictionary": dictionary, **interval._asdict(),
        "detectable": detectable, "setting": setting,
    }  # fmt: skip


def record_criteria(path: str | Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Write rows into a record, in place of what it had of the same criteria; gives the whole.

    path : made where it is not there. rows : with the columns of the module; three decimals kept.
    Raises ValueError as `read_criteria` does.
    """
    path, rows = Path(path), _checked(rows, "rows")
    if path.is_file():
        kept = read_criteria(path)
        kept = kept[~kept.criterion.isin(rows.criterion)]
        rows = pd.concat([kept, rows], ignore_index=True) if len(kept) else rows
    write_text(path, rows[COLUMNS].to_csv(index=False, float_format="%.3f"))
    return read_criteria(path)


def criteria_table(record: pd.DataFrame) -> pd.DataFrame:
    """A row a dictionary, a column a criterion; a cell has the value with its interval, the least
    detectable difference, and whether it is the best or not told apart from the best."""
    found = _best(record)
    cells: dict[str, dict] = {name: {} for name in dict.fromkeys(record.dictionary)}
    for row in record.itertuples():
        best, alike = found[row.criterion]
        cell = [f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"]
        cell += [] if pd.isna(row.detectable) else [f"detectable {row.detectable:.3f}"]
        cell += ["best"] if row.dictionary == best else []
        cell += ["as good"] if row.dictionary in alike else []
        cells[row.dictionary][row.criterion] = cell
    columns = [*dict.fromkeys(record.criterion)]
    return pd.DataFrame(
        [[cells[name].get(criterion, "–") for criterion in columns] for name in cells],
        index=pd.Index([*cells], name="dictionary"),
        columns=columns,
    )


def criteria_verdict(record: pd.DataFrame) -> list[str]:
    """What the table says: best at how many criteria, and whether a kind of EP is to be taken."""
    found, sentences = _best(record), []
    for name in dict.fromkeys(record.dictionary):
        mine = set(record.criterion[record.dictionary == name])
        best = [criterion for criterion, (first, _) in found.items() if first == name]
        alike = [criterion for criterion, (_, others) in found.items() if name in others]
        said = f"{name} is best at {len(best)} of {len(mine)} criteria{_named(best)}"
        said += f", not told apart from the best at {len(alike)} more{_named(alike)}"
        sentences.append(said + ".")
    return [*sentences, *_recommendation(record)]


def _recommendation(record: pd.DataFrame) -> Iterable[str]:
    """Of every kind of EP: at how many criteria it beats both controls; the advice goes by most."""
    values = record.set_index(["dictionary", "criterion"])
    taken = []
    for name in dict.fromkeys(record.dictionary):
        if not name.startswith("EP"):
            continue
        shared = set.intersection(
            *({c for d, c in values.index if d == one} for one in (name, *CONTROLS))
        )
        if not shared:
            continue
        won = [c for c in dict.fromkeys(record.criterion) if c in shared
               and all(_beats(values, name, other, c) for other in CONTROLS)]  # fmt: skip
        yield (
            f"{name} beats both {' and '.join(CONTROLS)} at {len(won)} of {len(shared)} "
            f"criteria{_named(won)}."
        )
        taken += [name] if 2 * len(won) > len(shared) else []
    if taken:
        yield f"So {' or '.join(taken)} is to be taken for read-outs."
    else:
        yield "So no kind of EP is to be preferred for read-outs on this evidence."


def _best(record: pd.DataFrame) -> dict[str, tuple[str, set[str]]]:
    """{criterion: (the dictionary with the highest value, those not told apart from it)}."""
    values, found = record.set_index(["dictionary", "criterion"]), {}
    for criterion, rows in record.groupby("criterion", sort=False):
        best = rows.dictionary.loc[rows.value.idxmax()]
        found[criterion] = best, {
            name for name in rows.dictionary
            if name != best and not _beats(values, best, name, criterion)
        }  # fmt: skip
    return found


def _beats(values: pd.DataFrame, name: str, other: str, criterion: str) -> bool:
    """Whether a value is higher by more than could have been missed."""
    own, against = values.loc[(name, criterion)], values.loc[(other, criterion)]
    resolution = pd.Series([own.detectable, against.detectable], dtype=float).max()
    return bool(own.value - against.value > (0.0 if pd.isna(resolution) else resolution))


def _named(criteria: list[str]) -> str:
    return f" ({', '.join(criteria)})" if criteria else ""


def _checked(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    missing = [name for name in COLUMNS if name not in rows]
    if missing:
        raise ValueError(f"{what} has no column {missing[0]!r}: a record has {', '.join(COLUMNS)}")
    twice = rows[rows.duplicated(["criterion", "dictionary"])]
    if len(twice):
        first = twice.iloc[0]
        raise ValueError(
            f"{what} has {first.dictionary!r} twice at {first.criterion!r}: keep one row of each"
        )
    return rows
