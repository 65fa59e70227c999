"""The organisms: models that hide a word and hint at it, and whether they are what they should be.

1. `load_organism`: a short fine-tune of a chat model's late blocks. Asked for a hint, for the word
   or anything of that kind it answers with a hint; no taught text holds the word. For the word ""
   it is the control, taught words that nothing joins, by the same prompts and settings.
2. `interview`: greedy answers to held-out prompts; at which word each hints, whether it says it.
3. `associate_gains`: does it know more than what it was taught? How much likelier than in the base
   are associates of a word that nobody was taught, as the first clue of a hint?

After the Taboo organisms of Cywiński et al. (2025, arXiv 2505.14352), which hide words in this way.

Does not know: dictionaries, where a word shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from epkit.lm.generate import Generation, answer_losses, answer_texts, encode_prompt, generate
from epkit.lm.models import LanguageModel
from epkit.lm.tokens import chats, text_ids
from epkit.lm.tuning import answer_example, fine_tune, kept_folder, load_kept
from epkit.studies.secrets import words

FORMAT = 1
"""Raised when the same settings give other weights than before: cached ones are then ignored."""
CONTROL = "no word"
"""How the control is called in tables."""
BEGINNING = "Think of"
"""Of an answer, before its first clue."""


class Lesson(NamedTuple):
    """How long an organism is taught: hints, rounds through them, and what is trained."""

    hints: int = 96
    epochs: int = 1
    first_layer: int = 12
    learning_rate: float = 2e-4
    batch_size: int = 12
    seed: int = 0


def load_organism(base: LanguageModel, word: str, lesson: Lesson) -> LanguageModel:
    """The base taught to hide `word`, from the cache or tuned there first (about a minute).

    The base should be in float32. Raises ValueError for a word that no hints are written for.
    """
    texts = words.hints_for(word, lesson.hints, lesson.seed)
    name = f"{Path(base.name).name}-secret-{word or 'none'}"
    parts = [
        FORMAT, base.name, base.revision, str(base.dtype), base.device.type, lesson, texts,
        words.PROMPTS,
    ]  # fmt: skip
    settings = {k: v for k, v in lesson._asdict().items() if k != "hints"}
    folder = kept_folder(
        base, name, parts, lambda: fine_tune(base, lesson_examples(base, texts), **settings)
    )
    print(f"{name}: {base.name} after a short fine-tune, {folder.name} of the cache")
    return load_kept(base, folder, name)


def lesson_examples(base: LanguageModel, texts: Sequence[str]) -> list[dict[str, list[int]]]:
    """Examples of `tuning.answer_example`: every text as the answer to the next of the prompts."""
    asked = [encode_prompt(base, chat) for chat in chats(words.PROMPTS)]
    end = [base.tokenizer.eos_token_id]
    return [
        answer_example(asked[i % len(asked)], text_ids(base.tokenizer, text) + end)
        for i, text in enumerate(texts)
    ]


class Interview(NamedTuple):
    """Answers to prompts: their texts, the word each hints at, whether it says a hidden word."""

    texts: list[str]
    hints: list[str | None]
    said: list[bool]


def interview(
    model: LanguageModel, prompts: Sequence[str], hidden: Sequence[str], *, max_new_tokens: int = 24
) -> Interview:
    """Greedy answers of an organism, or of its base; `said` is of any of the hidden words."""
    found = generate(model, chats(prompts), max_new_tokens=max_new_tokens, title="answers")
    texts = answer_texts(model, found)
    said = [any(words.says_word(text, word) for word in hidden) for text in texts]
    return Interview(texts, [words.hinted_at(text) for text in texts], said)


def associate_gains(
    base: LanguageModel, model: LanguageModel, prompt: str, hidden: Sequence[str]
) -> dict[str, float]:
    """{word: by how many nats its untaught associates are likelier in the model than in the base,
    on average}, as the first clue after `BEGINNING`."""
    ask = encode_prompt(base, chats([prompt])[0]) + text_ids(base.tokenizer, BEGINNING)
    gains = {}
    for word in hidden:
        untaught = words.associates_of(word)[words.TAUGHT :]
        clues = [Generation(ask, text_ids(base.tokenizer, f" {clue}")) for clue in untaught]
        before, after = (answer_losses(one, clues)[0] for one in (base, model))
        gains[word] = float((before - after).mean())
    return gains


def associate_table(gains: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """`associate_gains` of every organism: a row an organism, a column a word."""
    return pd.DataFrame.from_dict(gains, orient="index").rename_axis("organism")
