"""The first n activations of a stream on disk: computed once, memory-mapped ever after.

The cache has a folder `activations/<fingerprint>` for a stream whatever its layers, and in it an
entry a layer and one for the tokens, each for the n that was asked for. So whoever asks finds the
layers that others computed, and only those that are missing take a forward pass. Every entry names
the tokens it stands at by their digest, and is served with those alone.

An entry is there whole or not at all; two processes that build the same one at once both work, and
the first to finish leaves its own. `epkit.cache` says what all of them may take.

Does not know: models or texts; it sees a stream.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from epkit.checks import whole
from epkit.files import cache_dir, remove_folder
from epkit.lm.chunks import Chunk, truncate
from epkit.lm.entries import (
    Damaged,
    Entry,
    Writer,
    drop_smaller,
    numbered,
    read_entry,
    writing,
)
from epkit.lm.once import only_maker
from epkit.lm.room import cap, make_room, touch
from epkit.progress import progress

if TYPE_CHECKING:
    from epkit.lm.activations import ActivationStream

CHUNK_WINDOWS = 128
ARRAYS = {
    "tokens": torch.int32,
    "lengths": torch.int32,
    "documents": torch.int32,
    "clustered": torch.bool,
}


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

    Layers that are on disk already, for n or more, are served from there; the others are computed
    in one pass. The last window is cut after the n-th activation. With `show_progress`, a line of
    progress while computing. Where the corpus holds fewer than n, all of them are given and a line
    says so.

    Where they have no room on the disk or below the cap, give the stream itself to whatever reads
    chunks: `build_from` takes either.

    Raises
    ------
    TypeError, ValueError : n is not a whole number of at least 1; EPKIT_CACHE_GB no number; a set
        larger than the cap: found before any forward pass.
    OSError : disk full, or a cache that cannot be read or written.
    RuntimeError : of `stream.chunks`.
    """
    n = whole("n", n, 1)
    home = cache_dir() / "activations" / stream.fingerprint
    for _ in range(3):  # another process may remove what was just found or written
        try:
            tokens, layers = _find(home, stream, n)
            if len(layers) == len(stream.layers):
                break
            with only_maker(home, f"activations of {stream.corpus.name}"):
                tokens, layers = _find(home, stream, n)
                if len(layers) < len(stream.layers):
                    _extract(home, stream, n, tokens, layers, show_progress)
        except Damaged as error:
            print(f"cached activations are damaged ({error}); computing them again")
            for folder in home.glob("[!.]*"):
                remove_folder(folder)
    else:
        raise OSError(f"entries of {home} go as soon as they are written; raise EPKIT_CACHE_GB")
    found = _join(stream, n, tokens, layers)
    for entry in (*layers.values(), tokens):  # the tokens last: they are to outlive their layers
        touch(entry.folder)
        drop_smaller(entry)
    if found.n < n:
        print(f"{stream.corpus.name}: holds {found.n:,} activations, {n:,} were asked for")
    return found


def _join(
    stream: ActivationStream, n: int, tokens: Entry, layers: dict[int, Entry]
) -> ActivationSet:
    """Entries as one set, cut to n."""
    n = min(n, tokens.n)
    rows = {layer: layers[layer].arrays["activations"][:n] for layer in stream.layers}
    cut = truncate(Chunk(**tokens.arrays, activations=rows, cursor=0), n)
    return ActivationSet(
        fingerprint=stream.fingerprint,
        layers=tuple(stream.layers),
        d_model=stream.d_model,
        n=n,
        **{name: getattr(cut, name) for name in ARRAYS},
        about=stream.about,
        device=stream.model.device,
        _maps=rows,
    )


# ---- reading ------------------------------------------------------------------------------------


def _find(home: Path, stream: ActivationStream, n: int) -> tuple[Entry | None, dict[int, Entry]]:
    """Sound entries that serve n: the tokens, and the layers that stand at them."""
    tokens = _first(home, "tokens", n, _check_tokens)
    if tokens is None:
        return None, {}

    def check_layer(entry: Entry) -> None:
        x = entry.arrays.get("activations")
        if len(entry.arrays) > 1 or x is None or x.shape != (entry.n, stream.d_model):
            raise Damaged(f"{entry.folder.name} is not of {entry.n:,} × {stream.d_model}")
        if x.dtype != stream.model.dtype:
            raise Damaged(f"{entry.folder.name} is of {x.dtype}, not {stream.model.dtype}")
        if entry.n <= tokens.n and entry.digest != _digest(tokens.arrays, entry.n):
            raise Damaged(f"{entry.folder.name} stands at other tokens")
        if entry.whole and entry.n < tokens.n:
            raise Damaged(f"{entry.folder.name} ends before the stream does")

    found = {layer: _first(home, f"layer-{layer}", n, check_layer) for layer in stream.layers}
    # A layer that reaches beyond the tokens cannot be checked, so it waits for longer ones.
    return tokens, {k: e for k, e in found.items() if e is not None and e.n <= tokens.n}


