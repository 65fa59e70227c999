"""The author's published dictionaries (Rumbelow 2026) as `Dictionary`.

    d = read_published("gemma-2-2b_layer12.pkl")
    d = read_published("J-RUM/exemplar-partitioning/gemma-2-2b_L12_p1/gemma-2-2b_layer12.pkl")

The files are pickles of a class `Dictionary` that holds a list of `Partition`; `share.pickles`
reads them without running anything of the file.

Does not know: the model. The tokens of members are not in the files, only texts, so that a
dictionary read from one has no `members`; its texts and labels are in `metadata`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from epkit import checks
from epkit.dictionary import Dictionary
from epkit.progress import progress
from epkit.share.pickled_arrays import RefusedPickle, settled
from epkit.share.pickled_names import Record
from epkit.share.pickles import read_pickle

_HOMES = ("ep.discovery.dictionary", "cas.discovery.dictionary")
CLASSES = frozenset((home, name) for home in _HOMES for name in ("Dictionary", "Partition"))
TEXT_CHARACTERS = 600
"""Of a text that is kept as metadata."""

_ACTS_ON_A_TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def read_published(
    path: str | os.PathLike, *, texts: int = 3, show_progress: bool = True
) -> Dictionary:
    """A dictionary in the author's format.

    Parameters
    ----------
    path : a pickle on this machine, or `user/repo/path/in/it.pkl` of a data set on the model hub.
    texts : closest member texts kept of every region, each cut to `TEXT_CHARACTERS`.
    show_progress : a line of progress while reading.

    Returns
    -------
    `Dictionary` with exemplars, means, counts, coherence and distance statistics as published. Its
    metadata: "published" (file name, and the class the file names), "names" (K labels, "" for
    none), "texts" (K lists of [distance, text, position]), and "positions": "stream" where the
    exemplars' stream positions are known, else "order of founding" (0 … K − 1).

    Raises
    ------
    FileNotFoundError : no such file here or on the hub.
    ValueError : the file asks for anything but plain data (nothing of it is run), is damaged, or is
        no such dictionary. Nothing of it is kept.
    """
    texts = checks.whole("texts", texts, 0)
    file = _here(path)
    with (
        file.open("rb") as opened,
        progress(
            file.stat().st_size, "bytes", f"reading {file.name}", show=show_progress
        ) as update,
    ):
        top = read_pickle(opened, CLASSES, update)
        if not isinstance(top, Record) or top.cls.name != "Dictionary":
            raise RefusedPickle(f"{file.name} holds no published dictionary")
        d = _dictionary(top, file.name, texts)
    try:
        return d.checked()
    except (TypeError, ValueError) as error:
        raise RefusedPickle(f"{file.name} is not a sound dictionary: {error}") from error


def _here(path: str | os.PathLike) -> Path:
    """The file on this machine, fetched from the hub where `path` names one there."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a file or a hub path, got {type(path).__name__}")
    here = Path(path).expanduser()
    if here.is_file():
        return here
    parts = str(path).split("/")
    if len(parts) < 3 or not all(re.fullmatch(r"[\w.-]+", part) for part in parts):
        raise FileNotFoundError(f"there is no file {path}; give a pickle or user/repo/file.pkl")
    from epkit.share.hub import fetch_file

    return fetch_file("/".join(parts[:2]), "/".join(parts[2:]), kind="dataset")


def _dictionary(top: Record, file: str, texts: int) -> Dictionary:
    centre, rows = _vector(top, "center"), _partitions(top)
    k, dim = len(rows), len(centre)
    exemplars = _exemplars(top, rows, dim)
    counts = torch.tensor([_count(row) for row in rows])
    means = np.empty((k, dim), dtype=np.float32)
    for i, row in enumerate(rows):
        means[i] = _vector(row, "mean_member_direction", dim, exemplars[i])
    index, known = _positions(rows, int(counts.sum()))
    total, squared = (
        torch.tensor([_number(row, name) for row in rows], dtype=torch.float64)
        for name in ("sum_dist_to_exemplar", "sum_sq_dist_to_exemplar")
    )
    some = counts.clamp(min=1).double()
    mean = total / some
    return Dictionary(
        centre=torch.from_numpy(centre.astype(np.float32)),
        threshold=_number(top, "threshold"),
        exemplars=torch.from_numpy(exemplars),
        means=_unit(torch.from_numpy(means)),
        counts=counts,
        coherence=torch.tensor([_number(row, "member_coherence") for row in rows]).clamp(0, 1),
        exemplar_index=index,
        distance_mean=mean.float(),
        distance_std=(squared / some - mean.square()).clamp(min=0).sqrt().float(),
        metadata={
            "published": {"file": file, "class": str(top.cls)},
            "positions": "stream" if known else "order of founding",
            "names": [_label(row) for row in rows],
            "texts": [_texts(row, texts) for row in rows],
        },
    )


