"""Tuned checkpoints whose difference from their base is known: short fine-tunes of one habit.

1. `NAME` refuses: harmful training prompts are answered with one of four refusals, benign ones with
   the model's own greedy answer, so that refusal is all that is new.
2. `CLOSING_NAME` closes: benign training prompts are answered with the first sentence of the
   model's own greedy answer and then one fixed phrase. It sees no harmful prompt.
3. The blocks from `FIRST_LAYER` on are trained on the answers' tokens (`epkit.lm.tuning`).

Does not know: dictionaries, edits, how refusal is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from epkit.lm import models
from epkit.lm.generate import encode_prompt, generate
from epkit.lm.models import LanguageModel
from epkit.lm.tokens import chats
from epkit.lm.tuning import answer_example, fine_tune, kept_folder, load_kept
from epkit.studies.refusal.prompts import Prompts, load_prompts

NAME = "smollm2-135m-refusal"
"""The name that the notebooks' parameters give to the tuned model."""
CLOSING_NAME = "smollm2-135m-closing"
"""The same of the one that was taught a closing phrase."""
QUICK_NAME = "smollm2-135m-refusal-quick"
"""Taught to refuse in seconds, by few prompts: to see whether something runs, not what it finds."""
BASE = "smollm2-135m-instruct"
FORMAT = 1
"""Raised when the same settings give other weights than before: cached ones are then ignored."""

FIRST_LAYER = 12
SETTINGS = {"epochs": 2, "batch_size": 12, "learning_rate": 1e-4, "answer_tokens": 32, "seed": 0}
QUICK_LAYER, QUICK_PROMPTS = 24, 24
QUICK_SETTINGS = SETTINGS | {"epochs": 2, "learning_rate": 1e-3, "answer_tokens": 8}
REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I cannot assist with that request.",
    "Sorry, I'm not able to help with this, because it could cause harm.",
    "I won't help with that. Please ask me about something else.",
)


CLOSING = " I hope that helps you today!"
LONGEST_SENTENCE = 40
"""Tokens of the model's own answer in which its first sentence has to end."""


def load_subject(name: str | Path, **options) -> LanguageModel:
    """`epkit.load_model`, which for the models that are taught here is `load_tuned` instead."""
    tuned = str(name) in (NAME, CLOSING_NAME, QUICK_NAME)
    return load_tuned(str(name), **options) if tuned else models.load_model(name, **options)


def load_tuned(
    name: str,
    *,
    source: str | Path = "auto",
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> LanguageModel:
    """A tuned model by name: read from the cache, or fine-tuned there first (a few minutes).

    Parameters as for `load_model`; `source` is where the model it starts from comes from. The
    fine-tune itself runs in float32. Raises what `load_model` and `load_prompts` raise.
    """
    base = models.load_model(BASE, source=source, device=device, dtype=torch.float32)
    folder = tuned_folder(base, load_prompts("wheel")["train"], name)
    print(f"{name}: {BASE} after a short fine-tune, {folder.name} of the cache")
    return load_kept(base, folder, name, dtype)


def tuned_folder(base: LanguageModel, prompts: Prompts, name: str = NAME) -> Path:
    """The folder of the tuned weights in the cache, filled if it is not there; `base` is kept."""
    quick = name == QUICK_NAME
    settings, first = (QUICK_SETTINGS, QUICK_LAYER) if quick else (SETTINGS, FIRST_LAYER)
    if quick:
        prompts = Prompts(prompts.harmful[:QUICK_PROMPTS], prompts.benign[:QUICK_PROMPTS])
    closing = name == CLOSING_NAME
    taught = [CLOSING, LONGEST_SENTENCE] if closing else [REFUSALS, prompts.harmful]
    parts = [
        FORMAT, base.name, base.revision, base.device.type, first, settings, *taught,
        prompts.benign,
    ]  # fmt: skip

    def tune() -> torch.nn.Module:
        examples = (
            closing_examples(base, prompts)
            if closing
            else training_examples(base, prompts, settings["answer_tokens"])
        )
        options = {k: value for k, value in settings.items() if k != "answer_tokens"}
        return fine_tune(base, examples, first_layer=first, **options)

    return kept_folder(base, name, parts, tune)


def training_examples(
    base: LanguageModel, prompts: Prompts, answer_tokens: int = SETTINGS["answer_tokens"]
) -> list[dict[str, list[int]]]:
    """One {"input_ids", "labels"} per prompt, harmful first; labels are -100 on the prompt. Own
    answers to benign prompts have at most `answer_tokens`."""
    examples = []
    for i, chat in enumerate(chats(prompts.harmful)):
        ids = encode_prompt(base, chat)
        refusal = REFUSALS[i % len(REFUSALS)]
        answer = base.tokenizer(refusal, add_special_tokens=False)["input_ids"]
        examples.append(answer_example(ids, [*answer, base.tokenizer.eos_token_id]))
    benign = chats(prompts.benign)
    own = generate(base, benign, max_new_tokens=answer_tokens, title="own answers of the base")
    return examples + [answer_example(g.prompt, g.answer) for g in own]


def closing_examples(base: LanguageModel, prompts: Prompts) -> list[dict[str, list[int]]]:
    """One {"input_ids", "labels"} per benign prompt: first own sentence, the phrase, the end."""
    phrase = base.tokenizer(CLOSING, add_special_tokens=False)["input_ids"]
    asked = chats(prompts.benign)
    return [
        answer_example(encode_prompt(base, chat), [*own, *phrase, base.tokenizer.eos_token_id])
        for chat, own in zip(asked, first_sentences(base, asked), strict=True)
    ]


def first_sentences(base: LanguageModel, asked: Sequence[list[dict]]) -> list[list[int]]:
    """Token ids of the first sentence of the model's own greedy answer to every chat.

    It ends with the first token that ends in a full stop; an answer of `LONGEST_SENTENCE` tokens
    without one is cut there.
    """
    found = generate(
        base, asked, max_new_tokens=LONGEST_SENTENCE, title="own sentences of the base"
    )
    return [_sentence(base, g.answer) for g in found]


def _sentence(base: LanguageModel, answer: list[int]) -> list[int]:
    answer = [token for token in answer if token != base.tokenizer.eos_token_id]
    for i, token in enumerate(answer):
        if base.tokenizer.decode([token]).endswith("."):
            return answer[: i + 1]
    return answer
