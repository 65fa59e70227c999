"""One entry of the disk cache: a folder of raw arrays and a header that has to be true.

An entry appears whole or not at all. `read_entry` believes nothing: a header that is not exactly
what `writing` writes, or that disagrees with the sizes of the files, is `Damaged`.

Does not know: what the arrays mean, which entries there are.
"""

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from epkit.files import remove_folder, whole_folder

FORMAT = 2
HEADER = "header.json"
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32, torch.bool
    )
}  # fmt: skip


class Damaged(ValueError):
    """An entry that is proven not to be what was written."""


@dataclass(frozen=True, eq=False)
class Entry:
    """The first n activations of a stream, all of them if `whole`; arrays are memory maps.

    `digest` names the tokens that they stand at.
    """

    folder: Path
    n: int
    whole: bool
    digest: str
    arrays: dict[str, Tensor]

    def serves(self, n: int) -> bool:
        return self.n >= n or self.whole


def read_entry(folder: Path) -> Entry:
    """Map an entry; `Damaged` where it is not sound, OSError where it cannot be read."""
    header = _header(folder)
    if set(header) != {"format", "n", "whole", "digest", "arrays"} or header["format"] != FORMAT:
        raise Damaged(f"the header of {folder.name} is not one of format {FORMAT}")
    n, whole, digest, stated = (header[x] for x in ("n", "whole", "digest", "arrays"))
    if type(n) is not int or n < 1 or type(whole) is not bool or type(digest) is not str:
        raise Damaged(f"{folder.name} states n = {n!r}, whole = {whole!r}, digest = {digest!r}")
    if type(stated) is not dict or not stated:
        raise Damaged(f"{folder.name} states no arrays")
    return Entry(folder, n, whole, digest, {x: _map(folder, x, stated[x]) for x in stated})


def _header(folder: Path) -> dict:
    try:
        header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if not folder.exists():  # removed by another process just now
            raise
        raise Damaged(f"{folder.name} has no header") from error
    except (ValueError, RecursionError) as error:
        raise Damaged(
            f"the header of {folder.name} cannot be read: {type(error).__name__}"
        ) from error
    if type(header) is not dict:
        raise Damaged(f"the header of {folder.name} is no table")
    return header


def _map(folder: Path, name: str, stated: object) -> Tensor:
    """An array of the dtype and shape that the header states, if its file has that size."""
    if type(stated) is not list or len(stated) != 2 or "/" in name:
        raise Damaged(f"{folder.name} states {name} as {str(stated)[:60]}")
    dtype, shape = stated
    known = type(dtype) is str and dtype in DTYPES
    if not known or type(shape) is not list or not shape:
        raise Damaged(f"{folder.name} states {name} as {str(stated)[:60]}")
    if not all(type(x) is int and x > 0 for x in shape):
        raise Damaged(f"{folder.name} states {name} of shape {str(shape)[:60]}")
    count = math.prod(shape)
    try:
        size = (folder / name).stat().st_size
    except FileNotFoundError as error:
        if not folder.exists():
            raise
        raise Damaged(f"{folder.name} has no {name}") from error
    if size != count * DTYPES[dtype].itemsize:
        raise Damaged(f"{name} of {folder.name} has {size:,} bytes, not what the header states")
    try:
        flat = torch.from_file(str(folder / name), shared=False, size=count, dtype=DTYPES[dtype])
    except RuntimeError as error:
        kind = OSError if folder.exists() else FileNotFoundError
        raise kind(f"{folder / name} cannot be read; see to its permissions") from error
    return flat.view(shape)


def numbered(home: Path, name: str) -> list[Path]:
    """The entries `home/<name>-<n>`, the one made for the smallest n first."""
    folders = [f for f in home.glob(f"{name}-*") if f.name.removeprefix(f"{name}-").isdecimal()]
    return sorted(filter(Path.is_dir, folders), key=lambda f: int(f.name.rpartition("-")[2]))


def drop_smaller(entry: Entry) -> None:
    """Remove the entries that this one, made for a larger n, replaces."""
    name, _, made_for = entry.folder.name.rpartition("-")
    for folder in numbered(entry.folder.parent, name):
        if int(folder.name.rpartition("-")[2]) < int(made_for):
            remove_folder(folder)


class Writer:
    """Appends rows to the raw files of an entry that is being written."""

    def __init__(self, folder: Path, files: contextlib.ExitStack):
        self._folder, self._files = folder, files
        self._opened: dict[str, object] = {}
        self._arrays: dict[str, list] = {}
        self.stated: dict[str, object] = {}

    def append(self, name: str, rows: Tensor) -> None:
        """More rows of an array: same dtype and shape but for their number."""
        rows = rows.cpu().contiguous()
        if name not in self._opened:
            self._opened[name] = self._files.enter_context((self._folder / name).open("wb"))
            dtype = str(rows.dtype).removeprefix("torch.")
            self._arrays[name] = [dtype, [0, *rows.shape[1:]]]
        if len(rows):
            self._opened[name].write(rows.view(torch.uint8).numpy())
            self._arrays[name][1][0] += len(rows)

    def state(self, n: int, whole: bool, digest: str) -> None:
        """What the header says of all rows, said before the block of `writing` ends."""
        self.stated = {"n": n, "whole": whole, "digest": digest}

    def header(self) -> str:
        return json.dumps({"format": FORMAT, **self.stated, "arrays": self._arrays})


@contextlib.contextmanager
def writing(folder: Path, size: int) -> Iterator[Writer]:
    """A new entry of about `size` bytes, in place when the block ends without an error."""
    with whole_folder(folder, size) as beside:
        with contextlib.ExitStack() as files:
            writer = Writer(beside, files)
            yield writer
        (beside / HEADER).write_text(writer.header(), encoding="utf-8")
