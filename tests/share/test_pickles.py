"""Hostile pickles: nothing of them runs, memory stays bounded, each gets one sentence."""

import contextlib
import io
import os
import pickle
import pickletools
import struct
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epkit.share.pickled_arrays import RefusedPickle, settled
from epkit.share.pickled_names import Record
from epkit.share.pickles import MAX_MARKS, read_pickle

CLASSES = frozenset({("ep.discovery.dictionary", "Dictionary")})
LOUD = ("os.system", "subprocess.Popen", "exec", "compile", "import", "os.remove", "socket.connect")

_events: list[str] = []
_listening = False


def _hear(event, args):
    if _listening and event in LOUD:
        _events.append(f"{event} {args!r:.80}")


sys.addaudithook(_hear)


def read(data):
    """`read_pickle`, and whatever the interpreter was made to do meanwhile must be nothing."""
    global _listening
    _events.clear()
    _listening = True
    try:
        return read_pickle(io.BytesIO(data), CLASSES)
    finally:
        _listening = False
        assert _events == []


def refused(data):
    with pytest.raises(RefusedPickle) as error:
        read(data)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def short(text):
    raw = text.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def call(module, name, *arguments):
    """Protocol 4 opcodes of module.name(*arguments)."""
    body = b"".join(short(a) if isinstance(a, str) else a for a in arguments)
    return b"\x80\x04" + short(module) + short(name) + b"\x93(" + body + b"tR."


FORBIDDEN = [
    *[("os", n) for n in ("system", "popen", "execv", "remove", "fork", "environ", "_exit")],
    *[("posix", n) for n in ("system", "fork")],
    *[("nt", "system"), ("subprocess", "Popen"), ("subprocess", "check_output")],
    *[
        ("builtins", n)
        for n in (
            "eval",
            "exec",
            "compile",
            "open",
            "__import__",
            "getattr",
            "setattr",
            "print",
            "input",
            "breakpoint",
            "globals",
            "vars",
            "type",
            "object",
            "map",
            "list",
            "dict",
        )
    ],
    *[("__builtin__", n) for n in ("eval", "exec", "apply", "file")],
    *[("functools", n) for n in ("partial", "reduce", "partialmethod")],
    *[("operator", n) for n in ("attrgetter", "methodcaller", "itemgetter", "call")],
    *[("importlib", "import_module"), ("runpy", "run_path"), ("code", "interact")],
    *[("shutil", "rmtree"), ("pty", "spawn"), ("socket", "socket"), ("ctypes", "CDLL")],
    *[("pickle", "loads"), ("_pickle", "loads"), ("marshal", "loads"), ("types", "FunctionType")],
    *[("torch", "load"), ("torch.hub", "load"), ("torch._utils", "_rebuild_tensor_v2")],
    *[("numpy", n) for n in ("load", "fromfile", "memmap", "save", "vectorize", "ndarray.tofile")],
    *[("numpy.testing._private.utils", "runstring"), ("numpy.f2py", "compile")],
    *[("numpy.core.multiarray", n) for n in ("fromfile", "frombuffer", "datetime_data")],
    *[("copyreg", n) for n in ("_reconstructor", "__newobj__", "add_extension", "pickle")],
    *[("ep.discovery.dictionary", n) for n in ("os", "Dictionary.load", "__builtins__", "np")],
    *[("cas.discovery.dictionary", "subprocess.call"), ("ep", "discovery"), ("", ""), ("os ", "x")],
    *[("builtins.eval", ""), ("ep.discovery.dictionary.os", "system"), ("nt\x00", "system")],
    *[("collections", "namedtuple"), ("collections", "OrderedDict"), ("enum", "Enum")],
    *[("asyncio", "run"), ("threading", "Thread"), ("webbrowser", "open"), ("sys", "exit")],
]


