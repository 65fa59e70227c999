"""How strongly something names each of many words: through the logit lens, or as the next token.

`word_logits` reads directions by the model's own unembedding. `forced_logits` needs no look inside:
it puts words into the model's mouth and sees what it would say next.

Does not know: regions, which word is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from epkit.geometry import full_precision
from epkit.lm.generate import encode_prompt
from epkit.lm.lens import normed_directions
from epkit.lm.models import ONE_AT_A_TIME, LanguageModel, unembedding_rows
from epkit.lm.tokens import chats, text_ids

FORCED = "My secret word is"


def word_tokens(tokenizer, word: str) -> list[int]:
    """Ids of the word's writings that are one token: with or without a blank before it, small or
    with a capital. Where none is, the first token of the word after a blank."""
    writings = (f" {word}", word, f" {word.title()}", word.title())
    ways = [text_ids(tokenizer, way) for way in writings]
    single = [ids[0] for ids in ways if len(ids) == 1]
    return list(dict.fromkeys(single)) or ways[0][:1]


@torch.no_grad()
def word_logits(model: LanguageModel, directions: Tensor, words: Sequence[str]) -> Tensor:
    """The logit lens of directions (R, D) at every word's best token: (R, words) float32, CPU."""
    tokens = [word_tokens(model.tokenizer, word) for word in words]
    ids = torch.tensor([i for own in tokens for i in own], device=model.device)
    weight, bias = unembedding_rows(model, ids)
    with full_precision():
        normed = normed_directions(model, directions)
        logits = torch.nn.functional.linear(normed, weight, bias)
    parts = logits.split([len(own) for own in tokens], dim=1)
    return torch.stack([part.max(dim=1).values for part in parts], dim=1).cpu()


@torch.no_grad()
def forced_logits(model: LanguageModel, prompt: str, words: Sequence[str]) -> Tensor:
    """Logits (words,) of the next token after the model was made to begin its answer to a prompt
    with `FORCED`, at every word's best token; float32 on the CPU."""
    ids = encode_prompt(model, *chats([prompt]))
    ids = torch.tensor([ids + text_ids(model.tokenizer, FORCED)], device=model.device)
    with ONE_AT_A_TIME:
        logits = model.module(input_ids=ids, use_cache=False).logits[0, -1].float().cpu()
    return torch.stack([logits[word_tokens(model.tokenizer, word)].max() for word in words])
