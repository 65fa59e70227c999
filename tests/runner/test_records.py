"""Records: every kind of damage to `state.json` means that nothing counts as run."""

import json

import pytest

from epkit.runner import records

RECORD = {"status": "done", "seconds": 1.5, "error": "", "traceback": "", "inputs": "ab"}


def without(name):
    return {key: value for key, value in RECORD.items() if key != name}


DAMAGED = {
    "empty": b"",
    "truncated": json.dumps({"01_a": RECORD}).encode()[:-9],
    "binary": bytes(range(256)),
    "utf-16": json.dumps({"01_a": RECORD}).encode("utf-16"),
    "nested": b"[" * 100_000,
    "nested inside": b'{"01_a": ' + b"[" * 100_000,
    "a list": b"[]",
    "null": b"null",
    "a text": b'"done"',
    "a number": b"3",
    "a huge number": b'{"01_a": ' + b"9" * 10_000 + b"}",
    "surrogate": json.dumps({"01_a": {**RECORD, "error": "\ud800"}}).encode(),
} | {
    f"record {value!r}": json.dumps({"01_a": RECORD, "02_b": value}).encode()
    for value in (None, [], "done", 3, {}, *map(without, RECORD))
}
WRONG = {
    "status": (None, 1, "skipped", "not run", [], "DONE", True),
    "seconds": (None, "1", [1], float("nan"), float("inf"), -1, True),
    "error": (None, 1, ["a"], {}),
    "traceback": (None, 1, ["a"]),
    "inputs": (None, 1, ["a"]),
}
for name, values in WRONG.items():
    for value in values:
        text = json.dumps({"01_a": {**RECORD, name: value}})
        DAMAGED[f"{name} {value!r}"] = text.encode()


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_said_and_counts_for_nothing(tmp_path, content):
    (tmp_path / records.NAME).write_bytes(content)
    state, damage = records.read(tmp_path)
    assert state == {}
    assert str(tmp_path / records.NAME) in damage
    assert "starting as if nothing had been run" in damage
    assert "\n" not in damage


def test_a_folder_in_the_files_place_is_damage(tmp_path):
    (tmp_path / records.NAME).mkdir()
    assert records.read(tmp_path)[0] == {}
    assert "IsADirectoryError" in records.read(tmp_path)[1]


def test_sound_records_come_back_and_none_is_no_damage(tmp_path):
    assert records.read(tmp_path) == ({}, "")
    state = {"01_a": RECORD, "02_b": {**RECORD, "status": "failed", "seconds": 0, "error": "é"}}
    records.write(tmp_path, state)
    assert records.read(tmp_path) == (state, "")


def test_a_folder_is_held_once_and_free_again_after_an_error(tmp_path):
    folder = tmp_path / "runs" / "cpu"
    with records.locked(folder):
        with pytest.raises(BlockingIOError, match="another run"), records.locked(folder):
            pass
        with records.locked(tmp_path / "runs" / "other"):
            pass
    with pytest.raises(KeyError), records.locked(folder):
        raise KeyError
    with records.locked(folder):
        assert list(folder.iterdir()) == []