def _exemplars(top: Record, rows: list[Record], dim: int) -> np.ndarray:
    """(K, D) float32 of our own; rows beyond the regions are capacity."""
    k, kept = len(rows), settled(top.state.get("_exemplars"))
    if kept is None:
        return np.stack([_vector(row, "exemplar_direction", dim) for row in rows], dtype=np.float32)
    if not isinstance(kept, np.ndarray) or kept.dtype.kind != "f" or kept.ndim != 2:
        raise RefusedPickle("_exemplars is no matrix of numbers")
    if kept.shape[1] != dim or len(kept) < k:
        raise RefusedPickle(f"_exemplars has shape {kept.shape} for {k:,} regions of {dim}")
    return kept[:k].astype(np.float32, order="C")


def _unit(x: Tensor) -> Tensor:
    """Rows of length 1, in place."""
    return torch.nn.functional.normalize(x, out=x)


def _partitions(top: Record) -> list[Record]:
    rows = top.state.get("partitions")
    if not isinstance(rows, list) or not rows:
        raise RefusedPickle("the file holds no list of partitions")
    if not all(isinstance(row, Record) and row.cls.name == "Partition" for row in rows):
        raise RefusedPickle("its partitions are of another kind")
    return rows


def _vector(
    record: Record, name: str, dim: int | None = None, default: np.ndarray | None = None
) -> np.ndarray:
    value = settled(record.state.get(name))
    if value is None and default is not None:
        return default
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind != "f":
        raise RefusedPickle(f"{name} is no vector of numbers")
    if dim is not None and len(value) != dim:
        raise RefusedPickle(f"{name} has {len(value)} dimensions, the centre has {dim}")
    if not np.isfinite(value).all():
        raise RefusedPickle(f"{name} is not finite")
    return value


def _number(record: Record, name: str) -> float:
    value = settled(record.state.get(name, 0.0))
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise RefusedPickle(f"{name} is no finite number")
    return float(value)


def _count(record: Record) -> int:
    value = _number(record, "member_count")
    if not 0 <= value < 2**53 or value != int(value):
        raise RefusedPickle(f"member_count is {value:g}, no whole number of members")
    return int(value)


def _positions(rows: list[Record], n: int) -> tuple[Tensor, bool]:
    """Positions of the exemplars in the stream of n, and whether the file knows them all."""
    found = []
    for row in rows:
        samples = settled(row.state.get("constituent_sample_indices"))
        first = samples[0] if isinstance(samples, list) and samples else None
        found.append(first if isinstance(first, int) and 0 <= first < n else -1)
    index = torch.tensor(found)
    known = bool((index >= 0).all() and (index.diff() > 0).all())
    return (index, True) if known else (torch.arange(len(rows)), False)


def _label(record: Record) -> str:
    label = record.state.get("label")
    return _plain(label) if isinstance(label, str) else ""


def _plain(text: str) -> str:
    """The start of a text, without characters that a terminal acts on."""
    return _ACTS_ON_A_TERMINAL.sub("�", text[:TEXT_CHARACTERS])


def _texts(record: Record, most: int) -> list[list]:
    """[distance, text, position] of the closest members; the file keeps minus the distance."""
    found = []
    entries = record.state.get("sample_prompts")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, tuple) and len(entry) == 3:
            gap, text, position = (settled(part) for part in entry)
            if isinstance(gap, int | float) and isinstance(text, str) and np.isfinite(gap):
                place = position if isinstance(position, int) else None
                found.append([-float(gap), _plain(text), place])
    return sorted(found, key=lambda row: row[0])[:most]
