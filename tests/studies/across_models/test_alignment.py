"""The same words in two tokenizers, by streams of tiny models."""

import numpy as np
import pytest
import transformers
from tiny_models import SHAPE, tiny_llama, tiny_tokenizer

import epkit
from epkit.lm.chunks import places
from epkit.lm.models import wrap_model
from epkit.studies.across_models.alignment import BEFORE, aligned_words

TEXTS = [
    "The cat sat on the mat, and the cat's hat fell.", " ", "Über alles: naïve café words go on.",
    "one two three four five six seven eight nine ten eleven twelve",
]  # fmt: skip


@pytest.fixture(scope="module")
def streams():
    """Bytes as tokens, and words as tokens."""
    tokenizer = tiny_tokenizer(texts=TEXTS * 2)
    config = transformers.LlamaConfig(**SHAPE | {"vocab_size": len(tokenizer)})
    wordwise = wrap_model(transformers.LlamaForCausalLM(config), tokenizer, name="words")
    return [
        (m, epkit.cached(epkit.ActivationStream(m, TEXTS, [1], context=c), n))
        for m, c, n in ((tiny_llama(), 20, 130), (wordwise, 8, 30))
    ]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EPKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def words(streams):
    (a, of_a), (b, of_b) = streams
    return aligned_words(TEXTS, of_a, of_b, a.tokenizer, b.tokenizer)


def test_both_rows_are_the_tokens_that_end_the_word(streams, words):
    for (model, stream), rows in zip(streams, (words.a, words.b), strict=True):
        at = places(stream)
        for row, word in zip(rows, words.word, strict=True):
            token = model.tokenizer.decode([int(at.token[row])])
            assert word.endswith(token.strip().casefold()) or "\ufffd" in token
        assert at.document[rows].tolist() == words.document.tolist()
        assert (np.diff(rows) > 0).all()


def test_words_are_letters_with_their_apostrophes(words):
    assert "cat's" in words.word
    assert "mat" in words.word
    assert "naïve" in words.word
    assert not {",", ".", ":"} & set(words.word)


def test_no_word_is_the_first_of_a_window_and_none_is_of_another_document(streams, words):
    for (_, stream), rows in zip(streams, (words.a, words.b), strict=True):
        window = places(stream).window.numpy()
        first = np.flatnonzero(np.diff(window, prepend=-1) > 0)
        assert not set(first) & set(rows)
    assert 1 not in words.document


def test_the_words_before_come_with_it(words):
    i = list(words.word).index("sat")
    assert words.before[i].tolist() == ["cat", "the", ""]
    assert words.before.shape == (len(words), BEFORE)


def test_other_texts_are_refused(streams):
    (a, of_a), (b, of_b) = streams
    with pytest.raises(ValueError, match="is not what the stream was read from"):
        aligned_words([t.upper() for t in TEXTS], of_a, of_b, a.tokenizer, b.tokenizer)
    with pytest.raises(ValueError, match="no word in common"):
        aligned_words([], of_a, of_b, a.tokenizer, b.tokenizer)
