"""The rest of a model: what comes after a block, run again on streams that were changed there.

1. One text is run whole, and what every later block is given beside the residual stream (mask,
   positions, rotations) is noted.
2. Given residual streams of as many positions, only the later blocks run, then the final norm and
   the unembedding of the tokens that are asked about.

All texts have the same length, so none is padded and what was noted for one holds for all of them.
An intervention then costs the later blocks alone, and a vocabulary of 262,144 does not decide what
it costs.

Does not know: dictionaries, what was changed and why.
"""

import nnsight
import torch
from torch import Tensor

from epkit.lm.models import (
    ONE_AT_A_TIME,
    LanguageModel,
    blocks,
    final_norm,
    soft_capped,
    unembedding_rows,
)

BATCH = 32
"""Texts that are run whole together."""


class RestOfModel:
    """Logits from residual streams after a block.

    model : of `load_model`. layer : the block. text : (P,) ids of any text of the length of those
    to come. tokens : (V,) ids whose logits are wanted, which is also their order.
    """

    def __init__(self, model: LanguageModel, layer: int, text: Tensor, tokens: Tensor):
        self._blocks = [blocks(model)[i] for i in range(layer + 1, model.n_layers)]
        self._model, self._norm = model, final_norm(model)
        self._unembedding = unembedding_rows(model, tokens.to(model.device), model.dtype)
        ids = text[None].to(model.device)
        with ONE_AT_A_TIME, torch.no_grad(), model.nnsight.trace(input_ids=ids, use_cache=False):
            given = nnsight.save([])
            for block in self._blocks:
                given.append(block.inputs)
        self._given = [(args[1:], named) for args, named in given]

    @torch.no_grad()
    def __call__(self, streams: Tensor) -> Tensor:
        """Logits of the tokens, soft-capped where the model does: (B, P, D) → (B, P, V) float32."""
        with ONE_AT_A_TIME:
            for block, (args, named) in zip(self._blocks, self._given, strict=True):
                out = block(streams, *args, **named)
                streams = out[0] if isinstance(out, tuple) else out
            normed = self._norm(streams)
        logits = torch.nn.functional.linear(normed, *self._unembedding).float()
        return soft_capped(self._model, logits)


def streams_after(model: LanguageModel, layer: int, ids: Tensor) -> Tensor:
    """The residual streams after a block, of all positions: (N, P) ids → (N, P, D)."""
    parts = []
    for some in ids.split(BATCH):
        given = {"input_ids": some.to(model.device), "use_cache": False}
        with ONE_AT_A_TIME, torch.no_grad(), model.nnsight.trace(**given) as tracer:
            rows = nnsight.save([])
            hidden = blocks(model)[layer].output
            rows.append(hidden[0] if isinstance(hidden, tuple) else hidden)
            tracer.stop()
        parts += rows
    return torch.cat(parts)
