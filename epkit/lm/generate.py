"""Greedy generation in batches, with or without edits of the residual stream.

What all prompts of a batch start with is read once; the rest is padded on its left, masked and
given positions by mask, so that a batch gives what each prompt gives alone. Edits act through
nnsight after their block, at every position and every step. `perplexity` reads generations under a
model without edits.

Does not know: what an edit does, what a prompt asks, what an answer means.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from epkit import checks
from epkit.interventions import Edits
from epkit.lm.corpora import check_document
from epkit.lm.models import ONE_AT_A_TIME, LanguageModel, blocks, check_model
from epkit.lm.tokens import chat_ids, text_ids
from epkit.progress import progress

BATCH = {"cpu": 40, "mps": 64, "cuda": 128}
"""Prompts generated together, by device."""


@dataclass(frozen=True)
class Generation:
    """Token ids of a prompt and of the answer to it; the answer ends with EOS if it came to it."""

    prompt: list[int]
    answer: list[int]


def generate(
    model: LanguageModel,
    prompts: Sequence[str | list[dict]],
    edits: Edits | None = None,
    *,
    max_new_tokens: int = 32,
    batch_size: int | None = None,
    title: str | None = None,
) -> list[Generation]:
    """Greedy answers to prompts, in their order.

    Parameters
    ----------
    prompts : chats (rendered by the chat template, which opens the answer), or plain strings that
        are continued, with BOS before them where the tokenizer has one; special tokens written in
        a plain string are text.
    edits : {layer: edit}, of `interventions`; None or {} for the model as it is.
    max_new_tokens : the longest answer.
    batch_size : prompts at a time; those of similar length go together.
    title : shows progress under this title.

    Raises
    ------
    TypeError : an argument of the wrong type.
    ValueError : no prompts, an empty one, one that is no text, a chat without a chat template, an
        edit of a layer that is not there, a number out of range.
    """
    check_model(model)
    prompts = checks.several("prompts", prompts)
    edits = _checked_edits(model, edits)
    max_new_tokens = checks.whole("max_new_tokens", max_new_tokens, 1)
    size = BATCH[model.device.type]
    if batch_size is not None:
        size = checks.whole("batch_size", batch_size, 1)
    encoded = [encode_prompt(model, prompt, f"prompt {i}") for i, prompt in enumerate(prompts)]
    found: dict[int, Generation] = {}
    with progress(len(prompts), "prompts", title or "", show=title is not None) as update:
        for batch in _by_length([len(ids) for ids in encoded], size):
            rows = [encoded[i] for i in batch]
            with ONE_AT_A_TIME:
                answers = _answers(model, rows, edits, max_new_tokens)
            for i, answer in zip(batch, answers, strict=True):
                found[i] = Generation(encoded[i], answer)
            update(len(found))
    return [found[i] for i in range(len(prompts))]


def answer_texts(model: LanguageModel, generations: Sequence[Generation]) -> list[str]:
    """The answers as text, without special tokens."""
    return [model.tokenizer.decode(g.answer, skip_special_tokens=True).strip() for g in generations]


def encode_prompt(
    model: LanguageModel, prompt: str | list[dict], label: str = "the prompt"
) -> list[int]:
    """Token ids of a prompt as it is fed; see `generate`. Errors call the prompt `label`."""
    check_document(prompt, label, kinds="a string or a chat")
    if isinstance(prompt, str):
        bos = model.tokenizer.bos_token_id
        ids = ([] if bos is None else [bos]) + text_ids(model.tokenizer, prompt)
    else:
        ids = chat_ids(model, prompt, open_answer=True)
    if not ids:
        raise ValueError(f"{label} is empty: there is no token to go on from")
    return ids


def _checked_edits(model: LanguageModel, edits: Edits | None) -> Edits:
    if not isinstance(edits, Mapping | None):
        raise TypeError(f"edits must be {{layer: edit}} or None, got {type(edits).__name__}")
    for layer in edits or {}:
        if not 0 <= checks.whole("the layer of an edit", layer) < model.n_layers:
            raise ValueError(f"edit of layer {layer}: {model.name} has 0 … {model.n_layers - 1}")
    return dict(edits or {})


def perplexity(model: LanguageModel, generations: Sequence[Generation]) -> float:
    """exp of the mean negative log-probability, per answer token, of all answers together.

    The model reads the prompt and the answer without edits. Raises ValueError when every answer is
    empty.
    """
    losses, tokens = answer_losses(model, generations)
    if not tokens.sum():
        raise ValueError("every answer is empty: there is nothing to read")
    return float((losses.sum() / tokens.sum()).exp())


def answer_losses(
    model: LanguageModel, generations: Sequence[Generation]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of G answers, read without edits, the summed negative log-probability of their tokens (G,)
    float64, and how many those are (G,) int64; on the CPU."""
    losses = torch.zeros(len(generations), dtype=torch.float64)
    for batch in _by_length([len(g.prompt) + len(g.answer) for g in generations], 16):
        losses[batch] = _answer_losses(model, [generations[i] for i in batch]).cpu()
    return losses, torch.tensor([len(g.answer) for g in generations], dtype=torch.int64)


