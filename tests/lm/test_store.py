"""The disk cache: what comes back is what the stream gives, whole or not at all."""

import json
import multiprocessing
import os
import time
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_llama

from epkit.lm import store
from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import truncate
from epkit.lm.entries import HEADER
from epkit.lm.store import cached

TEXTS = ["word " * (1 + 7 * i % 13) for i in range(200)]
FLAT = ("tokens", "lengths", "documents", "clustered")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    monkeypatch.delenv("EPKIT_CACHE_GB", raising=False)
    return tmp_path / "activations"


@pytest.fixture(scope="module")
def model():
    return tiny_llama()


@pytest.fixture
def stream():
    return ActivationStream(tiny_llama(), TEXTS, [1, 3], context=24)


def first(stream, n) -> dict[str, torch.Tensor]:
    """The first n activations of a stream as whole arrays; layers by number."""
    parts, left = [], n
    for chunk in stream.chunks():
        parts.append(truncate(chunk, left))
        left -= int(parts[-1].clustered.sum())
        if not left:
            break
    arrays = {name: torch.cat([getattr(c, name) for c in parts]) for name in FLAT}
    return arrays | {x: torch.cat([c.activations[x] for c in parts]) for x in stream.layers}


def assert_same(found, expected):
    for name in FLAT:
        assert torch.equal(getattr(found, name), expected[name]), name
        assert getattr(found, name).dtype == expected[name].dtype
    for layer in found.layers:
        assert torch.equal(found.layer(layer), expected[layer])
    assert found.n == int(found.clustered.sum()) == len(found.layer(found.layers[0]))
    assert int(found.lengths.sum()) == len(found.tokens)


def names(home, stream):
    return sorted(f.name for f in (home / stream.fingerprint).iterdir())


def never(*args):
    raise AssertionError("a forward pass that should not be")


@pytest.mark.parametrize("n", [1, 700, 3001])
def test_the_first_n_activations(stream, n, monkeypatch):
    expected = first(stream, n)
    assert_same(cached(stream, n, show_progress=False), expected)
    monkeypatch.setattr(stream, "_forward", never)
    found = cached(stream, n, show_progress=False)
    assert_same(found, expected)
    assert found.fingerprint == stream.fingerprint
    assert (found.n, found.layers, found.d_model) == (n, (1, 3), 16)


def test_a_larger_set_serves_a_smaller_n(stream, monkeypatch):
    expected = {n: first(stream, n) for n in (5, 640, 641, 642, 643, 644, 645, 646)}
    cached(stream, 2000, show_progress=False)
    monkeypatch.setattr(stream, "_forward", never)
    for n, arrays in expected.items():
        assert_same(cached(stream, n, show_progress=False), arrays)


def test_a_smaller_set_is_replaced_by_a_larger(stream, home):
    small = cached(stream, 100, show_progress=False)
    assert_same(cached(stream, 900, show_progress=False), first(stream, 900))
    assert names(home, stream) == ["layer-1-900", "layer-3-900", "tokens-900"]
    assert_same(small, first(stream, 100))  # maps of the removed files stay readable


@pytest.mark.parametrize("start", [0, 1, 128, 200])
def test_chunks_from_any_window(stream, start):
    found = cached(stream, 5000, show_progress=False)
    chunks = list(found.chunks(start))
    assert len(chunks) > (start < 150)
    assert [c.cursor for c in chunks][-1] == len(found.lengths)
    token = int(found.lengths[:start].sum())
    row = int(found.clustered[:token].sum())
    for name in FLAT:
        joined = torch.cat([getattr(c, name) for c in chunks])
        offset = start if name in ("lengths", "documents") else token
        assert torch.equal(joined, getattr(found, name)[offset:])
    for layer in found.layers:
        joined = torch.cat([c.activations[layer] for c in chunks])
        assert torch.equal(joined, found.layer(layer)[row:])
    assert not list(found.chunks(len(found.lengths)))
    with pytest.raises(ValueError, match="start must lie in 0"):
        list(found.chunks(len(found.lengths) + 1))


def test_bfloat16_and_final_positions():
    model = tiny_llama()
    module = model.module.to(torch.bfloat16)
    model = type(model)(**(vars(model) | {"module": module, "dtype": torch.bfloat16}))
    stream = ActivationStream(model, TEXTS, [0], positions="final")
    found = cached(stream, 150, show_progress=False)
    assert found.layer(0).dtype == torch.bfloat16
    assert_same(found, first(stream, 150))


def test_writing_to_a_set_changes_no_file(stream):
    before = cached(stream, 50, show_progress=False).layer(1).clone()
    cached(stream, 50, show_progress=False).layer(1).zero_()
    assert torch.equal(cached(stream, 50, show_progress=False).layer(1), before)


