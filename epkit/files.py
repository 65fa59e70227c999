"""Files that are there whole or not at all: written beside and moved into place.

Tensors go in one checked file: safetensors with one JSON text as metadata and a SHA-256 over both.
Nothing is executed on load; a truncated or altered file is refused; the same content gives the same
bytes. A text is a file, anything larger a folder.

Does not know: what the content means.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor


def cache_dir() -> Path:
    """The cache folder: `EPKIT_CACHE`, else `data/cache` of a checkout, else `~/.cache/epkit`."""
    if os.environ.get("EPKIT_CACHE"):
        return Path(os.environ["EPKIT_CACHE"]).expanduser()
    root = Path(__file__).resolve().parents[1]
    if (root / "pyproject.toml").is_file() and (root / "data" / "sources.toml").is_file():
        return root / "data" / "cache"
    return Path.home() / ".cache" / "epkit"


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Tensors and a JSON-able dict to a safetensors file with a checksum, atomically."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    text = json.dumps(about, sort_keys=True)
    # One metadata entry: safetensors writes several in no fixed order.
    meta = {"epkit": json.dumps({"about": text, "sha256": _checksum(tensors, text)})}
    with _whole_file(path) as beside:
        safetensors.torch.save_file(tensors, beside, metadata=meta)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """What `write_tensors` wrote; FileNotFoundError, or ValueError for a damaged file."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; build the dictionary first")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})["epkit"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sound = _checksum(tensors, meta["about"]) == meta["sha256"]
        about = json.loads(meta["about"])
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} is not an epkit file, or is truncated ({type(error).__name__}); build it again"
        ) from error
    if not sound:
        raise ValueError(f"{path} is damaged (its checksum does not match); build it again")
    return tensors, about


def write_text(path: Path, text: str) -> None:
    """A text as UTF-8, with the line ends it has, atomically."""
    with _whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


@contextlib.contextmanager
def whole_folder(target: Path, size: int) -> Iterator[Path]:
    """A new folder to write into, which becomes `target` when the block ends without an error.

    `target` appears complete or not at all. When another process has put one there meanwhile,
    that one stays: both hold the same content. Raises OSError before anything is written where
    the disk has not `size` bytes free.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise OSError(
            errno.ENOSPC,
            f"{target.name} needs {size / 1e9:.2g} GB of disk and {free / 1e9:.2g} GB are free: "
            "make room, or set EPKIT_CACHE elsewhere",
        )
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", suffix=".tmp", dir=target.parent))
    try:
        yield folder
        move_folder(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_folder(folder: Path, target: Path) -> None:
    """Move a finished folder into place; one that another process has put there stays."""
    try:
        os.replace(folder, target)
    except OSError:
        if not target.is_dir():
            raise


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _checksum(tensors: dict[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