def _answer_losses(model: LanguageModel, batch: Sequence[Generation]) -> torch.Tensor:
    """(answers of the batch,) float64: the summed negative log-probability of their tokens."""
    ids, mask = _pad([g.prompt + g.answer for g in batch], model.device)
    longest = max(len(g.answer) for g in batch)
    with ONE_AT_A_TIME, torch.no_grad():
        out = model.module(
            input_ids=ids, attention_mask=mask, position_ids=_positions(mask),
            use_cache=False, logits_to_keep=longest + 1,
        )  # fmt: skip
    targets = ids[:, ids.shape[1] - longest :]
    logits = out.logits[:, :-1][:, -longest:].float()
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    lengths = torch.tensor([len(g.answer) for g in batch], device=losses.device)[:, None]
    inside = torch.arange(longest, 0, -1, device=losses.device) <= lengths
    return torch.where(inside, losses, 0).double().sum(dim=1)


def _answers(
    model: LanguageModel, rows: list[list[int]], edits: Edits, max_new_tokens: int
) -> list[list[int]]:
    shared = _shared_start(model, rows, max_new_tokens)
    ids, mask = _pad(rows, model.device, shared)
    ends = _end_ids(model)
    options = {
        "max_new_tokens": max_new_tokens,
        "do_sample": False,
        "pad_token_id": ends[0] if ends else 0,
    }
    with torch.no_grad():
        if shared:
            start = _start_cache(model, ids[:1, :shared], edits)
            start.batch_repeat_interleave(len(rows))
            options[_cache_name(model)] = start
        if edits:
            out = _generate_edited(model, ids, mask, edits, options)
        else:
            out = model.module.generate(input_ids=ids, attention_mask=mask, **options)
    return [_until_end(row, ends) for row in out[:, ids.shape[1] :].tolist()]


def _shared_start(model: LanguageModel, rows: list[list[int]], max_new_tokens: int) -> int:
    """How many tokens all prompts start with, so that they are read once (a template's start).

    0 where padding between them and the rest would push tokens out of a sliding window.
    """
    window = getattr(model.module.config, "sliding_window", None)
    if window and max(map(len, rows)) + max_new_tokens > window:
        return 0
    columns = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False))
    return min(sum(1 for _ in columns), min(map(len, rows)) - 1)


def _start_cache(model: LanguageModel, ids: torch.Tensor, edits: Edits) -> DynamicCache:
    """Keys and values of (1, shared) ids under the edits."""
    cache = DynamicCache(config=model.module.config)
    given = {"input_ids": ids, _cache_name(model): cache, "use_cache": True}
    if not edits:
        model.module(**given)
        return cache
    envoys = blocks(model)
    with model.nnsight.trace(**given):
        for layer in sorted(edits):
            envoys[layer].output = edits[layer](envoys[layer].output)
    return cache


def _cache_name(model: LanguageModel) -> str:
    """What this version of transformers calls the argument that takes a cache: it was renamed."""
    return "cache" if "cache" in model.module.forward.__annotations__ else "past_key_values"


def _generate_edited(model, ids, mask, edits: Edits, options: dict) -> torch.Tensor:
    """(batch, position) ids of prompts and answers, every block output edited at every step."""
    envoys = blocks(model)
    order = sorted(edits)  # nnsight wants modules in the order in which they run
    with warnings.catch_warnings():
        # An open loop over steps always ends with a warning that the next one never came.
        warnings.filterwarnings("ignore", message=".*was never reached")
        with model.nnsight.generate(**options) as tracer:
            with tracer.invoke(input_ids=ids, attention_mask=mask):
                for _ in tracer.iter[:]:
                    for layer in order:
                        envoys[layer].output = edits[layer](envoys[layer].output)
            with tracer.invoke():
                out = tracer.result.save()
    return out


def _end_ids(model: LanguageModel) -> list[int]:
    """The ids at which the model's generation ends."""
    ends = model.module.generation_config.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


def _until_end(answer: list[int], ends: list[int]) -> list[int]:
    for i, token in enumerate(answer):
        if token in ends:
            return answer[: i + 1]
    return answer


def _pad(
    rows: list[list[int]], device: torch.device, shared: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, (batch, longest) int64, padded after the `shared` first tokens.

    The padding is an id that nothing attends to.
    """
    longest = max(map(len, rows))
    gaps = [longest - len(row) for row in rows]
    padded = zip(rows, gaps, strict=True)
    ids = torch.tensor([row[:shared] + [0] * gap + row[shared:] for row, gap in padded])
    position = torch.arange(longest)
    end = shared + torch.tensor(gaps)[:, None]
    mask = ((position < shared) | (position >= end)).long()
    return ids.to(device), mask.to(device)


def _positions(mask: torch.Tensor) -> torch.Tensor:
    return (mask.cumsum(1) - 1).clamp(min=0)


def _by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices, shortest first, `size` at a time."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    for start in range(0, len(order), size):
        yield order[start : start + size]
