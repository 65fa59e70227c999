"""A short fine-tune of a model's late blocks, kept in the cache.

1. An example is a prompt and the answer to it as token ids; only the answer's tokens are learnt.
2. The blocks from `first_layer` on are trained by `transformers.Trainer`, all else stays.
3. The weights are kept under a key of everything that decides them; on one machine they come out
   the same every time.

Does not know: what is taught, or why.
"""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import transformers

from epkit.files import cache_dir, whole_folder
from epkit.lm import models, weights
from epkit.lm.models import LanguageModel
from epkit.lm.once import only_maker
from epkit.progress import progress


def answer_example(prompt: list[int], answer: list[int]) -> dict[str, list[int]]:
    """{"input_ids", "labels"} of an answer to learn: labels are -100 on the prompt."""
    return {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}


def kept_folder(
    base: LanguageModel, name: str, parts: Sequence, tune: Callable[[], torch.nn.Module]
) -> Path:
    """The folder of tuned weights in the cache, filled by `tune` if it is not there.

    parts : JSON-able, everything that decides the weights; with `name` it makes the folder's name.
    tune : gives the tuned module; called by one process, while others that want the same wait.
    """
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    target = cache_dir() / "models" / f"{name}-{key[:12]}"
    if not target.is_dir():
        with only_maker(target, name):
            if not target.is_dir():
                _write(target, base, tune)
    return target


def _write(target: Path, base: LanguageModel, tune: Callable[[], torch.nn.Module]) -> None:
    size = sum(p.numel() * p.element_size() for p in base.module.parameters())
    with whole_folder(target, size) as folder:
        module = tune()
        with weights.quiet():
            module.save_pretrained(folder)
            base.tokenizer.save_pretrained(folder)


def load_kept(
    base: LanguageModel, folder: Path, name: str, dtype: torch.dtype | None = None
) -> LanguageModel:
    """The model of `kept_folder`, where the base is, in its dtype or the given one."""
    with weights.quiet():
        module = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype or base.dtype, use_safetensors=True
        ).to(base.device)
    return models.wrap_model(module, base.tokenizer, name=name)


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

    examples: of `answer_example`. Seeded; the same machine with the same number of threads gives
    the same weights.
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
