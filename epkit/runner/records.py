"""The records of a folder of runs, `state.json`, and the lock that keeps two runs out of it.

A record says how one notebook ended: status, seconds, error, end of the traceback, and the digest
of its inputs. A file that does not hold just that is not believed: nothing counts as run.

Does not know: what a notebook is, how it is run.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from epkit import files

NAME = "state.json"
TEXTS = ("error", "traceback", "inputs")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder`, made where it is missing; BlockingIOError where another run holds it.

    The lock goes with its process, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise BlockingIOError(
            f"another run is writing to {folder}: wait for its end, or stop it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def read(folder: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """Stem → record, and what was wrong with the file; both empty where nothing was run."""
    path = folder / NAME
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        for stem, record in state.items():
            _check(stem, record)
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        kind = type(error).__name__
        return {}, f"{path} is damaged ({kind}); starting as if nothing had been run"
    return state, ""


def write(folder: Path, state: Mapping[str, Mapping[str, Any]]) -> None:
    """Write all records, whole or not at all."""
    files.write_text(folder / NAME, json.dumps(state, indent=1) + "\n")


def _check(stem: str, record: Mapping[str, Any]) -> None:
    """Raise ValueError, TypeError or KeyError unless `record` is one that `epkit.run` makes."""
    if record["status"] not in ("done", "failed"):
        raise ValueError(f"{stem}: no such status")
    seconds = record["seconds"]
    if type(seconds) not in (int, float) or not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{stem}: no such duration")
    for name in TEXTS:
        if type(record[name]) is not str:
            raise TypeError(f"{stem}: {name} is not a text")
        record[name].encode()  # a lone surrogate could not be written to a page
