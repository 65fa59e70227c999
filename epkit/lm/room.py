"""What the cache folder may take: `EPKIT_CACHE_GB` (default 20), used longest ago goes first.

Counted are stored activations (an entry a layer), kept atlases and states of unfinished builds:
what can be computed again. Models and downloads are not.

Does not know: what is in an entry.
"""

import contextlib
import math
import os
from collections.abc import Iterable
from pathlib import Path

from epkit.files import cache_dir, remove_folder, remove_stale

FOLDERS = ("activations/*", "atlases", "builds")
"""Where entries are, below the cache folder."""


def cap() -> float:
    """The most bytes that all entries may take together; ValueError for a bad EPKIT_CACHE_GB."""
    text = os.environ.get("EPKIT_CACHE_GB") or "20"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(
            f"EPKIT_CACHE_GB must be a number of gigabytes of at least 0, got {text!r}"
        )
    return value * 1e9


def make_room(size: int, needed: Iterable[Path] = ()) -> bool:
    """Remove entries, those used longest ago first, until `size` bytes more fit below the cap.

    `needed` entries stay. False, and nothing is removed, where they and `size` alone are too much.
    """
    limit, needed = cap(), set(needed)
    for where in FOLDERS:
        for left in cache_dir().glob(f"{where}/.*.tmp"):
            remove_stale(left)
    entries = [x for where in FOLDERS for x in cache_dir().glob(f"{where}/[!.]*")]
    used = {entry: _use(entry) for entry in entries}
    if size + sum(used[entry][1] for entry in needed if entry in used) > limit:
        return False
    total = size + sum(taken for _, taken in used.values())
    for entry in sorted(used, key=lambda e: (used[e][0], e.name)):
        if total <= limit:
            break
        if entry not in needed:
            _remove(entry)
            total -= used[entry][1]
    return True


def touch(entry: Path) -> None:
    """Note that an entry was used; where that is not permitted, it merely looks older."""
    with contextlib.suppress(OSError):
        os.utime(entry)


def _use(entry: Path) -> tuple[float, int]:
    """Time of last use and bytes of an entry."""
    with contextlib.suppress(OSError):
        files = entry.rglob("*") if entry.is_dir() else [entry]
        return entry.stat().st_mtime, sum(f.stat().st_size for f in files if f.is_file())
    return 0.0, 0


def _remove(entry: Path) -> None:
    if entry.is_dir():
        remove_folder(entry)
        return
    with contextlib.suppress(OSError):
        entry.unlink()
