"""Tensors in one checked file: safetensors with one JSON text as metadata and a SHA-256 over both.

Nothing is executed on load; a truncated or altered file is refused; the same content gives the same
bytes. Written beside and moved into place, so that there is never half a file.

Does not know: what the tensors mean.
"""

import hashlib
import json
import os
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Tensors and a JSON-able dict to a safetensors file with a checksum, atomically."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    text = json.dumps(about, sort_keys=True)
    # One metadata entry: safetensors writes several in no fixed order.
    meta = {"epkit": json.dumps({"about": text, "sha256": _checksum(tensors, text)})}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        safetensors.torch.save_file(tensors, beside, metadata=meta)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


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


def _checksum(tensors: dict[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
