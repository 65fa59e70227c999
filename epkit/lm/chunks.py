"""A piece of a stream of activations: whole windows, their tokens, and where each one stands.

Does not know: models, texts, what is done with the activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from epkit.lm.tokens import Window


@dataclass(frozen=True, eq=False)
class Chunk:
    """Whole windows of a stream, in its order: W windows, T tokens, n activations.

    tokens (T,) int32: all tokens fed, BOS included. lengths (W,) int32: tokens per window.
    documents (W,) int32: which document of the stream, from 0, a window is of.
    clustered (T,) bool: which tokens are activations of the stream; its sum is n.
    activations {layer: (n, D)} in the model's dtype, on its device, rows in token order.
    cursor: windows up to the end of this chunk; give it as `start` to go on after it.
    """

    tokens: torch.Tensor
    lengths: torch.Tensor
    documents: torch.Tensor
    clustered: torch.Tensor
    activations: dict[int, torch.Tensor]
    cursor: int


def chunk_of(bucket: list[Window], cursor: int, activations: dict[int, torch.Tensor]) -> Chunk:
    """The chunk of windows that end at `cursor`, with their activations."""
    return Chunk(
        tokens=torch.tensor([t for w in bucket for t in w.tokens], dtype=torch.int32),
        lengths=torch.tensor([len(w.tokens) for w in bucket], dtype=torch.int32),
        documents=torch.tensor([w.document for w in bucket], dtype=torch.int32),
        clustered=torch.cat([torch.arange(len(w.tokens)) >= w.first for w in bucket]),
        activations=activations,
        cursor=cursor,
    )


class Places(NamedTuple):
    """Where the activations of a stream stand: three (n,) int64 tensors."""

    token: torch.Tensor
    window: torch.Tensor
    document: torch.Tensor


def places(stream) -> Places:
    """Token id, window and document of every activation of a `Chunk` or an `ActivationSet`."""
    window = torch.arange(len(stream.lengths)).repeat_interleave(stream.lengths.long())
    window = window[stream.clustered]
    return Places(stream.tokens[stream.clustered].long(), window, stream.documents.long()[window])


def means_by_document(values: torch.Tensor, document: torch.Tensor) -> torch.Tensor:
    """Mean of every document's values: (n,) numbers or flags, (n,) int64 → float32 on the CPU.

    values : one an activation, on any device; document : as `places` gives it, every number from 0
        to its largest at least once.
    """
    total = torch.zeros(int(document.max()) + 1).index_add_(0, document, values.float().cpu())
    return total / document.bincount()


def truncate(chunk: Chunk, n: int) -> Chunk:
    """The part of a chunk up to its n-th activation, 1 ≤ n; its last window may be cut short."""
    if n >= int(chunk.clustered.sum()):
        return chunk
    end = int(chunk.clustered.nonzero()[n - 1]) + 1
    starts = chunk.lengths.cumsum(0) - chunk.lengths
    windows = int((starts < end).sum())
    lengths = chunk.lengths[:windows].clone()
    lengths[-1] = end - int(starts[windows - 1])
    return Chunk(
        tokens=chunk.tokens[:end],
        lengths=lengths,
        documents=chunk.documents[:windows],
        clustered=chunk.clustered[:end],
        activations={layer: x[:n] for layer, x in chunk.activations.items()},
        cursor=chunk.cursor - (len(chunk.lengths) - windows),
    )