@pytest.mark.parametrize(("module", "name"), FORBIDDEN)
@pytest.mark.parametrize("way", ["stack", "line", "newobj"])
def test_a_name_that_is_not_allowed_is_refused_before_it_is_looked_up(module, name, way):
    loud = "touch /tmp/epkit-canary"
    if way == "stack":
        data = call(module, name, loud)
    elif way == "line":
        data = b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + short(loud) + b"tR."
    else:
        data = b"\x80\x04" + short(module) + short(name) + b"\x93(" + short(loud) + b"t\x81."
    assert "not allowed" in refused(data)
    assert not os.path.exists("/tmp/epkit-canary")


NOT_PLAIN = {
    "INST": b"(ios\nsystem\n.",
    "OBJ": b"(" + short("x") + b"o.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x00.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "PERSID": b"Pevil\n.",
    "BINPERSID": short("evil") + b"Q.",
    "NEWOBJ_EX": b"\x80\x04)}\x92.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "READONLY_BUFFER": b"\x80\x05\x98.",
    "DUP": b"\x80\x04]2.",
    "GET": b"g0\n.",
    "PUT": b"]p0\n.",
    "INT": b"I1\n.",
    "LONG": b"L1L\n.",
    "FLOAT": b"F1.0\n.",
    "STRING": b"S'x'\n.",
    "UNICODE": b"Vx\n.",
    "BINSTRING": b"T\x01\x00\x00\x00x.",
    "SHORT_BINSTRING": b"U\x01x.",
    "unknown": b"\xff.",
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_opcodes_that_plain_data_does_not_need_are_refused(name):
    message = refused(NOT_PLAIN[name])
    assert "refused" in message
    assert name == "unknown" or name in message


NP = b"\x8c\x05numpy\x8c\x05dtype\x93"
F4 = NP + short("f4") + b"\x89\x88\x87R"
BUFFER = short("numpy._core.numeric") + short("_frombuffer") + b"\x93"
RECONSTRUCT = short("numpy._core.multiarray") + short("_reconstruct") + b"\x93"
CLASS = short("ep.discovery.dictionary") + short("Dictionary") + b"\x93"
SENSELESS = {
    "empty": b"",
    "only a stop": b".",
    "two values": b"\x80\x04NN.",
    "an open mark": b"\x80\x04(N.",
    "no mark to close": b"\x80\x04Nt.",
    "append to nothing": b"\x80\x04a.",
    "append to a number": b"\x80\x04K\x01K\x01a.",
    "a memo entry that is not there": b"\x80\x04h\x05.",
    "a memo bomb": b"\x80\x04]r\xff\xff\xff\xff.",
    "a huge text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x.",
    "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
    "a huge byte array": b"\x80\x05\x96" + struct.pack("<Q", (1 << 64) - 1) + b"x.",
    "a huge number": b"\x80\x04\x8b" + struct.pack("<i", 1 << 30) + b"x.",
    "a number of negative size": b"\x80\x04\x8b" + struct.pack("<i", -5) + b".",
    "a number as a name": b"\x80\x04K\x01K\x02\x93.",
    "a name made of a name": b"\x80\x04" + NP + short("load") + b"\x93.",
    "a call of what a call gave": b"\x80\x04" + F4 + b")R.",
    "BUILD of a record with a call": (
        b"\x80\x04" + CLASS + b")\x81" + short("os") + short("system") + b"\x93" + b"b."
    ),
    "a call of a text": b"\x80\x04" + short("os") + b")R.",
    "a call with a list": b"\x80\x04" + F4[:-4] + b"]R.",
    "BUILD on a list": b"\x80\x04]}b.",
    "BUILD on a name": b"\x80\x04" + NP + b"}b.",
    "a class called": b"\x80\x04" + CLASS + b")R.",
    "a class with arguments": b"\x80\x04" + CLASS + b"K\x01\x85\x81.",
    "a state that is no dict": b"\x80\x04" + CLASS + b")\x81]b.",
    "state with a slot tuple": b"\x80\x04" + CLASS + b")\x81}}\x86b.",
    "a key that is no text": b"\x80\x04}K\x01K\x02s.",
    "object arrays": b"\x80\x04" + NP + short("O8") + b"\x89\x88\x87R.",
    "structured arrays": b"\x80\x04" + NP + short("V8") + b"\x89\x88\x87R.",
    "a dtype of a state of another kind": b"\x80\x04" + F4 + b"K\x03\x85b.",
    "a dtype with an odd order": b"\x80\x04" + F4 + b"(K\x03" + short("eval") + b"NNNK\x00tb.",
    "fewer bytes than the shape": (
        b"\x80\x04" + BUFFER + b"(C\x04abcd" + F4 + b"K\x09\x85" + short("C") + b"tR."
    ),
    "a negative shape": (
        b"\x80\x04" + BUFFER + b"(C\x04abcd" + F4 + b"J\xff\xff\xff\xff\x85" + short("C") + b"tR."
    ),
    "a shape of texts": (
        b"\x80\x04" + BUFFER + b"(C\x04abcd" + F4 + short("x") + b"\x85" + short("C") + b"tR."
    ),
    "an array of a text": (
        b"\x80\x04" + BUFFER + b"(" + short("abcd") + F4 + b"K\x01\x85" + short("C") + b"tR."
    ),
    "encoded otherwise": (b"\x80\x02c_codecs\nencode\n" + short("x") + short("rot13") + b"\x86R."),
    "a name without an end": b"\x80\x02c" + b"a" * 100_000,
    "many open containers": b"\x80\x04" + b"(" * (MAX_MARKS + 10) + b".",
    "values without bytes": b"\x80\x04" + b"]" * 1_000_000,
}


@pytest.mark.parametrize("name", SENSELESS)
def test_senseless_and_bloated_pickles_get_one_sentence_and_little_memory(name, monkeypatch):
    monkeypatch.setattr("epkit.share.pickles.MAX_VALUES", 1 << 16)
    data = SENSELESS[name]
    tracemalloc.start()
    refused(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6 + 6 * len(data)


def test_nested_lists_that_refer_to_one_another_cost_their_references_only():
    data = b"\x80\x04]\x94" + b"".join(
        b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"e\x94" for i in range(100)
    )
    tracemalloc.start()
    refused(data + b".")  # the values that were made on the way are left over
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="<f4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(4, dtype=">i4"),
        np.zeros((0, 3), dtype="f4"),
        np.array(3.5, dtype="f8"),
    ],
)
def test_arrays_come_back_whatever_the_protocol(protocol, array):
    got = settled(read(pickle.dumps(array, protocol)))
    np.testing.assert_array_equal(got, array)
    assert got.dtype == array.dtype


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.floats(allow_nan=False)
    | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(VALUES, st.sampled_from([2, 3, 4, 5]))
@settings(max_examples=150, deadline=None)
def test_plain_data_comes_back_as_pickle_would_give_it(value, protocol):
    data = pickle.dumps(value, protocol)
    if any(op.name == "DUP" for op, *_ in pickletools.genops(data)):
        return
    assert read(data) == pickle.loads(data)


def test_a_numpy_scalar_and_a_set_are_plain_data():
    assert read(pickle.dumps(np.float32(1.5))) == 1.5
    assert sorted(read(pickle.dumps({1, 2})).values) == [1, 2]
    assert sorted(read(pickle.dumps({1, 2}, 2)).values) == [1, 2]


def test_an_object_of_an_allowed_class_becomes_a_record():
    data = b"\x80\x04" + CLASS + b")\x81}" + short("a") + b"K\x01sb."
    record = read(data)
    assert isinstance(record, Record)
    assert record.state == {"a": 1}


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_data_or_refused(data):
    with contextlib.suppress(RefusedPickle):
        read(b"\x80\x04" + data)
