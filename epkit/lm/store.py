"""The first n activations of a stream on disk: computed once, memory-mapped ever after.

A set is a folder `activations/<fingerprint of the stream>/<n asked for>` in the cache, with one
raw file per layer and per array, and a header that states their sizes. It is written beside and
moved into place, so it is there whole or not at all; two processes that build the same set at once
both work, and the first to finish leaves its own. `EPKIT_CACHE_GB` (default 20) caps all sets
together, and those used longest ago go first.

This module does not know models or texts: it sees a stream.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from epkit.files import cache_dir, whole_folder
from epkit.lm.chunks import Chunk, truncate
from epkit.progress import progress

if TYPE_CHECKING:
    from epkit.lm.activations import ActivationStream

HEADER = "header.json"
CHUNK_WINDOWS = 128
ARRAYS = {
    "tokens": torch.int32,
    "lengths": torch.int32,
    "documents": torch.int32,
    "clustered": torch.bool,
}
STALE_SECONDS = 24 * 3600
"""A temporary folder that nobody wrote to for so long belongs to a process that was killed."""


@dataclass(frozen=True, eq=False)
class ActivationSet:
    """n activations per layer on disk, to be read as arrays or, like a stream, in chunks.

    tokens (T,) int32, lengths (W,) int32, documents (W,) int32, clustered (T,) bool: as in
    `Chunk`, over the whole set. All are memory maps; writing to them changes no file. `n` can be
    less than was asked for, where the corpus has no more.
    """

    fingerprint: str
    layers: tuple[int, ...]
    d_model: int
    n: int
    tokens: torch.Tensor
    lengths: torch.Tensor
    documents: torch.Tensor
    clustered: torch.Tensor
    about: dict[str, object]
    device: torch.device
    _maps: dict[int, torch.Tensor]

    def layer(self, layer: int) -> torch.Tensor:
        """All activations of a layer, (n, D) in the model's dtype, on the CPU, memory-mapped."""
        if layer not in self._maps:
            raise ValueError(f"layer {layer} is not in this set; it has {list(self.layers)}")
        return self._maps[layer]

    def chunks(self, start: int = 0) -> Iterator[Chunk]:
        """The set from window `start` on; activations on the model's device, as a stream's are."""
        if not 0 <= start <= len(self.lengths):
            raise ValueError(f"start must lie in 0 … {len(self.lengths)}, not {start}")
        token = int(self.lengths[:start].sum())
        row = int(self.clustered[:token].sum())
        for window in range(start, len(self.lengths), CHUNK_WINDOWS):
            lengths = self.lengths[window : window + CHUNK_WINDOWS]
            tokens = slice(token, token := token + int(lengths.sum()))
            rows = slice(row, row := row + int(self.clustered[tokens].sum()))
            yield Chunk(
                tokens=self.tokens[tokens],
                lengths=lengths,
                documents=self.documents[window : window + CHUNK_WINDOWS],
                clustered=self.clustered[tokens],
                activations={k: x[rows].to(self.device) for k, x in self._maps.items()},
                cursor=window + len(lengths),
            )


