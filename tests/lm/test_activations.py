"""Activations: batched equals one at a time equals transformers' own hidden states."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_stream import FakeStream
from tiny_models import TINY, tiny_gpt2, tiny_llama, tiny_tokenizer

from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import Chunk, places, truncate
from epkit.lm.corpora import UniformTokens, as_corpus

TEXTS = [
    "one two three",
    "a",
    "",
    "a longer text that takes several windows of the short context used here, all of them cut",
    "<user>",
    "ünïcode ☂",
]
CHAT = [{"role": "user", "content": "why?"}]
TOKENIZERS = [
    {"bos": True, "pad": "own", "padding_side": "right"},
    {"bos": True, "pad": "eos", "padding_side": "left"},
    {"bos": False, "pad": "eos", "padding_side": "right"},
    {"bos": False, "pad": None, "padding_side": "left"},
]
FLAT = ("tokens", "lengths", "documents", "clustered")


def joined(stream) -> Chunk:
    """The whole stream as one chunk."""
    chunks = list(stream.chunks())
    return Chunk(
        **{name: torch.cat([getattr(c, name) for c in chunks]) for name in FLAT},
        activations={x: torch.cat([c.activations[x] for c in chunks]) for x in stream.layers},
        cursor=chunks[-1].cursor,
    )


def plain_hidden_states(model, chunk) -> list[torch.Tensor]:
    """transformers alone, one window at a time, no padding: [(T, D)] per hidden state."""
    states = []
    for tokens in chunk.tokens.long().split(chunk.lengths.tolist()):
        with torch.no_grad():
            out = model.module(input_ids=tokens[None], output_hidden_states=True, use_cache=False)
        states.append([h[0] for h in out.hidden_states])
    return [torch.cat(parts) for parts in zip(*states, strict=True)]


@pytest.mark.parametrize("shape", TINY)
@pytest.mark.parametrize("options", TOKENIZERS, ids=lambda o: "-".join(map(str, o.values())))
def test_batched_is_one_at_a_time_is_transformers(shape, options):
    model = TINY[shape](tiny_tokenizer(**options))
    texts = [*TEXTS, CHAT] if options["bos"] else TEXTS
    alone = joined(ActivationStream(model, texts, [0, 2], context=24, batch_tokens=1))
    plain = plain_hidden_states(model, alone)
    for batch_tokens, bucket in ((60, None), (10_000, None), (10_000, 2)):
        options = {"context": 24, "batch_tokens": batch_tokens, "bucket": bucket}
        stream = ActivationStream(model, texts, [2, 0], **options)
        batched = joined(stream)
        for name in FLAT:
            assert torch.equal(getattr(batched, name), getattr(alone, name))
        for layer in (0, 2):
            torch.testing.assert_close(
                batched.activations[layer], alone.activations[layer], rtol=1e-4, atol=1e-5
            )
    for layer in (0, 2):
        expected = plain[layer + 1][alone.clustered]
        torch.testing.assert_close(alone.activations[layer], expected, rtol=1e-4, atol=1e-5)


def test_the_last_layer_is_before_the_final_norm():
    model = tiny_llama()
    chunk = joined(ActivationStream(model, TEXTS, [3], context=24))
    normed = model.module.model.norm(chunk.activations[3])
    expected = plain_hidden_states(model, chunk)[-1][chunk.clustered]
    torch.testing.assert_close(normed, expected, rtol=1e-4, atol=1e-5)


def test_gpt2_shape_works_too():
    model = tiny_gpt2()
    chunk = joined(ActivationStream(model, TEXTS, [0], context=24))
    expected = plain_hidden_states(model, chunk)[1][chunk.clustered]
    torch.testing.assert_close(chunk.activations[0], expected, rtol=1e-4, atol=1e-5)


def test_blocks_after_the_deepest_never_run():
    model = tiny_llama()
    ran = []
    hooks = [
        block.register_forward_pre_hook(lambda *_, i=i: ran.append(i))
        for i, block in enumerate(model.module.model.layers)
    ]
    hooks.append(model.module.lm_head.register_forward_hook(lambda *_: ran.append("head")))
    list(ActivationStream(model, ["some text"], [2, 0]).chunks())
    for hook in hooks:
        hook.remove()
    assert ran == [0, 1, 2]


def test_windows_cover_every_token_once_with_bos_before_each():
    model = tiny_llama()
    text = "x" * 50
    windows = list(ActivationStream(model, [text, "ab"], [0], context=24).windows())
    bos = model.tokenizer.bos_token_id
    assert [len(w.tokens) for w in windows] == [24, 24, 5, 3]
    assert [w.document for w in windows] == [0, 0, 0, 1]
    assert all(w.tokens[0] == bos and w.first == 1 for w in windows)
    body = [t for w in windows for t in w.tokens[1:]]
    assert model.tokenizer.decode(body) == text + "ab"


def test_bos_written_in_a_text_is_text_and_absent_bos_is_not_made_up():
    window = next(ActivationStream(tiny_llama(), ["<bos>ab"], [0]).windows())
    assert window.tokens.count(tiny_llama().tokenizer.bos_token_id) == 1
    assert (len(window.tokens), window.first) == (1 + len("<bos>ab"), 1)
    model = tiny_llama(tiny_tokenizer(bos=False))
    window = next(ActivationStream(model, ["ab"], [0]).windows())
    assert (len(window.tokens), window.first) == (2, 0)


def test_final_takes_the_last_token_after_the_last_context():
    model = tiny_llama()
    text = "".join(chr(ord("a") + i % 26) for i in range(40))
    stream = ActivationStream(model, ["", text, "xyz", CHAT], [1], context=24, positions="final")
    chunk = joined(stream)
    assert chunk.lengths[:2].tolist() == [24, 4]
    assert chunk.documents.tolist() == [1, 2, 3]
    ends = chunk.lengths.cumsum(0) - 1
    assert chunk.clustered.nonzero().flatten().tolist() == ends.tolist()
    assert model.tokenizer.decode(chunk.tokens[1:24]) == text[-23:]
    # the last token of an open question is where the answer begins
    assert model.tokenizer.decode(chunk.tokens[-1:]) == "<assistant>"
    expected = plain_hidden_states(model, chunk)[2][ends]
    torch.testing.assert_close(chunk.activations[1], expected, rtol=1e-4, atol=1e-5)


def clustered_text(model, document) -> str:
    chunk = joined(ActivationStream(model, [document], [0], context=64))
    return model.tokenizer.decode(chunk.tokens[chunk.clustered])


def test_the_start_of_the_template_is_fed_and_not_clustered():
    model = tiny_llama()
    stream = ActivationStream(model, [CHAT], [0], context=64)
    (window,) = stream.windows()
    assert model.tokenizer.decode(window.tokens) == (
        "<bos><system>be kind<end><user>why?<end><assistant>"
    )
    assert clustered_text(model, CHAT) == "why?<end><assistant>"
    answered = [*CHAT, {"role": "assistant", "content": "so"}]
    assert clustered_text(model, answered) == "why?<end><assistant>so<end>"
    own_system = [{"role": "system", "content": "terse"}, *CHAT]
    assert clustered_text(model, own_system) == "terse<end><user>why?<end><assistant>"


def test_a_long_template_start_gives_no_empty_window():
    model = tiny_llama()
    windows = list(ActivationStream(model, [CHAT], [0], context=5).windows())
    assert all(w.first < len(w.tokens) for w in windows)
    fed = [t for w in windows for t in w.tokens[w.first :]]
    assert model.tokenizer.decode(fed) == "why?<end><assistant>"


def test_chats_need_a_template_and_its_refusal_is_told():
    with pytest.raises(ValueError, match="tiny-llama has no chat template"):
        list(ActivationStream(tiny_llama(tiny_tokenizer(chat=False)), [CHAT], [0]).chunks())
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(ValueError, match="refuses a chat: no system role"):
        list(ActivationStream(tiny_llama(tokenizer), [CHAT], [0]).chunks())


def test_uniform_tokens_follow_bos():
    model = tiny_llama()
    document = UniformTokens(seed=3, length=10)
    (window,) = ActivationStream(model, [document], [0]).windows()
    ids = document.ids(model.vocab_size)
    assert window.tokens == [model.tokenizer.bos_token_id, *ids]


def many_texts() -> list[str]:
    return ["word " * (1 + 7 * i % 13) for i in range(150)]


def test_a_stream_resumes_to_the_same_bits():
    stream = ActivationStream(tiny_llama(), many_texts(), [1], batch_tokens=200)
    chunks = list(stream.chunks())
    assert [c.cursor for c in chunks] == [64, 128, chunks[-1].cursor]
    for i, chunk in enumerate(chunks):
        later = list(stream.chunks(start=chunk.cursor))
        assert len(later) == len(chunks) - i - 1
        for a, b in zip(later, chunks[i + 1 :], strict=True):
            assert torch.equal(a.activations[1], b.activations[1])
            assert torch.equal(a.tokens, b.tokens)
            assert a.cursor == b.cursor
    with pytest.raises(ValueError, match="start must be the cursor of a chunk, not 5"):
        list(stream.chunks(start=5))


def test_nothing_is_tokenised_before_it_is_asked_for():
    read = []

    def documents():
        for i in itertools.count():
            read.append(i)
            yield "text"

    stream = ActivationStream(tiny_llama(), ["text"], [0])
    stream.corpus = type("Endless", (), {"__iter__": lambda self: documents()})()
    next(stream.chunks())
    assert len(read) == 64


def test_batches_hold_no_more_than_asked():
    model = tiny_llama()
    shapes = []
    model.module.model.embed_tokens.register_forward_hook(
        lambda module, args, out: shapes.append(out.shape)
    )
    list(ActivationStream(model, many_texts(), [0], context=64, batch_tokens=150).chunks())
    assert max(rows * width for rows, width, _ in shapes) <= 150
    assert sum(rows for rows, _, _ in shapes) == sum(
        1 for _ in ActivationStream(model, many_texts(), [0], context=64).windows()
    )


def test_the_rows_kept_do_not_hold_the_batch():
    stream = ActivationStream(tiny_llama(), many_texts()[:64], [1], positions="final")
    (chunk,) = stream.chunks()
    x = chunk.activations[1]
    assert x.shape == (64, 16)
    assert x.untyped_storage().nbytes() == x.numel() * x.element_size()


def test_truncate_cuts_after_the_nth_activation():
    stream = ActivationStream(tiny_llama(), ["abc", "de", "fghi"], [1])
    (chunk,) = stream.chunks()
    for n in range(1, 9):
        cut = truncate(chunk, n)
        assert int(cut.clustered.sum()) == n == len(cut.activations[1])
        assert int(cut.lengths.sum()) == len(cut.tokens) == len(cut.clustered)
        assert torch.equal(cut.tokens, chunk.tokens[: len(cut.tokens)])
        assert len(cut.lengths) == len(cut.documents) == cut.cursor
        assert cut.clustered[-1]
    assert truncate(chunk, 4).lengths.tolist() == [4, 2]
    assert truncate(chunk, 100) is chunk


def test_the_fingerprint_changes_with_what_changes_the_bytes():
    model = tiny_llama()
    base = {"layers": [1], "context": 24, "positions": "all", "batch_tokens": 100}
    streams = [ActivationStream(model, TEXTS, **base)]
    changes = [{"context": 25}, {"positions": "final"}, {"batch_tokens": 99}, {"bucket": 7}]
    streams += [ActivationStream(model, TEXTS, **(base | change)) for change in changes]
    streams.append(ActivationStream(model, TEXTS[1:], **base))
    streams.append(ActivationStream(tiny_llama(seed=1), TEXTS, **base))
    streams.append(ActivationStream(tiny_llama(tiny_tokenizer(bos=False)), TEXTS, **base))
    assert len({s.fingerprint for s in streams}) == len(streams)
    again = ActivationStream(tiny_llama(), as_corpus(list(TEXTS)), **base)
    assert again.fingerprint == streams[0].fingerprint
    others = ActivationStream(model, TEXTS, **(base | {"layers": [1, 2]}))
    assert others.fingerprint == streams[0].fingerprint  # stored layer by layer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": []}, "layers is empty"),
        ({"layers": 10}, "layers must be a list, got int 10"),
        ({"layers": None}, "layers must be a list"),
        ({"layers": "1"}, "layers must be a list"),
        ({"layers": [1, 1]}, "must be different layers"),
        ({"layers": [4]}, "layers must be in 0 … 3, got int 4"),
        ({"layers": [-1]}, "in 0 … 3"),
        ({"layers": [1.5]}, "whole number"),
        ({"layers": [True]}, "whole number, got bool True"),
        ({"layers": [None]}, "whole number"),
        ({"context": 1}, "context for tiny-llama must be in 2 … 128, got int 1"),
        ({"context": 129}, "in 2 … 128"),
        ({"context": 64.0}, "whole number, got float 64.0"),
        ({"context": None}, "whole number"),
        ({"positions": "last"}, "positions must be one of all, final, got 'last'"),
        ({"positions": 1}, "positions must be one of"),
        ({"batch_tokens": 0}, "batch_tokens must be at least 1"),
        ({"bucket": 0}, "bucket must be at least 1"),
        ({"batch_tokens": float("nan")}, "batch_tokens must be a whole number"),
        ({"model": "tiny"}, r"load it with epkit\.load_model\('tiny'\)"),
        ({"model": None}, "model must be a LanguageModel, got None"),
    ],
)
def test_impossible_arguments(change, message):
    given = {"model": tiny_llama(), "texts": TEXTS, "layers": [0], "context": 24}
    with pytest.raises((ValueError, TypeError), match=message):
        ActivationStream(**(given | change))


def test_numpy_integers_are_integers():
    model = tiny_llama()
    stream = ActivationStream(model, TEXTS, np.array([2, 0]), context=np.int64(24))
    same = ActivationStream(model, TEXTS, [0, 2], context=24)
    assert (stream.layers, stream.fingerprint) == (same.layers, same.fingerprint)


def test_a_stream_without_a_token():
    with pytest.raises(ValueError, match="the texts hold no token"):
        list(ActivationStream(tiny_llama(), ["", ""], [0]).chunks())


def test_activations_that_are_not_finite():
    model = tiny_llama()
    with torch.no_grad():
        model.module.model.embed_tokens.weight[ord("#") - 33] = torch.inf
    assert model.tokenizer("#", add_special_tokens=False)["input_ids"] == [ord("#") - 33]
    stream = ActivationStream(model, [*many_texts()[:70], "bad #"], [1])
    windows = [w.document for w in stream.windows()]
    with pytest.raises(
        RuntimeError, match=f"layer 1 are not finite in window {windows.index(70)}:"
    ):
        list(stream.chunks())


def test_places_name_token_window_and_document_of_every_activation():
    chunk = next(iter(FakeStream({3: torch.zeros(95, 2)}).chunks()))
    token, window, document = places(chunk)
    # nine windows of ten; their first token is left out
    assert token.tolist() == list(range(1, 91))
    assert window.tolist() == document.tolist() == [i // 10 for i in range(90)]


def test_documents_of_activations_by_hand():
    held = SimpleNamespace(
        tokens=torch.arange(7, dtype=torch.int32),
        documents=torch.tensor([0, 0, 3], dtype=torch.int32),
        lengths=torch.tensor([2, 3, 2], dtype=torch.int32),
        clustered=torch.tensor([False, True, False, True, True, False, True]),
    )
    assert places(held).document.tolist() == [0, 0, 0, 3]


def test_a_layer_is_the_same_bytes_whichever_others_are_read():
    model = tiny_llama()
    options = {"context": 24, "batch_tokens": 100}
    alone = {x: joined(ActivationStream(model, TEXTS, [x], **options)) for x in range(4)}
    for layers in ([0, 3], [1, 2], [0, 1, 2, 3]):
        stream = ActivationStream(model, TEXTS, [0], **options).with_layers(layers)
        assert stream.layers == tuple(layers)
        for layer, x in joined(stream).activations.items():
            assert torch.equal(x, alone[layer].activations[layer])
    with pytest.raises(ValueError, match="in 0 … 3"):
        stream.with_layers([4])
