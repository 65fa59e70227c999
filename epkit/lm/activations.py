"""Texts → tokens → activations: the residual stream of a model over a corpus, as a stream.

Every document becomes windows of at most `context` tokens. Windows are run in batches, the
activations after the requested blocks are kept for the positions that count, and come out as
`Chunk`s in stream order. One forward pass serves all layers and stops after the deepest.

What comes out depends on the position in the stream alone: a stream read again, or from a cursor,
gives the same bits on the same machine.

This module does not know what is done with the activations, nor where they are kept.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence

import nnsight
import torch

from epkit.checks import one_of, several, whole
from epkit.lm.chunks import Chunk, chunk_of
from epkit.lm.corpora import as_corpus
from epkit.lm.models import ONE_AT_A_TIME, LanguageModel, blocks
from epkit.lm.tokens import Encoder, Window

FORMAT = 2
"""Raised when the same inputs give other activations than before: old caches are then ignored."""

BUCKET = {"cpu": 64, "mps": 64, "cuda": 128}
"""Windows that are put into batches together, by device; cursors are multiples of it."""

BATCH_TOKENS = {"cpu": 1024, "mps": 4096, "cuda": 16384}
"""Tokens in a forward pass, padding included. Measured on two cores: 512 to 1,024 is fastest."""


class ActivationStream:
    """The residual stream after the blocks `layers` over `texts`; a value that can be re-read.

    texts: a `Corpus`, or a list of documents. A document is
      - a `str`: its tokens without special ones;
      - a chat, `[{"role": …, "content": …}, …]`: rendered by the tokenizer's chat template, which
        is asked to open the answer when the last message is the user's. The tokens with which the
        template starts every chat are fed but not clustered: they would give the same activations
        each time, and identical activations make low thresholds zero;
      - `UniformTokens`: random token ids.
    layers: 0-based; layer L is the residual stream after block L.
    context: the most tokens fed at once, BOS included. A longer document is cut into windows,
      each preceded by BOS where the tokenizer has one.
    positions: "all" clusters every position; "final" only the last token of each document, seen
      after its last context − 1 tokens.
    batch_tokens: the most tokens, padding included, in one forward pass; a default by device.
    bucket: windows that are put into batches together; a default by device. Windows of a few tokens
      fill a batch only where it is larger.

    Clustered are positions that hold a token (by mask; padding is never looked for by id), without
    BOS and without the template's start. BOS is the attention sink of most models (in the embedded
    one its norm is 100 times the median at layer 20) and goes for that reason. Other positions with
    massive activations stay (there 1 in 2,000 above 10 times the median, each the first token
    after BOS): directions are normalised, and the centre is robust to norms. A tokenizer without
    BOS has its sink on the first token of a window, which stays as well.

    Empty documents are passed over. Raises ValueError or TypeError for a model, layers, context,
    positions, batch_tokens or bucket that cannot be.
    """

    def __init__(
        self,
        model: LanguageModel,
        texts: Iterable,
        layers: Sequence[int],
        *,
        context: int = 128,
        positions: str = "all",
        batch_tokens: int | None = None,
        bucket: int | None = None,
    ):
        if not isinstance(model, LanguageModel):
            raise TypeError(
                f"model must be a LanguageModel, got {model!r:.60}; load it with "
                + (f"epkit.load_model({model!r})" if isinstance(model, str) else "epkit.load_model")
            )
        self.model = model
        self.corpus = as_corpus(texts)
        self.layers = _checked_layers(layers, model)
        self.d_model = model.d_model
        longest = getattr(model.module.config, "max_position_embeddings", None)
        self.context = whole(f"context for {model.name}", context, 2, longest)
        self.positions = one_of("positions", positions, ("all", "final"))
        self.bucket = BUCKET[model.device.type] if bucket is None else whole("bucket", bucket, 1)
        self.batch_tokens = (
            BATCH_TOKENS[model.device.type]
            if batch_tokens is None
            else whole("batch_tokens", batch_tokens, 1)
        )
        self.fingerprint = self._fingerprint()

    @property
    def about(self) -> dict[str, object]:
        """What the stream is made of, JSON-able, for the metadata of what is made from it."""
        return {
            "model": self.model.name,
            "revision": self.model.revision,
            "weights": self.model.origin,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "corpus": self.corpus.name,
            "split": self.corpus.split,
            "corpus_seed": self.corpus.seed,
            "source": self.corpus.source,
            "context": self.context,
            "positions": self.positions,
        }

    def _fingerprint(self) -> str:
        """A hash (hex) of everything that changes the stream's bytes, whichever layers are read."""
        tokenizer = self.model.tokenizer
        parts = {
            "format": [FORMAT, self.bucket, self.batch_tokens],
            "model": [self.model.name, self.model.revision, str(self.model.dtype)],
            "tokenizer": [len(tokenizer), tokenizer.bos_token_id, tokenizer.chat_template],
            "device": self.model.device.type,
            "corpus": self.corpus.fingerprint,
            "context": self.context,
            "positions": self.positions,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def with_layers(self, layers: Sequence[int]) -> ActivationStream:
        """The same stream read after other blocks: same windows, batches and fingerprint."""
        other = copy.copy(self)
        other.layers = _checked_layers(layers, self.model)
        return other

    def windows(self) -> Iterator[Window]:
        """All windows in stream order, tokenised as they are asked for."""
        encoder = Encoder(self.model)
        bos = [] if encoder.bos is None else [encoder.bos]
        room = self.context - len(bos)
        for document, content in enumerate(self.corpus):
            ids, skip = encoder.encode(content)
            if ids[:1] == bos and bos:
                ids, skip = ids[1:], max(skip - 1, 0)
            if self.positions == "final":
                if len(ids) > skip:
                    tokens = bos + ids[-room:]
                    yield Window(document, tokens, len(tokens) - 1)
                continue
            for i in range(0, len(ids), room):
                if i + room > skip:  # else nothing but the template's start
                    yield Window(document, bos + ids[i : i + room], len(bos) + max(skip - i, 0))

    def chunks(self, start: int = 0) -> Iterator[Chunk]:
        """The stream from window `start` on: 0, or the cursor of an earlier chunk.

        Raises ValueError for a stream without a token or a `start` that is no cursor, RuntimeError
        for activations that are not finite.
        """
        windows = itertools.islice(self.windows(), start, None)
        cursor = start
        while bucket := list(itertools.islice(windows, self.bucket)):
            if start % self.bucket:
                raise ValueError(f"start must be the cursor of a chunk, not {start}")
            cursor += len(bucket)
            yield self.run(bucket, cursor)
        if cursor == 0:
            raise ValueError("the texts hold no token: nothing to take activations of")

    def run(self, bucket: list[Window], cursor: int) -> Chunk:
        """The chunk of the `bucket` windows, or fewer at the end, that end at `cursor`."""
        order = sorted(range(len(bucket)), key=lambda i: len(bucket[i].tokens))
        kept: list[dict[int, torch.Tensor]] = [{}] * len(bucket)
        for batch in _batches(order, [len(w.tokens) for w in bucket], self.batch_tokens):
            rows = self._forward([bucket[i] for i in batch])
            sizes = [len(bucket[i].tokens) - bucket[i].first for i in batch]
            parts = {layer: x.split(sizes) for layer, x in rows.items()}
            for j, i in enumerate(batch):
                kept[i] = {layer: parts[layer][j] for layer in self.layers}
        activations = {layer: torch.cat([k[layer] for k in kept]) for layer in self.layers}
        self._check_finite(activations, kept, cursor - len(bucket))
        return chunk_of(bucket, cursor, activations)

    def _forward(self, batch: list[Window]) -> dict[int, torch.Tensor]:
        """{layer: (n, D)}: the clustered positions of `batch`, row by row."""
        longest = max(len(w.tokens) for w in batch)
        device = self.model.device
        # Padded on the right, so that positions count from 0 with or without padding; the pad id
        # is never attended to, hence any will do.
        ids = torch.tensor([w.tokens + [0] * (longest - len(w.tokens)) for w in batch])
        position = torch.arange(longest).expand(len(batch), -1)
        lengths = torch.tensor([len(w.tokens) for w in batch])[:, None]
        first = torch.tensor([w.first for w in batch])[:, None]
        inputs = {
            "input_ids": ids.to(device),
            "attention_mask": (position < lengths).long().to(device),
            "position_ids": position.contiguous().to(device),
        }
        wanted = ((position >= first) & (position < lengths)).to(device)
        envoys = [blocks(self.model)[layer] for layer in self.layers]
        read = self.model.nnsight
        with ONE_AT_A_TIME, torch.no_grad(), read.trace(**inputs, use_cache=False) as tracer:
            rows = nnsight.save([])
            for envoy in envoys:
                hidden = envoy.output
                hidden = hidden[0] if isinstance(hidden, tuple) else hidden
                rows.append(hidden[wanted])  # a copy: the batch itself is let go
            tracer.stop()
        return dict(zip(self.layers, rows, strict=True))

    def _check_finite(self, activations: dict, kept: list[dict], first_window: int) -> None:
        for layer, x in activations.items():
            if not torch.isfinite(x).all():
                bad = next(i for i, k in enumerate(kept) if not torch.isfinite(k[layer]).all())
                raise RuntimeError(
                    f"activations of layer {layer} are not finite in window {first_window + bad}: "
                    "load the model with dtype=torch.float32 or bfloat16"
                )


def _checked_layers(layers: Sequence[int], model: LanguageModel) -> tuple[int, ...]:
    checked = [whole("layers", x, 0, model.n_layers - 1) for x in several("layers", layers)]
    if len(set(checked)) < len(checked):
        raise ValueError(f"layers must be different layers, got {checked}")
    return tuple(sorted(checked))


def _batches(order: list[int], lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Cut `order` (by length, shortest first) so that count × longest ≤ batch_tokens."""
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * lengths[i] > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
