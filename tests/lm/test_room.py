"""Tests of epkit.lm.room."""

import os

import pytest

from epkit.lm import room


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    monkeypatch.setenv("EPKIT_CACHE_GB", str(1000 / 1e9))
    return tmp_path


def entry(home, name, size, age, file=None):
    path = home / name
    (path / file if file else path).parent.mkdir(parents=True, exist_ok=True)
    (path / file if file else path).write_bytes(b"x" * size)
    os.utime(path, (10_000 - age, 10_000 - age))
    return path


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "-0.001", "much", "20 GB", "1e999"])
def test_a_cap_that_cannot_be_is_refused_and_nothing_removed(home, monkeypatch, text):
    kept = entry(home, "atlases/a", 10, 5, "x")
    monkeypatch.setenv("EPKIT_CACHE_GB", text)
    with pytest.raises(ValueError, match="EPKIT_CACHE_GB must be a number of gigabytes"):
        room.make_room(1)
    assert kept.exists()


def test_the_default_cap(monkeypatch):
    for text in (None, ""):
        monkeypatch.delenv("EPKIT_CACHE_GB", raising=False)
        if text is not None:
            monkeypatch.setenv("EPKIT_CACHE_GB", text)
        assert room.cap() == 20e9


def test_every_kind_counts_and_what_was_used_longest_ago_goes_first(home):
    model = entry(home, "models/m", 10_000, 1000, "weights")
    old = entry(home, "builds/old.safetensors", 300, 30)
    atlas = entry(home, "atlases/a", 300, 20, "layer1_p1.safetensors")
    layer = entry(home, "activations/f/layer-1-9", 300, 10, "activations")
    assert room.make_room(100)
    assert all(x.exists() for x in (old, atlas, layer))
    assert room.make_room(101)
    assert [x.exists() for x in (model, old, atlas, layer)] == [True, False, True, True]
    room.touch(atlas)
    assert room.make_room(500)
    assert [x.exists() for x in (atlas, layer)] == [True, False]


def test_what_is_needed_stays_and_too_much_removes_nothing(home):
    kept = entry(home, "activations/f/layer-1-9", 600, 50, "activations")
    other = entry(home, "builds/b.safetensors", 300, 10)
    assert not room.make_room(401, [kept])
    assert kept.exists()
    assert other.exists()
    assert room.make_room(400, [kept])
    assert kept.exists()
    assert not other.exists()


def test_leftovers_of_killed_processes_go_whatever_the_room(home):
    names = ["activations/f/.layer-1-9.0.epkit.tmp", "atlases/.a.1.tmp", "builds/.b.2.tmp"]
    dead = [entry(home, name, 1, 0, "x") for name in names]
    for x in dead:
        os.utime(x / "x", (0, 0))
    live = entry(home, "atlases/.c.3.tmp", 1, 0, "x")
    assert room.make_room(1)
    assert not any(x.exists() for x in dead)
    assert live.exists()
