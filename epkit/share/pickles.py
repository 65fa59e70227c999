"""Read a pickle of plain data without running anything of it.

A pickle is a program for a small stack machine; what makes it dangerous is that the program may
name any importable thing and have it called. Here its opcodes are interpreted by this module alone:

1. Opcodes build lists, tuples, dicts, texts, numbers and byte strings. Those that fetch or call by
   other means (INST, OBJ, extension codes, persistent ids, out-of-band buffers) are refused.
2. A name is looked up in a table of allowed ones and becomes a `Name`, a marker: nothing is
   imported. Every other name is refused, and the refusal says which.
3. Calls are answered by `pickled_names`: numpy's reconstructors become arrays over the bytes in the
   file, an allowed class becomes a `Record` of its attributes.

Sizes are checked against what is left of the file before anything is read, long byte strings stay
in the file until they are asked for (`pickled_arrays`), and the number of values is limited by the
size of the file: a hostile one takes at most `MAX_VALUES` small values and a few times its size.

Does not know: what the data means.
"""

from __future__ import annotations

import io
import pickletools  # only to name what is refused
import struct
from collections.abc import Callable
from typing import BinaryIO

from epkit.share.pickled_arrays import SHORT, Array, Block, DType, RefusedPickle
from epkit.share.pickled_names import ALLOWED, Items, Name, Record, call, expect

MAX_VALUES = 1 << 23
"""Opcodes that any file may hold; beyond, one for every 16 bytes (arrays of numbers need few)."""

MAX_MARKS = 1_000
"""Containers that may be open at once."""

MAX_NAME = 256
"""Characters of a module or attribute name."""


def read_pickle(
    file: BinaryIO,
    classes: frozenset[tuple[str, str]],
    on_bytes: Callable[[int], None] = lambda done: None,
) -> object:
    """The data of a pickle, in one pass.

    Parameters
    ----------
    file : opened for reading in binary, seekable; to be closed after the last `settled`.
    classes : (module, name) of the classes whose objects become a `Record`.
    on_bytes : told how many bytes were read, now and then.

    Returns
    -------
    None, bool, int, float, str, bytes, list, tuple, dict (keys are texts), `Items`, `Record`, and
    what `settled` turns into long bytes and numpy arrays of numbers, nested.

    Raises
    ------
    RefusedPickle : a name or an opcode that is not allowed, sizes beyond the file, a truncated or
        senseless file. A ValueError.
    """
    machine = _Machine(file, ALLOWED | classes, classes, on_bytes)
    try:
        return machine.run()
    except RefusedPickle:
        raise
    except (IndexError, TypeError, ValueError, KeyError, OverflowError, AttributeError) as error:
        raise RefusedPickle(
            f"the pickle is damaged at byte {machine.at:,} ({type(error).__name__}: {error}); "
            "download it again"
        ) from error
    except struct.error as error:
        raise RefusedPickle(f"the pickle ends at byte {machine.at:,}; download it again") from error


