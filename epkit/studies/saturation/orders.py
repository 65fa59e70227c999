"""Streams of documents: excerpts of long ones, other orders, disjoint sets, and text read twice.

- `excerpts` cuts long documents, so that a stream holds many of them; `plain_turns` writes a
  dialogue as text, for models without a chat template.
- `document_orders` permutes whole documents, `document_blocks` takes disjoint runs of them.
- `revisited` marks what repeats an earlier window.

Does not know: models, tokenizers (token ids are numbers to compare), clustering.
"""

import re
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

SPAN = 16
"""Tokens in a row that, met again in a later window, are a repetition and not a common phrase."""


def excerpts(texts: Iterable[str], characters: int, *, seed: int = 0) -> list[str]:
    """Of every text at most `characters`, from the start of a random line; blank ones are left out.

    The line begins early enough for the whole length; a shorter text is taken whole.
    """
    rng, found = np.random.default_rng(seed), []
    for text in texts:
        end = max(0, len(text) - characters)
        at = int(rng.choice([0, *(line.end() for line in re.finditer("\n", text[:end]))]))
        found.append(text[at : at + characters])
    return [text for text in found if text.strip()]


def plain_turns(texts: Iterable) -> list[str]:
    """Dialogues as text, a turn a line, "User: …" and "Assistant: …"; strings stay as they are."""
    return [
        text if isinstance(text, str)
        else "\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in text)
        for text in texts
    ]  # fmt: skip


def document_orders(document: Tensor, n_orders: int, *, seed: int = 0) -> list[Tensor]:
    """Orders of a stream that move whole documents and keep the order within each.

    document : (n,) of every activation, equal ones next to one another. Returns n_orders tensors
    (n,) int64 of stream positions; the first order is the stream's own. Raises ValueError for
    fewer than one order, an empty stream, a document in two places.
    """
    if n_orders < 1:
        raise ValueError(f"n_orders must be at least 1, not {n_orders}")
    parts = _runs(document)
    rng = np.random.default_rng(seed)
    moved = [[parts[i] for i in rng.permutation(len(parts))] for _ in range(n_orders - 1)]
    return [torch.cat(order) for order in [parts, *moved]]


def document_blocks(document: Tensor, n_blocks: int, length: int) -> list[Tensor]:
    """Disjoint runs of `length` activations, each from the start of a document, none shared.

    `document` as for `document_orders`. Returns n_blocks tensors (length,) int64 of positions.
    Raises ValueError for a count below one, or a stream too short for the blocks.
    """
    if min(n_blocks, length) < 1:
        raise ValueError(f"n_blocks and length must be at least 1, not {n_blocks} and {length}")
    starts = np.array([int(part[0]) for part in _runs(document)])
    blocks, end = [], 0
    while len(blocks) < n_blocks:
        at = int(np.searchsorted(starts, end))
        if at == len(starts) or starts[at] + length > len(document):
            raise ValueError(
                f"{n_blocks} blocks of {length:,} activations do not fit into {len(document):,} "
                f"without sharing a document: {len(blocks)} do; take fewer or shorter ones"
            )
        end = int(starts[at]) + length
        blocks.append(torch.arange(end - length, end))
    return blocks


def _runs(document: Tensor) -> list[Tensor]:
    """Positions of every document, in stream order."""
    if not len(document):
        raise ValueError("the stream has no activations")
    document = document.cpu()
    sizes = torch.unique_consecutive(document, return_counts=True)[1]
    if len(sizes) > len(document.unique()):
        raise ValueError("a document lies in two places of the stream; number it anew each time")
    return list(torch.arange(len(document)).split(sizes.tolist()))


def revisited(token: Tensor, window: Tensor, span: int = SPAN) -> Tensor:
    """Which activations repeat text of an earlier window.

    An activation is revisited when it lies in `span` tokens in a row that also stand in an earlier
    window; a window shorter than that is compared as a whole. This finds documents read again
    whether or not windows are cut in the same places. Repetition inside one window does not count.

    token, window : (n,) of every activation in stream order (`lm.chunks.places`).
    Returns (n,) bool. Raises ValueError where lengths differ, or for a span below 1.
    """
    if len(token) != len(window) or span < 1:
        raise ValueError(f"needs one window per token ({len(token)}, {len(window)}), span ≥ 1")
    if not len(token):
        return torch.zeros(0, dtype=torch.bool)
    sizes = torch.unique_consecutive(window.cpu(), return_counts=True)[1].numpy()
    ends = sizes.cumsum()
    run = np.repeat(np.arange(len(sizes)), sizes)
    at = np.arange(len(run))
    # Padded by −1, so that a short window is one span of its own and no span leaves its window.
    column = at[:, None] + np.arange(span)
    inside = column < ends[run][:, None]
    ids = np.where(inside, token.cpu().numpy()[np.minimum(column, len(run) - 1)], -1)
    starts = inside[:, -1] | (at == ends[run] - sizes[run])
    keys = np.unique(ids[starts], axis=0, return_inverse=True)[1].ravel()
    first = np.full(keys.max() + 1, len(sizes))
    np.minimum.at(first, keys, run[starts])
    again = at[starts][run[starts] > first[keys]]
    edges = np.zeros(len(run) + 1, dtype=np.int64)
    np.add.at(edges, again, 1)
    np.add.at(edges, np.minimum(again + span, ends[run[again]]), -1)
    return torch.from_numpy(edges.cumsum()[:-1] > 0)
