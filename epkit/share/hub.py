"""Atlases and files on the model hub, fetched whole and checked before anything is read.

A repository that `push` wrote has one folder a dictionary and `epkit.json`, the SHA-256 of every
file. Only that file and safetensors are fetched for an atlas; nothing in a repository is run.

Does not know: what a dictionary is; whoever reads a file checks its content.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors as hub_errors

from epkit.lm.hub import snapshot, told

FORMAT = 1
INDEX = "epkit.json"
REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")

_DICTIONARY = re.compile(r"(layer\d+_p[\d.e-]+)/\1\.safetensors")


def fetch_file(repo: str, path: str, *, kind: str = "model", revision: str | None = None) -> Path:
    """One file of a repository, on this machine.

    kind : "model" or "dataset".
    Raises FileNotFoundError (no such repository, revision or file), RuntimeError (gated, the hub
    unreachable), OSError (disk full).
    """
    with _found(repo, path, revision), told(repo, kind):
        return Path(huggingface_hub.hf_hub_download(repo, path, repo_type=kind, revision=revision))


def fetch_atlas(repo: str, revision: str | None = None) -> list[Path]:
    """The dictionary files of an atlas that `push` wrote, each as its checksum says.

    Raises
    ------
    FileNotFoundError : no such repository or revision, or none with an atlas.
    ValueError : the list of files is damaged, or a file is not the one that was pushed.
    RuntimeError, OSError : as `fetch_file`.
    """
    with _found(repo, INDEX, revision):
        folder = snapshot(repo, [INDEX, "layer*/layer*.safetensors"], revision=revision)
    index = folder / INDEX
    if not index.is_file():
        raise FileNotFoundError(f"{repo} holds no atlas (no {INDEX}); give one that push wrote")
    sums = _checksums(index, repo)
    for name, wanted in sums.items():
        if not (folder / name).is_file():
            raise ValueError(f"{repo} lacks {name}, which its {INDEX} names; push it again")
        if checksum(folder / name) != wanted:
            raise ValueError(f"{repo}: {name} is not what was pushed (its checksum does not match)")
    return [folder / name for name in sums]


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksums(index: Path, repo: str) -> dict[str, str]:
    """{dictionary file: SHA-256} of a list of files that somebody else wrote."""
    try:
        found = json.loads(index.read_text(encoding="utf-8"))
        if type(found["format"]) is not int or found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r:.20}")
        sums = {name: s for name, s in found["files"].items() if _DICTIONARY.fullmatch(name)}
        if not sums or not all(isinstance(s, str) for s in sums.values()):
            raise ValueError("it names no dictionaries")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split())[:100]
        raise ValueError(
            f"{repo}: {INDEX} is no list of an atlas's files ({type(error).__name__}: {said})"
        ) from error
    return sums


@contextlib.contextmanager
def _found(repo: str, path: str, revision: str | None) -> Iterator[None]:
    """What the hub does not have, as FileNotFoundError."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__cause__, hub_errors.RevisionNotFoundError):
            raise FileNotFoundError(f"{repo} has no revision {revision!r:.60}") from error
        if isinstance(error.__cause__, hub_errors.RemoteEntryNotFoundError):
            raise FileNotFoundError(f"{repo} has no file {path}: check its name") from error
        raise
