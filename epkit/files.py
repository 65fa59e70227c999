"""Files that are there whole or not at all: written beside, flushed, and moved into place.

Tensors go in one checked file: safetensors with one JSON text as metadata and a SHA-256 over both.
Nothing is executed on load; a truncated or altered file is refused; the same content gives the same
bytes. A text is a file, anything larger a folder.

Whatever stops a write, the kit or the machine, the old file or the new one is there. A write that
fails says in one sentence which path and what to do. What a killed process left beside its target
is removed a day later by the next write there.

Does not know: what the content means.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

SUFFIX = ".epkit.tmp"
"""Of everything that is being written; nobody else's files are called so."""

STALE_SECONDS = 24 * 3600
"""Something unfinished that nobody wrote to for so long belongs to a process that was killed."""

_ADVICE = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room in your quota",
    errno.EFBIG: "the limit on the size of a file is too small",
    errno.EROFS: "choose a folder that you may write to",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EISDIR: "a folder has that name: remove it or choose another name",
    errno.ENOTDIR: "a file stands where a folder is needed: remove it or choose another name",
    errno.EEXIST: "a file stands where a folder is needed: remove it or choose another name",
    errno.ENOENT: "its folder was removed meanwhile: try again",
}


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


PAGES = "EPKIT_PAGES"
"""The environment variable that tells a notebook where the pages of its run lie."""


def pages_dir() -> Path:
    """Where a notebook writes pages of its own: beside those of the run (`EPKIT_PAGES`, which
    `epkit.run` sets), else in `runs` of the working folder."""
    return Path(os.environ.get(PAGES) or "runs")


def shipped(name: str) -> Path:
    """What comes with the kit: inside the installed package, or in `data/` of a checkout."""
    package = Path(__file__).resolve().parent
    packaged = package / "data" / name
    return packaged if packaged.exists() else package.parent / "data" / name


def cache_dir() -> Path:
    """The cache folder: `EPKIT_CACHE`, else `data/cache` of a checkout, else `~/.cache/epkit`."""
    if os.environ.get("EPKIT_CACHE"):
        return Path(os.environ["EPKIT_CACHE"]).expanduser()
    root = Path(__file__).resolve().parents[1]
    if (root / "pyproject.toml").is_file() and (root / "data" / "sources.toml").is_file():
        return root / "data" / "cache"
    return Path.home() / ".cache" / "epkit"


