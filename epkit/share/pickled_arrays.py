"""Arrays of numbers in a pickle, over bytes that stay in the file until they are asked for.

A published dictionary is mostly the directions of kept members, which nobody asks for: they are
passed over, so that a file of many GB takes the memory of its exemplars and means.

Does not know: opcodes, classes, what the numbers mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

SHORT = 1 << 10
"""Bytes that are read at once; longer ones stay in the file."""

_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


class RefusedPickle(ValueError):
    """The file asks for something that plain data does not need, or is damaged."""


@dataclass(eq=False)
class Block:
    """Bytes of the file, `size` of them from `at`."""

    file: BinaryIO
    at: int
    size: int

    def __len__(self) -> int:
        return self.size

    def read(self) -> bytes:
        back = self.file.tell()
        self.file.seek(self.at)
        data = self.file.read(self.size)
        self.file.seek(back)
        if len(data) != self.size:
            raise RefusedPickle(f"the pickle changed while it was read, at byte {self.at:,}")
        return data


@dataclass(eq=False)
class DType:
    """A numpy dtype under construction."""

    code: str
    order: str = "="

    def __post_init__(self) -> None:
        if self.code not in _DTYPES:
            raise RefusedPickle(f"arrays of dtype {self.code!r:.40} are refused: numbers are due")

    def build(self, state: tuple) -> None:
        version, order, *rest = state
        if version not in (3, 4) or order not in ("<", ">", "|", "=") or any(rest[:3]):
            raise RefusedPickle("a dtype is not one of plain numbers")
        self.order = order

    def numpy(self) -> np.dtype:
        return np.dtype(self.order.replace("|", "=") + self.code)


@dataclass(eq=False)
class Array:
    """An array of the file; without content until `fill`."""

    data: bytes | bytearray | Block | None = None
    dtype: np.dtype | None = None
    shape: tuple[int, ...] = ()
    order: str = "C"

    def fill(self, data: object, dtype: object, shape: object, order: object) -> Array:
        """Take the content; size and shape must agree."""
        if not isinstance(data, bytes | bytearray | Block) or order not in ("C", "F"):
            raise RefusedPickle("an array has no bytes, or no known order")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise RefusedPickle("an array has a shape of other than whole numbers")
        if len(shape) > 4:
            raise RefusedPickle(f"an array of {len(shape)} dimensions is refused")
        if not isinstance(dtype, DType):
            raise RefusedPickle("an array has no dtype")
        kind = dtype.numpy()
        if math.prod(shape) * kind.itemsize != len(data):
            raise RefusedPickle(f"an array of shape {shape} has {len(data):,} bytes")
        self.data, self.dtype, self.shape, self.order = data, kind, shape, order
        return self

    def numpy(self) -> np.ndarray:
        if self.data is None:
            raise RefusedPickle("an array has no content")
        data = self.data.read() if isinstance(self.data, Block) else self.data
        return np.frombuffer(data, dtype=self.dtype).reshape(self.shape, order=self.order)


def settled(value: object) -> object:
    """A value of a pickle with its content out of the file, which must still be open."""
    if isinstance(value, Array):
        return value.numpy()
    return value.read() if isinstance(value, Block) else value
