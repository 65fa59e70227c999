"""Soundness: what a dictionary must be, wherever its tensors come from.

One list of demands for everything that is made of outside data: a file, another format, a hub, a
worker. Names, dtypes and shapes first, then values, field by field; what does not hold is one
sentence that names the field.

Does not know: files, devices, how a dictionary is made.
"""

import math
import re

import torch
from torch import Tensor

from epkit.checks import number, shown, whole
from epkit.members import KEPT, KINDS

UNIT = 1e-4
"""How far a unit row's length, or a statistic, may be out through float32 rounding."""

DEPTH = 64
"""Deepest nesting of metadata."""

LARGEST = 2**53
"""Largest count: float64 sums hold every whole number up to here."""

# Sizes: D dimensions, K regions, T tokens, W windows, M members kept of a kind.
FIELDS = {
    "centre": (torch.float32, "D"),
    "exemplars": (torch.float32, "KD"),
    "means": (torch.float32, "KD"),
    "counts": (torch.int64, "K"),
    "coherence": (torch.float32, "K"),
    "exemplar_index": (torch.int64, "K"),
    "distance_mean": (torch.float32, "K"),
    "distance_std": (torch.float32, "K"),
}
MEMBER_FIELDS = {
    "members.tokens": (torch.int32, "T"),
    "members.lengths": (torch.int32, "W"),
    "members.clustered": (torch.bool, "T"),
    **{f"members.{kind}_index": (torch.int64, "KM") for kind in KINDS},
    **{f"members.{kind}_distance": (torch.float32, "KM") for kind in KINDS},
}

# Not tab and line feed: the rest of C0, DEL and C1 move a terminal's cursor, colour or clear it.
_ACTS_ON_A_TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def check_dictionary(tensors: dict[str, Tensor], threshold: object, metadata: object) -> None:
    """Refuse what is not a sound dictionary.

    Parameters
    ----------
    tensors : all of `FIELDS`, and all of `MEMBER_FIELDS` or none.
    threshold, metadata : as in `Dictionary`.

    Raises
    ------
    ValueError, TypeError : the first field that is not as it must be, in one sentence.
    """
    _check_layout(tensors)
    number("threshold", threshold, 0, 2, open_low=True)
    _check_metadata(metadata)
    _check_statistics(tensors)
    n = _stream_length(tensors, metadata)
    index = tensors["exemplar_index"]
    _demand("exemplar_index", index, index >= n, f"below {n:,}, the length of the stream")
    if "members.tokens" in tensors:
        _check_members(tensors, metadata)


def _check_layout(tensors: dict[str, Tensor]) -> None:
    """Exact names, dtypes and shapes."""
    wanted = FIELDS | (MEMBER_FIELDS if any(k.startswith("members.") for k in tensors) else {})
    for name in sorted(wanted.keys() ^ tensors.keys()):
        raise ValueError(f"{name} is missing" if name in wanted else f"{shown(name)} is no field")
    sizes = {"M": KEPT}
    for name, (dtype, letters) in wanted.items():
        value = tensors[name]
        if value.dtype != dtype or value.layout != torch.strided:
            raise ValueError(f"{name} must be dense {dtype}, got {value.layout} {value.dtype}")
        if value.ndim == len(letters):
            for letter, size in zip(letters, value.shape, strict=True):
                sizes.setdefault(letter, size)
        shape = tuple(sizes.get(letter, "any") for letter in letters)
        if tuple(value.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(value.shape)}")
        if not value.numel():
            raise ValueError(f"{name} is empty: its shape is {tuple(value.shape)}")


def _check_statistics(tensors: dict[str, Tensor]) -> None:
    for name in FIELDS:
        if tensors[name].is_floating_point():
            _demand(name, tensors[name], ~tensors[name].isfinite(), "finite")
    for name in ("exemplars", "means"):
        length = torch.linalg.vector_norm(tensors[name], dim=1, dtype=torch.float64)
        _demand(name, length, (length - 1).abs() > UNIT, "rows of length 1")
    for name, high in (("coherence", 1), ("distance_mean", 2), ("distance_std", 1)):
        value = tensors[name]
        outside = (value < -UNIT) | (value > high + UNIT)
        _demand(name, value, outside, f"in [0, {high}]")
    counts, index = tensors["counts"], tensors["exemplar_index"]
    _demand("counts", counts, counts < 0, "at least 0")
    total = float(counts.double().sum())
    if not 1 <= total <= LARGEST:
        raise ValueError(f"counts must add up to 1 … 2^53 activations, got {total:g}")
    _demand("exemplar_index", index, index < 0, "at least 0")
    _demand("exemplar_index", index[1:], index.diff() <= 0, "strictly ascending")


