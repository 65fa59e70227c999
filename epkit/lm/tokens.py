"""Documents → token ids: plain text, chats by the model's template, random tokens.

Text is text: `<bos>` written in a document gives the tokens of those five characters, never the
special token. Only inside a chat special tokens are parsed, messages included, because the template
that surrounds the messages is itself written in them.

This module does not know windows' batches nor activations.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

from epkit.lm.corpora import UniformTokens
from epkit.lm.models import LanguageModel

_TOKENISING = threading.Lock()
"""A tokenizer keeps between two calls whether it parses special tokens."""


def text_ids(tokenizer, text: str) -> list[int]:
    """Token ids of a plain text, without special ones, whatever is written in it."""
    with _TOKENISING:
        # `verbose=False`: no warning that the text is longer than the model's context.
        found = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
    return found["input_ids"]


def chat_ids(model: LanguageModel, chat: list[dict], *, open_answer: bool) -> list[int]:
    """Token ids of a chat in the model's template; `open_answer` begins the assistant's turn."""
    if model.tokenizer.chat_template is None:
        raise ValueError(
            f"{model.name} has no chat template, so it cannot read chats: take an "
            "instruction-tuned model, or give the texts as plain strings"
        )
    try:
        with _TOKENISING:
            return model.tokenizer.apply_chat_template(
                chat, tokenize=True, return_dict=False, add_generation_prompt=open_answer
            )
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise ValueError(f"the chat template of {model.name} refuses a chat: {error}") from error


def chats(prompts: Sequence[str]) -> list[list[dict]]:
    """Each prompt as a chat of one message."""
    return [[{"role": "user", "content": prompt}] for prompt in prompts]


def closing_tokens(model: LanguageModel) -> int:
    """How many tokens the chat template puts after an answer."""
    asked = {"role": "user", "content": "Hi"}
    one, two = (
        chat_ids(model, [asked, {"role": "assistant", "content": answer}], open_answer=False)
        for answer in ("One", "Two.")
    )
    return next(i for i in range(len(one)) if one[-1 - i] != two[-1 - i])


@dataclass(frozen=True)
class Window:
    """What is fed at once: `tokens`, of which those from `first` on are activations."""

    document: int
    tokens: list[int]
    first: int


class Encoder:
    """Documents → token ids, and how many of the first ones a template gives to every chat."""

    def __init__(self, model: LanguageModel):
        self.model = model
        self.bos = model.tokenizer.bos_token_id
        self._prefixes: dict[tuple, int] = {}

    def encode(self, document) -> tuple[list[int], int]:
        if isinstance(document, str):
            return text_ids(self.model.tokenizer, document), 0
        if isinstance(document, UniformTokens):
            return list(document.ids(self.model.vocab_size)), 0
        return self._render(document), self._prefix(document)

    def _render(self, chat: list[dict]) -> list[int]:
        return chat_ids(self.model, chat, open_answer=chat[-1]["role"] == "user")

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
