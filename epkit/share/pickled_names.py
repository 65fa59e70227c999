"""The names that a pickle may hold, and what a call of one gives.

No name is ever resolved: it becomes a `Name`, a marker, and a call of one is answered here. numpy's
reconstructors become arrays over the bytes in the file, an allowed class a `Record` of its
attributes, a set the list of its items.

Does not know: opcodes, files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from epkit.share.pickled_arrays import Array, DType, RefusedPickle


@dataclass(frozen=True)
class Name:
    """An allowed global name; stands for the thing, is never resolved."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Record:
    """An object of an allowed class: its attributes."""

    cls: Name
    state: dict = field(default_factory=dict)


@dataclass(eq=False)
class Items:
    """A set of the file, as the list of its items: hashing them would let the file choose."""

    values: list = field(default_factory=list)


_ARRAY_MODULES = ("numpy._core.multiarray", "numpy.core.multiarray")
_BUFFER_MODULES = ("numpy._core.numeric", "numpy.core.numeric")
_SETS = {("builtins", "set"), ("__builtin__", "set"), ("builtins", "frozenset")}
_NUMPY = (
    {(m, n) for m in _ARRAY_MODULES for n in ("_reconstruct", "scalar")}
    | {(m, "_frombuffer") for m in _BUFFER_MODULES}
    | {("numpy", "ndarray"), ("numpy", "dtype")}
)
_BYTES = {("_codecs", "encode")}  # how older protocols write bytes
_NO_BYTES = {("builtins", "bytes"), ("__builtin__", "bytes")}  # ... and no bytes
ALLOWED = frozenset(_NUMPY | _SETS | _BYTES | _NO_BYTES)
"""Names that any file may hold, besides the classes that the caller allows."""


def expect(value, kind):
    """The value, which must be of this kind (True and False are no numbers)."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RefusedPickle(
            f"the pickle has a {type(value).__name__} where a {kind.__name__} is due; it is "
            "damaged, or no dictionary of the published format"
        )
    return value


def call(function: Name, arguments: tuple) -> object:
    """What a call of an allowed name gives, made here."""
    pair = (function.module, function.name)
    if pair in _SETS:
        return Items(list(expect(arguments[0], list)) if arguments else [])
    if pair in _BYTES:
        text, encoding = arguments
        if encoding != "latin1":
            raise RefusedPickle("bytes are written in an encoding other than latin1")
        return expect(text, str).encode("latin1")
    if pair in _NO_BYTES and not arguments:
        return b""
    if pair == ("numpy", "dtype"):
        return DType(expect(arguments[0], str))
    if function.name == "_reconstruct":
        return Array()
    if function.name == "scalar":
        dtype, data = arguments
        return Array().fill(data, dtype, (), "C").numpy().item()
    if function.name == "_frombuffer":
        data, dtype, shape, order = arguments
        return Array().fill(data, dtype, shape, order)
    raise RefusedPickle(f"a call of {function} is not allowed")