# ---- one file -----------------------------------------------------------------------------------


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Tensors and a JSON-able dict to a safetensors file with a checksum, atomically.

    Raises
    ------
    OSError : it cannot be written; what was there before still is.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    text = json.dumps(about, sort_keys=True)
    # One metadata entry: safetensors writes several in no fixed order.
    meta = {"epkit": json.dumps({"about": text, "sha256": _checksum(tensors, text)})}
    with _whole_file(path) as beside:
        safetensors.torch.save_file(tensors, beside, metadata=meta)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """What `write_tensors` wrote, in memory of its own: later changes of the file change nothing.

    Raises
    ------
    FileNotFoundError : there is no such file.
    OSError : it cannot be read.
    ValueError : not such a file, or a damaged one.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; build the dictionary first")
    # Read, not mapped: a mapped file that another program truncates kills the process.
    data = path.read_bytes()
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        meta = json.loads(header["__metadata__"]["epkit"])
        sound = _checksum(tensors, meta["about"]) == meta["sha256"]
        about = json.loads(meta["about"])
    except (
        safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError, RecursionError
    ) as error:  # fmt: skip
        raise ValueError(
            f"{path} is not an epkit file, or is truncated ({type(error).__name__}); build it again"
        ) from error
    if not sound:
        raise ValueError(f"{path} is damaged (its checksum does not match); build it again")
    return tensors, about


def write_text(path: Path, text: str) -> None:
    """A text as UTF-8, with the line ends it has, atomically; OSError where it cannot be."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Bytes as they are, atomically; OSError where they cannot be written."""
    with _whole_file(path) as beside:
        beside.write_bytes(data)


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    folder = _beside(path)  # a folder, for safetensors writes beside what it is given as well
    beside = folder / path.name
    try:
        with _telling(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _collect(path.parent)
            folder.mkdir()
            beside.touch()
            mode = beside.stat().st_mode  # safetensors would let nobody else read its files
            yield beside
            beside.chmod(mode)
            _flush(beside)
            os.replace(beside, path)
        _flush_folder(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- a folder -----------------------------------------------------------------------------------


@contextlib.contextmanager
def whole_folder(target: Path, size: int) -> Iterator[Path]:
    """A new folder to write into, which becomes `target` when the block ends without an error.

    `target` appears complete or not at all. When another process has put one there meanwhile,
    that one stays: both hold the same content. Raises OSError before anything is written where
    the disk has not `size` bytes free, and when it cannot be written.
    """
    with _telling(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _collect(target.parent)
        free = shutil.disk_usage(target.parent).free
    if free < size:
        raise OSError(
            errno.ENOSPC,
            f"{target.name} needs {size / 1e9:.2g} GB of disk and {free / 1e9:.2g} GB are free: "
            "make room, or set EPKIT_CACHE elsewhere",
        )
    folder = _beside(target)
    try:
        with _telling(target, folder):
            folder.mkdir()
            yield folder
            for file in sorted(folder.rglob("*")):
                _flush_folder(file) if file.is_dir() else _flush(file)
            _flush_folder(folder)
            move_folder(folder, target)
        _flush_folder(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_folder(folder: Path, target: Path) -> None:
    """Move a finished folder into place; one that another process has put there stays."""
    try:
        os.replace(folder, target)
    except OSError:
        if not target.is_dir():
            raise


def remove_folder(folder: Path) -> None:
    """Remove a folder at once for everybody who looks; what cannot be removed stays, unsaid."""
    aside = _beside(folder)
    with contextlib.suppress(OSError):
        os.replace(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


# ---- beside, and into place ---------------------------------------------------------------------


def _beside(path: Path) -> Path:
    """A name in the same folder that no other process, thread or call uses."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}{SUFFIX}")


def _flush(file: Path) -> None:
    """Have the content on the disk before its name is: a power cut leaves the old or the new."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def _flush_folder(folder: Path) -> None:
    # Not every system opens or flushes a folder; there is nothing else to do then.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _collect(folder: Path) -> None:
    """Remove what killed processes left in `folder` more than a day ago."""
    inside = cache_dir() in (folder, *folder.parents)  # the cache is ours: any temporary name
    for left in folder.glob(".*.tmp" if inside else f".*{SUFFIX}"):
        remove_stale(left)


def remove_stale(left: Path) -> None:
    """Remove a temporary file or folder that nobody wrote to for a day."""
    with contextlib.suppress(OSError):
        files = [f for f in left.rglob("*") if f.is_file()] or [left]
        if time.time() - max(f.lstat().st_mtime for f in files) > STALE_SECONDS:
            shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextlib.contextmanager
def _telling(path: Path, folder: Path | None = None) -> Iterator[None]:
    """Say in one sentence why `path` cannot be written, and what to do.

    folder : where the block writes; its errors about other files are its own.
    """
    try:
        yield
    except (OSError, safetensors.SafetensorError) as error:
        number, reason = getattr(error, "errno", None), getattr(error, "strerror", None)
        # safetensors gives the system's number in its text alone.
        if number is None and (found := re.search(r"(?:os error|code:) (\d+)", str(error))):
            number, reason = int(found[1]), os.strerror(int(found[1]))
        elsewhere = str(folder or "") not in str(getattr(error, "filename", ""))
        if elsewhere and number not in _FULL:
            raise
        advice = _ADVICE.get(number, "look after the disk")
        if cache_dir() in path.parents:
            advice += ", or set EPKIT_CACHE elsewhere"
        sentence = f"{path} cannot be written: {reason or error}; {advice}"
        raise OSError(number or errno.EIO, sentence) from error


def _checksum(tensors: dict[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
