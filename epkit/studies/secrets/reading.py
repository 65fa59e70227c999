"""What base and organism both read: held-out prompts, each with the organism's own answer.

The answer gives hints, so it says much about the word to whoever reads it; what counts is how the
organism differs from its base on the same tokens. `Reading.at` tells two places apart: the last
token before the answer, where nothing has been said yet, and the tokens of the answer.

Does not know: dictionaries, the word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import places
from epkit.lm.generate import encode_prompt
from epkit.lm.models import LanguageModel
from epkit.lm.store import cached
from epkit.lm.tokens import chat_ids, closing_tokens

OPENING, ANSWER = "before the answer", "answer"
PLACES = (OPENING, ANSWER)


@dataclass(frozen=True, eq=False)
class Reading:
    """n activations of base and tuned model on the same tokens; on the CPU.

    base, tuned : {layer: (n, D) float32}. prompt (n,) int64: of which prompt. back (n,) int64: how
    many tokens stand between it and the end of the answer's turn. opened (prompts,), closed: how
    many that are for the last token before an answer, and for its last token.
    """

    base: dict[int, Tensor]
    tuned: dict[int, Tensor]
    prompt: Tensor
    back: Tensor
    opened: Tensor
    closed: int

    @property
    def half(self) -> Tensor:
        """In which half a row is, by whole prompts: (n,) int64, 0 or 1."""
        return self.prompt % 2

    def at(self, place: str) -> Tensor:
        """Which rows stand at one of `PLACES`: (n,) bool."""
        before = self.opened[self.prompt]
        if place == OPENING:
            return self.back == before
        return (self.back < before) & (self.back >= self.closed)


def read_both(
    base: LanguageModel,
    tuned: LanguageModel,
    prompts: Sequence[str],
    answers: Sequence[str],
    layers: Sequence[int],
) -> Reading:
    """Base and tuned on every prompt with its answer, which may be empty.

    Activations come from the cache where they are there. Raises ValueError where a prompt with its
    answer does not fit a window of 128 tokens.
    """
    asked = [{"role": "user", "content": prompt} for prompt in prompts]
    documents = [
        [question, {"role": "assistant", "content": answer}]
        for question, answer in zip(asked, answers, strict=True)
    ]
    sets = []
    for model in (base, tuned):
        stream = ActivationStream(model, documents, layers)
        sets.append(cached(stream, sum(len(w.tokens) - w.first for w in stream.windows())))
    one = sets[0]
    if len(one.lengths) != len(documents):
        raise ValueError("a prompt with its answer is longer than 128 tokens: take shorter ones")
    prompt = places(one).document
    ends = torch.cat([torch.arange(int(n) - 1, -1, -1) for n in one.lengths])
    whole = [len(chat_ids(base, chat, open_answer=False)) for chat in documents]
    opened = [len(encode_prompt(base, [question])) for question in asked]
    return Reading(
        *({k: s.layer(k).float() for k in layers} for s in sets),
        prompt=prompt, back=ends[one.clustered],
        opened=torch.tensor(whole) - torch.tensor(opened), closed=closing_tokens(base),
    )  # fmt: skip