def _stream_length(tensors: dict[str, Tensor], metadata: dict) -> int:
    """Positions that an exemplar can have."""
    if "n_activations" in metadata:
        return whole("metadata n_activations", metadata["n_activations"], 1, LARGEST)
    # Counts over another stream say nothing about the one that the exemplars are of.
    return LARGEST if metadata.get("recounted") else int(tensors["counts"].sum())


def _check_members(tensors: dict[str, Tensor], metadata: dict) -> None:
    tokens, lengths, clustered = (
        tensors[f"members.{name}"] for name in ("tokens", "lengths", "clustered")
    )
    _demand("members.tokens", tokens, tokens < 0, "at least 0")
    if "vocab_size" in metadata:
        size = whole("metadata vocab_size", metadata["vocab_size"], 1, LARGEST)
        _demand("members.tokens", tokens, tokens >= size, f"below {size:,}, the vocabulary's size")
    _demand("members.lengths", lengths, lengths < 1, "at least 1")
    if int(lengths.sum()) != len(tokens):
        raise ValueError(
            f"members.lengths must add up to the {len(tokens):,} tokens, got {int(lengths.sum()):,}"
        )
    n = int(clustered.sum())
    last = int(tensors["exemplar_index"][-1])
    if last >= n:
        raise ValueError(
            f"members.clustered must mark every activation, marks {n:,} and an exemplar is the "
            f"activation at {last:,}"
        )
    for kind in KINDS:
        _check_kept(kind, tensors, n)


def _check_kept(kind: str, tensors: dict[str, Tensor], n: int) -> None:
    """The kept members of one kind, of a stream of n activations."""
    name, index = f"members.{kind}_index", tensors[f"members.{kind}_index"]
    _demand(name, index, (index < -1) | (index >= n), f"-1 or a position below {n:,}")
    late = (index[:, 1:] >= 0) & (index[:, :-1] < 0)
    _demand(name, index[:, 1:], late, "-1 after the first -1 of its region")
    name, distance = f"members.{kind}_distance", tensors[f"members.{kind}_distance"]
    inside = (distance >= 0) & (distance <= 2)
    bad = torch.where(index >= 0, ~inside, ~distance.isnan())
    _demand(name, distance, bad, "in [0, 2] where there is a member and nan where there is none")
    step = distance.diff(dim=1)
    if kind == "closest":
        _demand(name, distance[:, 1:], step < 0, "ascending in every region")
    elif kind == "farthest":
        _demand(name, distance[:, 1:], step > 0, "descending in every region")


def _check_metadata(metadata: object) -> None:
    """A JSON object that can be shown: no deep nesting, no text that a terminal acts on."""
    if not isinstance(metadata, dict):
        raise ValueError(f"metadata must be a JSON object, got {shown(metadata)}")
    left: list[tuple[object, int]] = [(metadata, 1)]
    while left:
        value, depth = left.pop()
        if isinstance(value, dict | list | tuple):
            if depth > DEPTH:
                raise ValueError(f"metadata is nested deeper than {DEPTH}")
            if isinstance(value, dict):
                for key in value:
                    if not isinstance(key, str):
                        raise ValueError(f"metadata has a key that is no text: {shown(key)}")
                left += [(key, depth) for key in value]
                value = value.values()
            left += [(item, depth + 1) for item in value]
        elif isinstance(value, str):
            if _ACTS_ON_A_TERMINAL.search(value) or _LONE_SURROGATE.search(value):
                raise ValueError(
                    f"metadata holds a control character or half a surrogate pair: {shown(value)}"
                )
        elif not isinstance(value, int | None) and not (
            isinstance(value, float) and math.isfinite(value)
        ):
            raise ValueError(f"metadata holds what JSON has no word for: {shown(value)}")


def _demand(name: str, value: Tensor, bad: Tensor, wanted: str) -> None:
    """ValueError with the first of a tensor's values that is bad."""
    if bad.any():
        at = bad.nonzero()[0].tolist()
        raise ValueError(f"{name} must be {wanted}, got {value[tuple(at)].item():g} at {at}")