def test_more_than_the_corpus_holds(stream, capsys, monkeypatch):
    found = cached(stream, 10**6, show_progress=False)
    everything = sum(len(w.tokens) - w.first for w in stream.windows())
    assert found.n == everything
    line = f"texts: holds {everything:,} activations, 1,000,000 were asked for\n"
    assert capsys.readouterr().out == line
    monkeypatch.setattr(stream, "_forward", never)
    assert cached(stream, 10**7, show_progress=False).n == everything  # known to be all there is


@pytest.mark.parametrize("damage", ["activations", "tokens", "header.json", "no header"])
def test_a_damaged_set_is_refused_and_made_again(stream, home, capsys, damage):
    cached(stream, 300, show_progress=False)
    folder = home / stream.fingerprint / ("tokens-300" if damage == "tokens" else "layer-3-300")
    if damage == "no header":
        (folder / "header.json").unlink()
    else:
        os.truncate(folder / damage, (folder / damage).stat().st_size - 1)
    assert_same(cached(stream, 300, show_progress=False), first(stream, 300))
    out = capsys.readouterr().out
    assert out.startswith("cached activations are damaged (")
    assert out.count("\n") == 1


def test_an_interrupted_extraction_leaves_nothing(stream, home, monkeypatch):
    forward, calls = stream._forward, []

    def interrupted(batch):
        calls.append(batch)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return forward(batch)

    monkeypatch.setattr(stream, "_forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cached(stream, 5000, show_progress=False)
    assert not list((home / stream.fingerprint).iterdir())
    assert_same(cached(stream, 5000, show_progress=False), first(stream, 5000))


def test_the_set_used_longest_ago_goes_first(home, monkeypatch):
    model = tiny_llama()
    streams = [ActivationStream(model, TEXTS[i:], [1]) for i in range(3)]
    size = 1000 * (16 * 4 + 16)
    monkeypatch.setenv("EPKIT_CACHE_GB", str(2.5 * size / 1e9))
    now = time.time()
    for age, stream in ((300, streams[0]), (200, streams[1])):
        cached(stream, 1000, show_progress=False)
        for folder in (home / stream.fingerprint).iterdir():
            os.utime(folder, (now - age, now - age))
    cached(streams[0], 10, show_progress=False)  # now it is streams[1] that was used longest ago
    cached(streams[2], 1000, show_progress=False)
    kept = {f.parent.name for f in home.glob("*/layer-*")}
    assert kept == {streams[0].fingerprint, streams[2].fingerprint}


def test_a_set_above_the_cap_is_refused_before_any_forward_pass(stream, monkeypatch):
    monkeypatch.setattr(stream, "_forward", never)
    monkeypatch.setenv("EPKIT_CACHE_GB", "0.0001")
    with pytest.raises(ValueError, match=r"5,000 activations of 2 layers need .* EPKIT_CACHE_GB"):
        cached(stream, 5000, show_progress=False)
    monkeypatch.setenv("EPKIT_CACHE_GB", "much")
    with pytest.raises(ValueError, match="EPKIT_CACHE_GB must be a number"):
        cached(stream, 5000, show_progress=False)


def test_a_huge_n_over_a_small_corpus_is_fine(stream, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE_GB", "0.01")
    assert cached(stream, 10**9, show_progress=False).n < 10**5


def test_a_full_disk_is_told_before_any_forward_pass(stream, monkeypatch):
    monkeypatch.setattr(stream, "_forward", never)
    monkeypatch.setattr("shutil.disk_usage", lambda path: types.SimpleNamespace(free=10))
    with pytest.raises(OSError, match="are free: make room, or set EPKIT_CACHE"):
        cached(stream, 5000, show_progress=False)


def test_n_must_be_positive(stream):
    with pytest.raises(ValueError, match="n must be at least 1, got int 0"):
        cached(stream, 0)


def test_the_bar_is_on_stdout(stream, capsys):
    cached(stream, 500)
    out = capsys.readouterr()
    assert "activations/s" in out.out
    assert out.err == ""


def build_and_report(queue):
    queue.put(cached(ActivationStream(tiny_llama(), TEXTS, [1, 3], context=24), 4000).n)


def test_two_processes_at_once(stream, home):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    both = [context.Process(target=build_and_report, args=(queue,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=60)
    assert [p.exitcode for p in both] == [0, 0]
    assert [queue.get(), queue.get()] == [4000, 4000]
    assert names(home, stream) == ["layer-1-4000", "layer-3-4000", "tokens-4000"]
    assert_same(cached(stream, 4000, show_progress=False), first(stream, 4000))


def test_without_locks_the_loser_of_a_race_keeps_the_winners_set(stream, monkeypatch, home):
    monkeypatch.setattr(store, "only_maker", lambda *_: nullcontext())
    chunks = stream.chunks

    def meanwhile():
        monkeypatch.setattr(stream, "chunks", chunks)
        cached(stream, 100, show_progress=False)
        yield from chunks()

    monkeypatch.setattr(stream, "chunks", meanwhile)
    assert_same(cached(stream, 100, show_progress=False), first(stream, 100))
    assert names(home, stream) == ["layer-1-100", "layer-3-100", "tokens-100"]


def test_folders_of_killed_processes_are_cleared(stream, home):
    dead = home / "0" / ".5-x.tmp"
    live = home / "0" / ".6-x.tmp"
    for folder in (dead, live):
        folder.mkdir(parents=True)
        (folder / "tokens").write_bytes(b"")
    os.utime(dead / "tokens", (0, 0))
    cached(stream, 10, show_progress=False)
    assert not dead.exists()
    assert live.exists()


def test_layers_that_others_computed_are_found(monkeypatch):
    model = tiny_llama()
    stream = {tuple(x): ActivationStream(model, TEXTS, x, context=24) for x in ([1], [0, 1], [0])}
    alone = first(stream[1,], 700) | first(stream[0,], 700)
    read = []
    chunks = ActivationStream.chunks
    monkeypatch.setattr(
        ActivationStream, "chunks", lambda self: read.append(self.layers) or chunks(self)
    )
    cached(stream[1,], 700, show_progress=False)
    both = cached(stream[0, 1], 700, show_progress=False)
    assert_same(both, alone)
    assert_same(cached(stream[0,], 500, show_progress=False), first(stream[0,], 500))
    assert read[:2] == [(1,), (0,)]
    assert both.fingerprint == stream[1,].fingerprint


def test_layers_of_different_n_serve_what_each_holds(monkeypatch):
    model = tiny_llama()
    one, two = (ActivationStream(model, TEXTS, x, context=24) for x in ([1], [1, 2]))
    cached(one, 900, show_progress=False)
    assert_same(cached(two, 300, show_progress=False), first(two, 300))
    assert_same(cached(two, 600, show_progress=False), first(two, 600))
    monkeypatch.setattr(ActivationStream, "_forward", never)
    assert cached(one, 900, show_progress=False).n == 900
    assert cached(two, 600, show_progress=False).n == 600
    with pytest.raises(AssertionError, match="should not be"):
        cached(two, 601, show_progress=False)


LIES = {
    "not JSON": lambda h: "{",
    "deep": lambda h: "[" * 200_000,
    "a list": lambda h: [h],
    "empty": lambda h: {},
    "another format": lambda h: h | {"format": 1},
    "one key more": lambda h: h | {"more": 1},
    "one key less": lambda h: {k: v for k, v in h.items() if k != "whole"},
    "n negative": lambda h: h | {"n": -5},
    "n zero": lambda h: h | {"n": 0},
    "n a text": lambda h: h | {"n": "300"},
    "n a bool": lambda h: h | {"n": True},
    "n a float": lambda h: h | {"n": 300.0},
    "n null": lambda h: h | {"n": None},
    "n too large": lambda h: h | {"n": 10**9},
    "n too small": lambda h: h | {"n": 299},
    "whole a text": lambda h: h | {"whole": "no"},
    "digest a number": lambda h: h | {"digest": 3},
    "another digest": lambda h: h | {"digest": "0" * 64},
    "no arrays": lambda h: h | {"arrays": {}},
    "arrays a list": lambda h: h | {"arrays": list(h["arrays"])},
    "arrays of numbers": lambda h: h | {"arrays": dict.fromkeys(h["arrays"], 7)},
    "an array outside": lambda h: h | {"arrays": {"../../x": ["bool", [300]]}},
    "an array that is no file": lambda h: h | {"arrays": h["arrays"] | {"x": ["bool", [300]]}},
    "another name": lambda h: h | {"arrays": {HEADER: ["bool", [300]]}},
    "unknown dtype": lambda h: change(h, dtype="load"),
    "dtype a number": lambda h: change(h, dtype=32),
    "another dtype of that size": lambda h: change(h, dtype="int32"),
    "dtype of another size": lambda h: change(h, dtype="float64"),
    "shape a number": lambda h: change(h, shape=4800),
    "shape empty": lambda h: change(h, shape=[]),
    "shape negative": lambda h: change(h, shape=[-300, -16]),
    "shape huge": lambda h: change(h, shape=[2**62, 2**62]),
    "shape of texts": lambda h: change(h, shape=["300", 16]),
    "shape flat": lambda h: change(h, shape=[4800]),
    "shape turned": lambda h: change(h, shape=[16, 300]),
}


def change(header, **stated):
    """The header with the dtype or shape of its first array changed."""
    name, (dtype, shape) = next(iter(header["arrays"].items()))
    first = {name: [stated.get("dtype", dtype), stated.get("shape", shape)]}
    return header | {"arrays": header["arrays"] | first}


@pytest.mark.parametrize("entry", ["tokens-300", "layer-3-300"])
@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_damage(home, capsys, model, entry, lie):
    stream = ActivationStream(model, TEXTS[:40], [1, 3], context=24)
    expected = first(stream, 300)
    cached(stream, 300, show_progress=False)
    header = home / stream.fingerprint / entry / HEADER
    before = header.read_text()
    told = LIES[lie](json.loads(before))
    header.write_text(told if isinstance(told, str) else json.dumps(told))
    assert_same(cached(stream, 300, show_progress=False), expected)
    out = capsys.readouterr().out
    # Of an array of int32 it is no lie to say so.
    assert ("cached activations are damaged" in out) == (header.read_text() != json.dumps(told))
    assert json.loads(header.read_text()) == json.loads(before)


@pytest.mark.parametrize("name", ["tokens", "lengths", "documents", "clustered"])
def test_tokens_that_contradict_each_other_are_damage(home, capsys, model, name):
    stream = ActivationStream(model, TEXTS[:40], [1], context=24)
    expected = first(stream, 300)
    cached(stream, 300, show_progress=False)
    file = home / stream.fingerprint / "tokens-300" / name
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)
    assert_same(cached(stream, 300, show_progress=False), expected)
    assert "damaged (tokens-300" in capsys.readouterr().out


def test_tokens_of_another_stream_are_found_out(home, capsys, model):
    """The same folder, say of a tokenizer that was changed in place, and a sound entry in it."""
    stream, other = (ActivationStream(model, t, [1, 2]) for t in (TEXTS, TEXTS[7:]))
    cached(other.with_layers([1]), 300, show_progress=False)
    (home / other.fingerprint).rename(home / stream.fingerprint)
    assert_same(cached(stream, 300, show_progress=False), first(stream, 300))
    assert "holds other tokens than the stream" in capsys.readouterr().out


@pytest.mark.parametrize("error", [PermissionError(1, "not permitted"), OSError(5, "I/O error")])
def test_a_sound_set_is_not_deleted_when_its_time_cannot_be_set(stream, monkeypatch, error):
    expected = first(stream, 300)
    cached(stream, 300, show_progress=False)
    monkeypatch.setattr(stream, "_forward", never)

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(os, "utime", fail)
    assert_same(cached(stream, 300, show_progress=False), expected)


def test_a_set_that_cannot_be_read_just_now_is_not_deleted(stream, monkeypatch):
    cached(stream, 300, show_progress=False)
    with monkeypatch.context() as patched:

        def fail(self, *args, **kwargs):
            raise PermissionError(13, "Permission denied", str(self))

        patched.setattr(Path, "read_text", fail)
        with pytest.raises(PermissionError):
            cached(stream, 300, show_progress=False)
    monkeypatch.setattr(stream, "_forward", never)
    cached(stream, 300, show_progress=False)


def test_a_read_only_cache_serves_what_it_holds(stream, home, read_only):
    expected = first(stream, 300)
    cached(stream, 300, show_progress=False)
    with read_only(home.parent):
        assert_same(cached(stream, 300, show_progress=False), expected)
        with pytest.raises(PermissionError, match="cannot be written: Permission denied; choose"):
            cached(stream, 400, show_progress=False)
    assert cached(stream, 300, show_progress=False).n == 300


def test_four_threads_cache_one_set(stream):
    expected = first(stream, 900)
    with ThreadPoolExecutor(4) as pool:
        sets = list(pool.map(lambda n: cached(stream, n, show_progress=False), [900, 400] * 2))
    assert [s.n for s in sets] == [900, 400, 900, 400]
    assert_same(sets[0], expected)


def test_what_the_call_needs_is_not_removed_for_room(model, monkeypatch):
    one, two = (ActivationStream(model, TEXTS, x) for x in ([1], [1, 2]))
    cached(one, 1000, show_progress=False)
    monkeypatch.setenv("EPKIT_CACHE_GB", str(1000 * (2 * 64 + 16) / 1e9))
    assert_same(cached(two, 900, show_progress=False), first(two, 900))
    with pytest.raises(ValueError, match="EPKIT_CACHE_GB"):
        cached(ActivationStream(model, TEXTS, [1, 2, 3]), 900, show_progress=False)
    monkeypatch.setattr(ActivationStream, "_forward", never)
    cached(one, 1000, show_progress=False)
