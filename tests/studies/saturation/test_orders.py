"""Orders and sets of documents, excerpts, and text that comes again."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from epkit.studies.saturation.orders import (
    document_blocks,
    document_orders,
    excerpts,
    plain_turns,
    revisited,
)


def test_an_excerpt_begins_a_line_and_has_the_length_asked_for():
    texts = ["ab\ncd\nefgh\nij" * 4, "short", " \n ", "one line without an end " * 5]
    for seed in range(6):
        found = excerpts(texts, 20, seed=seed)
        assert len(found) == 3  # the blank one is left out
        for text, excerpt in zip([texts[0], texts[1], texts[3]], found, strict=True):
            assert len(excerpt) == min(20, len(text))
            at = text.index(excerpt)
            assert any(
                i == 0 or text[i - 1] == "\n"
                for i in range(at, len(text))
                if text.startswith(excerpt, i)
            )
        assert found == excerpts(texts, 20, seed=seed)
    assert len({excerpts(texts, 20, seed=seed)[0] for seed in range(20)}) > 1


def test_dialogues_as_plain_turns():
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    assert plain_turns([chat, "text"]) == ["User: Hi\nAssistant: Hello.", "text"]


def test_orders_move_whole_documents():
    document = torch.tensor([4, 4, 4, 7, 7, 1, 1, 1, 1])
    orders = document_orders(document, 6, seed=3)
    assert orders[0].tolist() == list(range(9))
    for order in orders:
        assert order.sort().values.tolist() == list(range(9))
        moved = document[order]
        assert len(torch.unique_consecutive(moved)) == 3
        for name in (4, 7, 1):
            assert (order[moved == name].diff() == 1).all()
    assert len({tuple(order.tolist()) for order in orders}) > 2
    again = document_orders(document, 6, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(orders, again, strict=True))


def test_blocks_are_disjoint_and_share_no_document():
    document = torch.arange(20).repeat_interleave(torch.arange(20) % 5 + 1)
    blocks = document_blocks(document, 4, 7)
    assert [len(block) for block in blocks] == [7] * 4
    names = [set(document[block].tolist()) for block in blocks]
    assert all(not a & b for i, a in enumerate(names) for b in names[:i])
    for block in blocks:
        assert block[0] == 0 or document[block[0]] != document[block[0] - 1]
        assert (block.diff() == 1).all()


def test_bad_documents_blocks_and_orders_are_named():
    with pytest.raises(ValueError, match="lies in two places"):
        document_orders(torch.tensor([1, 2, 1]), 2)
    with pytest.raises(ValueError, match="no activations"):
        document_orders(torch.tensor([]), 2)
    with pytest.raises(ValueError, match="n_orders must be at least 1"):
        document_orders(torch.tensor([1]), 0)
    with pytest.raises(ValueError, match=r"3 blocks of 4 activations do not fit into 10 .* 2 do"):
        document_blocks(torch.arange(10), 3, 4)
    with pytest.raises(ValueError, match="at least 1"):
        document_blocks(torch.arange(10), 0, 4)


def ids(*documents):
    """Token and window tensors of documents given as lists of ids, one window each."""
    token = torch.tensor([t for document in documents for t in document])
    sizes = torch.tensor([len(document) for document in documents])
    return token, torch.arange(len(documents)).repeat_interleave(sizes)


def test_text_read_again_is_found_wherever_its_windows_are_cut():
    text = torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:120]
    twice = text.repeat(2)
    for size in (40, 50):  # 50 does not divide 120: the second reading is cut elsewhere
        found = revisited(twice, torch.arange(240) // size, span=8)
        assert not found[:100].any()
        assert found[120:].double().mean() > 0.9
    assert revisited(twice, torch.arange(240) // 40, span=8).sum() == 120


def test_a_repeated_phrase_inside_one_window_is_no_revisit():
    token, window = ids([1] * 30, list(range(10, 40)))
    assert not revisited(token, window, span=8).any()
    token, window = ids([1] * 30, [1] * 30)
    assert revisited(token, window, span=8).tolist() == [False] * 30 + [True] * 30


def test_only_the_repeated_stretch_is_marked():
    shared = list(range(500, 510))
    token, window = ids([*range(20), *shared], [*range(50, 65), *shared, *range(70, 80)])
    assert revisited(token, window, span=8).nonzero()[:, 0].tolist() == list(range(45, 55))
    assert not revisited(token, window, span=11).any()


def test_windows_shorter_than_the_span_are_compared_whole():
    token, window = ids([5, 6], [5, 6, 7], [5, 6], [6])
    assert revisited(token, window, span=8).tolist() == [False] * 5 + [True, True] + [False]
    assert len(revisited(torch.tensor([]), torch.tensor([]))) == 0


def test_revisits_need_a_window_for_every_token():
    with pytest.raises(ValueError, match="one window per token"):
        revisited(torch.arange(3), torch.arange(2))
    with pytest.raises(ValueError, match="span"):
        revisited(torch.arange(3), torch.arange(3), span=0)


@settings(max_examples=50, deadline=None)
@given(
    token=hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 3)),
    size=st.integers(1, 9),
    span=st.integers(1, 5),
)
def test_revisits_by_the_definition(token, size, span):
    window = np.arange(len(token)) // size
    parts = [token[window == w].tolist() for w in range(window[-1] + 1)]
    spans = [
        [tuple(p[i : i + span]) for i in range(max(1, len(p) - span + 1))] for p in parts
    ]  # one span, the whole window, where it is shorter
    expected, seen = [], set()
    for part, own in zip(parts, spans, strict=True):
        marks = [False] * len(part)
        for i, key in enumerate(own):
            if key in seen:
                marks[i : i + span] = [True] * len(marks[i : i + span])
        seen |= set(own)
        expected += marks
    found = revisited(torch.from_numpy(token), torch.from_numpy(window), span)
    assert found.tolist() == expected