def cached(stream: ActivationStream, n: int, *, show_progress: bool = True) -> ActivationSet:
    """The first n activations of `stream`, from disk if they are there, else computed and kept.

    A larger set of the same stream serves a smaller n; the last window is then cut after the n-th
    activation. With `show_progress`, a line of progress while computing. Where the corpus holds
    fewer than n, all of them are given and a line says so.

    Raises ValueError (n below 1, EPKIT_CACHE_GB no number, set larger than the cap: found before
    any forward pass), OSError (disk full), and what `stream.chunks` raises.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1 activation, not {n}")
    home = cache_dir() / "activations" / stream.fingerprint
    found = _find(home, stream, n)
    if found is None:
        size = _needed(stream, n)
        _make_room(size)
        _extract(home / str(n), stream, n, size, show_progress)
        found = _open(home / str(n), stream, n)
        for folder in _sets(home):
            if int(folder.name) < n:
                shutil.rmtree(folder, ignore_errors=True)
    if found.n < n:
        print(f"{stream.corpus.name}: holds {found.n:,} activations, {n:,} were asked for")
    return found


# ---- reading ------------------------------------------------------------------------------------


def _find(home: Path, stream: ActivationStream, n: int) -> ActivationSet | None:
    """The smallest sound set that can serve n; unsound ones are removed, with a line."""
    for folder in _sets(home):
        try:
            header = json.loads((folder / HEADER).read_text())
            if header["n"] >= n or header["whole"]:
                return _open(folder, stream, n)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"cached activations are damaged ({error}); computing them again")
            shutil.rmtree(folder, ignore_errors=True)
    return None


def _open(folder: Path, stream: ActivationStream, n: int) -> ActivationSet:
    """Map the set in `folder`, cut to n; ValueError or OSError where it is not sound."""
    header = json.loads((folder / HEADER).read_text())
    for name, size in header["bytes"].items():
        if (folder / name).stat().st_size != size:
            raise ValueError(f"{name} has not the {size} bytes that the header states")
    os.utime(folder / HEADER)  # the time of last use
    n = min(n, header["n"])
    arrays = {name: _map(folder / name, dtype, header[name]) for name, dtype in ARRAYS.items()}
    dtype = getattr(torch, header["dtype"])
    shape = (header["n"], header["d_model"])
    whole = Chunk(
        **arrays,
        activations={
            layer: _map(folder / f"layer-{layer}", dtype, shape[0] * shape[1]).view(shape)
            for layer in header["layers"]
        },
        cursor=header["lengths"],
    )
    cut = truncate(whole, n)
    return ActivationSet(
        fingerprint=stream.fingerprint,
        layers=tuple(header["layers"]),
        d_model=header["d_model"],
        n=n,
        **{name: getattr(cut, name) for name in ARRAYS},
        about=stream.about,
        device=stream.model.device,
        _maps=cut.activations,
    )


def _map(file: Path, dtype: torch.dtype, count: int) -> torch.Tensor:
    return torch.from_file(str(file), shared=False, size=count, dtype=dtype)


# ---- writing ------------------------------------------------------------------------------------


def _extract(folder: Path, stream: ActivationStream, n: int, size: int, show: bool) -> None:
    """Run the stream up to n activations and put the set in place as `folder`."""
    header = {"layers": list(stream.layers), "d_model": stream.d_model, "n": 0}
    header |= {"dtype": str(stream.model.dtype).removeprefix("torch."), "whole": True}
    header |= dict.fromkeys(ARRAYS, 0)
    line = progress(n, "activations", f"activations of {stream.corpus.name}", show=show)
    with line as update, whole_folder(folder, size) as beside:
        with contextlib.ExitStack() as stack:
            names = [*ARRAYS, *(f"layer-{layer}" for layer in stream.layers)]
            files = {x: stack.enter_context((beside / x).open("wb")) for x in names}
            for chunk in stream.chunks():
                chunk = truncate(chunk, n - header["n"])
                _append(files, header, chunk)
                update(header["n"], tokens=f"{header['tokens']:,}")
                if header["n"] == n:
                    header["whole"] = False
                    break
        header["bytes"] = {x: (beside / x).stat().st_size for x in names}
        (beside / HEADER).write_text(json.dumps(header))


def _append(files: dict, header: dict, chunk: Chunk) -> None:
    arrays = {name: getattr(chunk, name) for name in ARRAYS}
    for name, array in arrays.items():
        header[name] += len(array)
    header["n"] += int(chunk.clustered.sum())
    arrays |= {f"layer-{layer}": x.cpu() for layer, x in chunk.activations.items()}
    for name, array in arrays.items():
        files[name].write(array.contiguous().view(torch.uint8).numpy())


# ---- room ---------------------------------------------------------------------------------------


def _needed(stream: ActivationStream, n: int) -> int:
    """Bytes of the first n activations, or of all where the corpus has fewer; ValueError if > cap.

    Where n alone would break the cap, the corpus is tokenised to see how many it really holds.
    """
    row = len(stream.layers) * stream.d_model * stream.model.dtype.itemsize + 16
    if n * row > _cap():
        held = 0
        for window in stream.windows():
            held += len(window.tokens) - window.first
            if held * row > _cap():
                raise ValueError(
                    f"{n:,} activations of {len(stream.layers)} layers need {n * row / 1e9:.2g} GB "
                    f"or more than the {_cap() / 1e9:.3g} GB of the cache: ask for fewer, or raise "
                    "EPKIT_CACHE_GB"
                )
        n = min(n, held)
    return n * row


def _cap() -> float:
    """The most bytes that all sets may take together."""
    text = os.environ.get("EPKIT_CACHE_GB", "20")
    try:
        return float(text) * 1e9
    except ValueError as error:
        raise ValueError(f"EPKIT_CACHE_GB must be a number of gigabytes, not {text!r}") from error


def _make_room(size: int) -> None:
    """Remove the sets used longest ago until `size` bytes fit below the cap."""
    root = cache_dir() / "activations"
    for folder in root.glob("*/.*.tmp"):
        if time.time() - max(_times(folder), default=0) > STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
    sets = [f for home in root.glob("*") for f in _sets(home)]
    sizes = {f: sum(x.stat().st_size for x in f.iterdir()) for f in sets}
    for folder in sorted(sets, key=lambda f: max(_times(f), default=0)):
        if sum(sizes.values()) + size <= _cap():
            return
        shutil.rmtree(folder, ignore_errors=True)
        del sizes[folder]


def _times(folder: Path) -> list[float]:
    """Times of last change of the files in `folder`."""
    with contextlib.suppress(FileNotFoundError):
        return [f.stat().st_mtime for f in folder.iterdir()]
    return []


def _sets(home: Path) -> list[Path]:
    """The finished sets in the folder of a stream, the one built for the smallest n first."""
    folders = [f for f in home.glob("*") if f.name.isdigit()]
    return sorted(folders, key=lambda f: int(f.name))
