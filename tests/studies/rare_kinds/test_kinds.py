from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from epkit.lm.corpora import UniformTokens
from epkit.studies.rare_kinds import kinds


def read(documents, texts=None):
    """`ActivationSet`'s face: windows of three tokens, the first not clustered, row i is i + 1."""
    n = len(documents)
    tokens = torch.arange(3 * n, dtype=torch.int32)
    return SimpleNamespace(
        layer=lambda layer: (torch.arange(2 * n, dtype=torch.float32) + layer)[:, None],
        tokens=tokens, lengths=torch.full((n,), 3, dtype=torch.int32),
        documents=torch.tensor(documents, dtype=torch.int32),
        clustered=tokens % 3 > 0,
    )  # fmt: skip


def test_planted_and_held_out_are_of_different_documents():
    kind = kinds.split_kind(read([0, 0, 1, 1, 1, 2]), 4)
    # Of 12 activations the 7th is of document 1, so documents from 1 on are held out.
    assert kind.planted.flatten().tolist() == [4, 5, 6, 7]
    assert kind.document.tolist() == [0, 0, 0, 0]
    assert kind.heldout.flatten().tolist() == [8, 9, 10, 11, 12, 13, 14, 15]


def test_a_first_document_that_is_most_of_a_kind_is_planted():
    kind = kinds.split_kind(read([0, 0, 0, 0, 2]), 0)
    assert kind.document.tolist() == [0] * 8
    assert len(kind.heldout) == 2


def test_one_document_is_no_kind():
    with pytest.raises(ValueError, match="at least two documents"):
        kinds.split_kind(read([1, 1]), 0)


def test_excerpts_are_beginnings():
    long, rest = "x" * kinds.CHARACTERS, "never read"
    made = kinds.beginnings(
        [long + "yz", "ab", UniformTokens(3, 500), UniformTokens(4, 7), rest], 4
    )
    assert made == [long, "ab", UniformTokens(3, kinds.CHARACTERS // 4), UniformTokens(4, 7)]
    with pytest.raises(ValueError, match="a chat cannot be cut"):
        kinds.beginnings([[{"role": "user", "content": "hi"}]], 1)


def test_texts_of_a_corpus_and_of_the_topic(monkeypatch):
    requests = [f"please {i}" for i in range(40)]
    monkeypatch.setattr(kinds, "harmful_requests", lambda: requests)
    asked = []

    def load(name, split, *, source, seed):
        asked.append((name, split, source, seed))
        return ["text one", "text two"]

    monkeypatch.setattr(kinds, "load_corpus", load)
    assert kinds.kind_texts("maths", "hub", 3, 1) == ["text one"]
    kinds.kind_texts("random-words", "hub", 3, 1)
    assert asked == [("maths", "build", "hub", 3), ("random-words", "build", "wheel", 3)]
    some = kinds.kind_texts(kinds.HARMFUL, "wheel", 0, 5)
    assert len(set(some)) == 5
    assert set(some) < set(requests)
    assert some == kinds.kind_texts(kinds.HARMFUL, "wheel", 0, 5)
    assert some != kinds.kind_texts(kinds.HARMFUL, "wheel", 1, 5)


def test_texts_of_a_labelled_set_come_once(monkeypatch):
    table = pd.DataFrame({"prompt": ["one", "two", "one", "three"], "target": 0})
    monkeypatch.setattr(kinds, "labelled_set", {"96_spam_is": table}.__getitem__)
    found = kinds.kind_texts("text messages", "wheel", 0, 9)
    assert sorted(found) == ["one", "three", "two"]


def test_documents_in_cyrillic_are_left_out(monkeypatch):
    monkeypatch.setattr(kinds, "TokenTexts", lambda _: lambda ids: [
        " здрав" if int(i) in (4, 5, 7) else " word" for i in ids
    ])  # fmt: skip
    # Documents 0, 1 and 3; of the second both tokens are Cyrillic, of the third one of four.
    found = kinds.latin_rows(read([0, 1, 3, 3]), None, share=0.3)
    assert found.tolist() == [True] * 2 + [False] * 2 + [True] * 4
    assert kinds.latin_rows(read([0, 1, 3, 3]), None, share=0.2).tolist()[4:] == [False] * 4


@pytest.mark.slow
def test_a_kind_is_where_it_is_computed(far):
    kind = kinds.split_kind(read([0, 0, 1, 1, 1, 2]), 4)
    assert {kind.planted.device.type, kind.heldout.device.type} == {far.type}
    assert kind.document.device.type == "cpu"


def test_what_there_is_of_a_kind():
    table = kinds.kind_table({"a": kinds.split_kind(read([0, 0, 1, 1, 1, 2]), 4)})
    assert table.to_dict("records") == [
        {"kind": "a", "to plant": 4, "of documents": 1, "held out": 8}
    ]