def _first(home: Path, name: str, n: int, check: Callable[[Entry], None]) -> Entry | None:
    """The smallest sound entry that serves n; what is proven damaged is removed, with a line."""
    for folder in numbered(home, name):
        try:
            entry = read_entry(folder)
            check(entry)
        except Damaged as error:
            print(f"cached activations are damaged ({error}); computing them again")
            remove_folder(folder)
        except FileNotFoundError:  # another process has removed it meanwhile
            if folder.exists():
                raise
        else:
            if entry.serves(n):
                return entry
    return None


def _check_tokens(entry: Entry) -> None:
    arrays = entry.arrays
    if {name: x.dtype for name, x in arrays.items()} != ARRAYS:
        raise Damaged(f"{entry.folder.name} has other arrays than {', '.join(ARRAYS)}")
    if any(x.dim() != 1 for x in arrays.values()):
        raise Damaged(f"{entry.folder.name} has arrays that are no rows")
    tokens, lengths, documents, clustered = arrays.values()
    if len(tokens) != len(clustered) or int(lengths.sum()) != len(tokens):
        raise Damaged(f"{entry.folder.name} has windows that do not cover its tokens")
    if len(lengths) != len(documents) or (lengths < 1).any() or (documents.diff() < 0).any():
        raise Damaged(f"{entry.folder.name} has windows that cannot be")
    if int(clustered.view(torch.uint8).sum()) != entry.n:
        raise Damaged(f"{entry.folder.name} does not hold {entry.n:,} activations")
    if entry.digest != _digest(arrays, entry.n):
        raise Damaged(f"{entry.folder.name} is not what was written")


def _digest(arrays: dict[str, torch.Tensor], n: int) -> str:
    """Hash of the tokens up to the n-th activation, of its windows and documents."""
    end = int(arrays["clustered"].nonzero()[n - 1]) + 1
    starts = arrays["lengths"].cumsum(0, dtype=torch.int64) - arrays["lengths"]
    windows = int((starts < end).sum())
    parts = [arrays["tokens"][:end], arrays["clustered"][:end]]
    parts += [starts[:windows], arrays["documents"][:windows]]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


# ---- writing ------------------------------------------------------------------------------------


def _extract(
    home: Path,
    stream: ActivationStream,
    n: int,
    tokens: Entry | None,
    layers: dict[int, Entry],
    show: bool,
) -> None:
    """Run the stream up to n activations and put entries of the layers that lack in place."""
    missing = [layer for layer in stream.layers if layer not in layers]
    size = _needed(stream, n, len(missing))
    if not make_room(size, [e.folder for e in (tokens, *layers.values()) if e is not None]):
        raise _too_large(stream, n)
    part = stream.with_layers(missing) if layers else stream
    line = progress(n, "activations", f"activations of {stream.corpus.name}", show=show)
    with line as update, contextlib.ExitStack() as entries:
        writers: dict[str, Writer] = {}
        for name in (*(f"layer-{layer}" for layer in missing), *(["tokens"] if not tokens else [])):
            # The first sees to room for all; the last, the tokens, is the first in place.
            entry = writing(home / f"{name}-{n}", 0 if writers else size)
            writers[name] = entries.enter_context(entry)
        arrays, complete = _run(part, n, writers, update)
        held = int(arrays["clustered"].sum())
        digest = _digest(arrays, held)
        if tokens is not None and digest != _digest(tokens.arrays, held):
            raise Damaged(f"{tokens.folder.name} holds other tokens than the stream")
        for writer in writers.values():
            writer.state(held, complete, digest)


def _run(
    stream: ActivationStream, n: int, writers: dict[str, Writer], update: Callable[..., None]
) -> tuple[dict[str, torch.Tensor], bool]:
    """Write the first n activations; gives their tokens, and whether there are no more."""
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in ARRAYS}
    done, read = 0, 0
    for chunk in stream.chunks():
        chunk = truncate(chunk, n - done)
        for name, held in parts.items():
            held.append(getattr(chunk, name))
            if "tokens" in writers:
                writers["tokens"].append(name, held[-1])
        for layer, x in chunk.activations.items():
            writers[f"layer-{layer}"].append("activations", x)
        done, read = done + int(chunk.clustered.sum()), read + len(chunk.tokens)
        update(done, tokens=f"{read:,}")
        if done == n:
            break
    return {name: torch.cat(held) for name, held in parts.items()}, done < n


def _needed(stream: ActivationStream, n: int, missing: int) -> int:
    """Bytes that the missing layers take; ValueError where all layers together are above the cap.

    Where n alone would break the cap, the corpus is tokenised to see how many it really holds.
    """
    layer = stream.d_model * stream.model.dtype.itemsize
    row = len(stream.layers) * layer + 16
    if n * row > cap():
        held = 0
        for window in stream.windows():
            held += len(window.tokens) - window.first
            if held * row > cap():
                raise _too_large(stream, n)
        n = min(n, held)
    return n * (missing * layer + 16)


def _too_large(stream: ActivationStream, n: int) -> ValueError:
    size = n * (len(stream.layers) * stream.d_model * stream.model.dtype.itemsize + 16)
    return ValueError(
        f"{n:,} activations of {len(stream.layers)} layers need {size / 1e9:.2g} GB or more than "
        f"the {cap() / 1e9:.3g} GB of the cache leave: ask for fewer, raise EPKIT_CACHE_GB, or "
        "read the stream itself, which keeps nothing"
    )
