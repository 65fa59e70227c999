"""The model hub's files, whole or not, and its refusals and failures as one sentence each.

A file that was downloaded once is found again where no network is. What identifies a data set that
is only streamed is written down in the cache, so that what was computed from it is found offline.

Does not know: models, documents.
"""

from __future__ import annotations

import contextlib
import errno
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors as hub_errors
from huggingface_hub.utils import tqdm as hub_tqdm

from epkit import files


def snapshot(repo: str, patterns: Sequence[str], *, repo_type: str = "model", **options) -> Path:
    """The folder with a repository's files that match; named by its commit. Errors of `told`."""
    with told(repo, repo_type):
        folder = huggingface_hub.snapshot_download(
            repo, repo_type=repo_type, allow_patterns=list(patterns), tqdm_class=_StdoutBar,
            **options,
        )  # fmt: skip
    return Path(folder)


def dataset_revision(repo: str) -> str:
    """The commit of a data set's newest state; without a network the one seen last."""
    note = files.cache_dir() / "hub" / f"{repo.replace('/', '--')}.json"
    try:
        with told(repo, "dataset"):
            revision = huggingface_hub.HfApi().dataset_info(repo).sha
    except RuntimeError as error:
        if not _unreachable(error) or not note.is_file():
            raise
        revision = json.loads(note.read_text(encoding="utf-8"))["revision"]
        print(f"{repo}: the hub does not answer; taken for what it was last ({revision[:12]})")
        return revision
    with contextlib.suppress(OSError):  # a cache that cannot be written to costs only this
        files.write_text(note, json.dumps({"revision": revision}))
    return revision


@contextlib.contextmanager
def told(repo: str, repo_type: str = "model") -> Iterator[None]:
    """Whatever the hub's libraries raise inside, as one sentence.

    Raises FileNotFoundError (no such repository), RuntimeError (gated, unreachable, broken off),
    OSError (disk full).
    """
    try:
        yield
    except Exception as error:  # the hub's libraries raise a dozen unrelated types
        raise _sentence(repo, repo_type, error) from error


def _sentence(repo: str, repo_type: str, error: Exception) -> Exception:
    causes = list(_causes(error))
    if any(isinstance(e, hub_errors.GatedRepoError) for e in causes):
        return RuntimeError(_gated(repo, repo_type))
    if any(isinstance(e, hub_errors.RepositoryNotFoundError) for e in causes):
        kind = "model" if repo_type == "model" else "data set"
        return FileNotFoundError(
            f"{repo} is neither a folder here nor a {kind} on the hub (a private one needs "
            "HF_TOKEN): check its name"
        )
    if any(getattr(e, "errno", None) == errno.ENOSPC for e in causes):
        return OSError(
            errno.ENOSPC, f"the disk is full: {repo} was not downloaded; set HF_HOME elsewhere"
        )
    return RuntimeError(
        f"{repo} cannot be downloaded ({_shortly(causes)}): check the network and that the model "
        "hub is reachable, or give a local folder"
    )


def _gated(repo: str, repo_type: str) -> str:
    kind = "datasets/" if repo_type == "dataset" else ""
    page = f"{huggingface_hub.constants.ENDPOINT}/{kind}{repo}"
    if huggingface_hub.get_token() is None:
        return (
            f"{repo} is gated and no token is set: accept its terms at {page}, then set HF_TOKEN "
            "to a token of that account"
        )
    return (
        f"{repo} is gated and the token in use has no access to it: accept its terms at {page} "
        "with the account of the token in HF_TOKEN"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _shortly(causes: Sequence[BaseException]) -> str:
    """The types of error, from the outermost to the first one, and its status where it has one."""
    names = list(dict.fromkeys(type(e).__name__ for e in (causes[0], causes[-1])))
    status = next((s for e in causes if (s := _status(e))), None)
    return ": ".join(names) + (f", status {status}" if status else "")


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _unreachable(error: BaseException) -> bool:
    """Was there no answer at all, or one that says the hub itself is in trouble?"""
    statuses = [s for e in _causes(error) if (s := _status(e))]
    return not statuses or statuses[0] >= 500


class _StdoutBar(hub_tqdm):
    """The hub's progress bar, on stdout."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "file": sys.stdout})