class _Machine:
    """The stack machine. One method an opcode; the table at the end of the file maps them."""

    def __init__(self, file, allowed, classes, on_bytes) -> None:
        self.file, self.allowed, self.classes, self.on_bytes = file, allowed, classes, on_bytes
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.at = 0
        self.stack: list = []
        self.marks: list[list] = []
        self.memo: list = []

    def run(self) -> object:
        told = 0
        for _ in range(MAX_VALUES + self.size // 16):
            code = self.read(1)
            if code == b".":
                if len(self.stack) != 1 or self.marks:
                    raise RefusedPickle("the pickle ends with other than one value")
                self.on_bytes(self.size)
                return self.stack[0]
            step = _OPCODES.get(code)
            if step is None:
                raise RefusedPickle(
                    f"opcode {_opcode_name(code)} at byte {self.at - 1:,} is refused: plain data "
                    "does not need it; nothing was run"
                )
            step(self)
            if self.at - told > 1 << 24:
                told = self.at
                self.on_bytes(told)
        raise RefusedPickle(f"the pickle holds more values than its {self.size:,} bytes should")

    # ---- reading --------------------------------------------------------------------------------

    def read(self, n: int) -> bytes:
        """Exactly n bytes; refused before anything is allocated where the file has not as many."""
        if n > self.size - self.at:
            raise RefusedPickle(
                f"the pickle ends early: {n:,} bytes are due at byte {self.at:,} of {self.size:,}; "
                "download it again"
            )
        data = self.file.read(n)
        if len(data) != n:
            raise RefusedPickle(f"the pickle changed while it was read, at byte {self.at:,}")
        self.at += n
        return data

    def block(self, form: str) -> None:
        """Bytes, of which long ones are passed over."""
        n = self.number(form)
        if n <= SHORT or n > self.size - self.at:
            return self.push(self.read(n))
        self.push(Block(self.file, self.at, n))
        self.at += n
        self.file.seek(self.at)

    def number(self, form: str) -> int:
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def line(self) -> str:
        data = self.file.readline(MAX_NAME + 1)
        self.at += len(data)
        if not data.endswith(b"\n"):
            raise RefusedPickle(f"a name at byte {self.at:,} is longer than {MAX_NAME} characters")
        return data[:-1].decode("utf-8")

    # ---- stack and memo -------------------------------------------------------------------------

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        if len(self.marks) == MAX_MARKS:
            raise RefusedPickle(f"the pickle opens more than {MAX_MARKS:,} containers at once")
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list:
        values, self.stack = self.stack, self.marks.pop()
        return values

    def remember(self, index: int | None = None) -> None:
        if index is not None and index != len(self.memo):
            raise RefusedPickle(f"memo entry {index:,} is out of turn at byte {self.at:,}")
        self.memo.append(self.stack[-1])

    def recall(self, index: int) -> None:
        self.push(self.memo[index])

    # ---- containers -----------------------------------------------------------------------------

    def extend(self, values: list) -> None:
        expect(self.stack[-1], list).extend(values)

    def set_items(self, values: list) -> None:
        target = expect(self.stack[-1], dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[expect(key, str)] = value

    def add_items(self, values: list) -> None:
        expect(self.stack[-1], Items).values.extend(values)

    def tuple_of(self, n: int) -> None:
        if len(self.stack) < n:
            raise RefusedPickle(f"the stack is too short at byte {self.at:,}")
        self.stack[-n:] = [tuple(self.stack[-n:])]

    # ---- names, calls, state --------------------------------------------------------------------

    def name(self, module: object, name: object) -> None:
        pair = (expect(module, str), expect(name, str))
        if pair not in self.allowed:
            shown = ".".join(pair).encode("ascii", "backslashreplace").decode()[:MAX_NAME]
            raise RefusedPickle(
                f"the pickle asks for {shown!r}, which is not allowed: nothing was run; it is no "
                "dictionary of the published format"
            )
        self.push(Name(*pair))

    def reduce(self) -> None:
        arguments, function = expect(self.stack.pop(), tuple), expect(self.stack.pop(), Name)
        self.push(call(function, arguments))

    def new_object(self) -> None:
        arguments, cls = expect(self.stack.pop(), tuple), expect(self.stack.pop(), Name)
        if (cls.module, cls.name) not in self.classes or arguments:
            raise RefusedPickle(f"the pickle makes a {cls} in a way that is not allowed")
        self.push(Record(cls))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Record):
            target.state.update(expect(state, dict))
        elif isinstance(target, DType):
            target.build(expect(state, tuple))
        elif isinstance(target, Array):
            _version, shape, dtype, fortran, data = expect(state, tuple)
            target.fill(data, dtype, shape, "F" if fortran else "C")
        else:
            raise RefusedPickle(f"BUILD on a {type(target).__name__} is not allowed")


def _opcode_name(code: bytes) -> str:
    found = pickletools.code2op.get(code.decode("latin1"))
    return found.name if found else repr(code)


def _sized(form: str, make: Callable[[bytes], object]) -> Callable[[_Machine], None]:
    return lambda m: m.push(make(m.read(m.number(form))))


def _long(m: _Machine, form: str) -> None:
    n = m.number(form)
    if not 0 <= n <= 64:
        raise RefusedPickle(f"a whole number of {n:,} bytes is refused")
    m.push(int.from_bytes(m.read(n), "little", signed=True))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass").encode("utf-8", "replace").decode("utf-8")


def _pop(m: _Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.since_mark()


_OPCODES: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": lambda m: m.number("<B"),
    b"\x95": lambda m: m.number("<Q"),
    b"(": lambda m: m.mark(),
    b"0": _pop,
    b"1": lambda m: m.since_mark(),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: _long(m, "<B"),
    b"\x8b": lambda m: _long(m, "<i"),
    b"G": lambda m: m.push(m.number(">d")),
    b"\x8c": _sized("<B", _text),
    b"X": _sized("<I", _text),
    b"\x8d": _sized("<Q", _text),
    b"C": _sized("<B", bytes),
    b"B": lambda m: m.block("<I"),
    b"\x8e": lambda m: m.block("<Q"),
    b"\x96": lambda m: m.block("<Q"),
    b"]": lambda m: m.push([]),
    b"a": lambda m: m.extend([m.stack.pop()]),
    b"e": lambda m: m.extend(m.since_mark()),
    b"l": lambda m: m.push(m.since_mark()),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"}": lambda m: m.push({}),
    b"s": lambda m: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    b"u": lambda m: m.set_items(m.since_mark()),
    b"\x8f": lambda m: m.push(Items()),
    b"\x90": lambda m: m.add_items(m.since_mark()),
    b"\x91": lambda m: m.push(Items(m.since_mark())),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(),
    b"c": lambda m: m.name(m.line(), m.line()),
    b"\x93": lambda m: m.name(*[m.stack.pop(), m.stack.pop()][::-1]),
    b"R": lambda m: m.reduce(),
    b"\x81": lambda m: m.new_object(),
    b"b": lambda m: m.build(),
}
