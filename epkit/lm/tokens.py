"""Documents → token ids: plain text, chats by the model's template, random tokens.

This module does not know windows' batches nor activations.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import jinja2

from epkit.lm.corpora import UniformTokens
from epkit.lm.models import LanguageModel


@dataclass(frozen=True)
class Window:
    """What is fed at once: `tokens`, of which those from `first` on are activations."""

    document: int
    tokens: list[int]
    first: int


class Encoder:
    """Documents → token ids, and how many of the first ones a template gives to every chat."""

    def __init__(self, model: LanguageModel):
        self.tokenizer = model.tokenizer
        self.bos = model.tokenizer.bos_token_id
        self.vocab_size = model.vocab_size
        self.name = model.name
        self._prefixes: dict[tuple, int] = {}

    def encode(self, document) -> tuple[list[int], int]:
        if isinstance(document, str):
            # `verbose=False`: no warning that the text is longer than the model's context.
            return self.tokenizer(document, add_special_tokens=False, verbose=False)["input_ids"], 0
        if isinstance(document, UniformTokens):
            return list(document.ids(self.vocab_size)), 0
        return self._render(document), self._prefix(document)

    def _render(self, chat: list[dict]) -> list[int]:
        if self.tokenizer.chat_template is None:
            raise ValueError(
                f"{self.name} has no chat template, so it cannot read chats: take an "
                "instruction-tuned model, or give the texts as plain strings"
            )
        try:
            return self.tokenizer.apply_chat_template(
                chat,
                tokenize=True,
                return_dict=False,
                add_generation_prompt=chat[-1]["role"] == "user",
            )
        except jinja2.TemplateError as error:
            raise ValueError(f"the chat template of {self.name} refuses a chat: {error}") from error

    def _prefix(self, chat: list[dict]) -> int:
        """Tokens before the first message's own words, by rendering other words in their place."""
        roles = tuple(m["role"] for m in chat)[:2]
        if roles not in self._prefixes:
            # The second role keeps templates content that insist on their alternation.
            rest = [{"role": r, "content": "A"} for r in roles[1:]]
            a, b = (self._render([{"role": roles[0], "content": c}, *rest]) for c in ("Z", "7"))
            same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))
            self._prefixes[roles] = sum(1 for _ in same)
        return self._prefixes[roles]
