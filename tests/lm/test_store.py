"""The disk cache: what comes back is what the stream gives, whole or not at all."""

import json
import multiprocessing
import os
import types

import pytest
import torch
from tiny_models import tiny_llama

from epkit.lm import store as cache
from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import truncate
from epkit.lm.store import cached

TEXTS = ["word " * (1 + 7 * i % 13) for i in range(200)]
FLAT = ("tokens", "lengths", "documents", "clustered")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    monkeypatch.delenv("EPKIT_CACHE_GB", raising=False)
    return tmp_path / "activations"


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
    assert [f.name for f in (home / stream.fingerprint).iterdir()] == ["900"]
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


@pytest.mark.parametrize("damage", ["layer-3", "tokens", "header.json", "no header"])
def test_a_damaged_set_is_refused_and_made_again(stream, home, capsys, damage):
    cached(stream, 300, show_progress=False)
    folder = home / stream.fingerprint / "300"
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
    streams = [ActivationStream(model, TEXTS, [layer]) for layer in range(3)]
    size = 1000 * (16 * 4 + 16)
    monkeypatch.setenv("EPKIT_CACHE_GB", str(2.5 * size / 1e9))
    for age, stream in ((300, streams[0]), (200, streams[1])):
        cached(stream, 1000, show_progress=False)
        for file in (home / stream.fingerprint / "1000").iterdir():
            then = file.stat().st_mtime - age
            os.utime(file, (then, then))
    cached(streams[0], 10, show_progress=False)  # now it is streams[1] that was used longest ago
    cached(streams[2], 1000, show_progress=False)
    kept = {f.parent.name for f in home.glob("*/1000")}
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
    with pytest.raises(ValueError, match="n must be at least 1 activation, not 0"):
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
    assert [f.name for f in (home / stream.fingerprint).iterdir()] == ["4000"]
    assert_same(cached(stream, 4000, show_progress=False), first(stream, 4000))


def test_the_loser_of_a_race_keeps_the_winners_set(stream, monkeypatch, home):
    chunks = stream.chunks

    def meanwhile():
        monkeypatch.setattr(stream, "chunks", chunks)
        cached(stream, 100, show_progress=False)
        yield from chunks()

    monkeypatch.setattr(stream, "chunks", meanwhile)
    assert_same(cached(stream, 100, show_progress=False), first(stream, 100))
    assert [f.name for f in (home / stream.fingerprint).iterdir()] == ["100"]


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


def test_the_header_says_what_the_files_hold(stream, home):
    cached(stream, 64, show_progress=False)
    folder = home / stream.fingerprint / "64"
    header = json.loads((folder / cache.HEADER).read_text())
    assert header["bytes"] == {
        f.name: f.stat().st_size for f in folder.iterdir() if f.name != cache.HEADER
    }
