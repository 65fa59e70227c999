"""Logit lens: which next tokens a direction promotes and which it suppresses.

    logits = W_U · final_norm(direction)

through the model's own final norm and unembedding, tied or not, its bias and soft-capping included
where it has them. The direction stands alone: the centre is not added, since a direction is what
sets a region apart from the centre.

Both kinds of final norm ignore the length of what they are given, but for their eps. A direction of
length 1 in D dimensions has a mean square of 1/D, which an eps of 1e-5 would notice, so directions
are scaled to a mean square of 1 first. A LayerNorm's own bias adds the same logits to every region.

Some tokens have a large logit whatever the direction. Standardised, a token's logit is its z-score
over the directions: how much more a direction promotes it than the others do. Its mean and variance
over them follow from the directions' mean m and covariance C, as w·m and w'Cw.

Does not know: dictionaries, members, how tokens are shown.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from epkit import checks
from epkit.checks import as_activations
from epkit.geometry import full_precision
from epkit.lm.models import (
    ONE_AT_A_TIME,
    LanguageModel,
    check_model,
    final_norm,
    soft_capped,
    unembedding_rows,
)

REGIONS = 2048
"""Directions per block of the product with the unembedding."""

VOCABULARY = 16384
"""Tokens per block, so that neither (K, vocabulary) nor a float32 W_U exists at full size."""


@dataclass(frozen=True, eq=False)
class LogitLens:
    """Tokens that K directions promote and suppress most, and their logits.

    Attributes
    ----------
    promoted, suppressed : (K, k) int64 token ids, the strongest first.
    promoted_logits : (K, k) float32, descending.
    suppressed_logits : (K, k) float32, ascending.
    """

    promoted: Tensor
    promoted_logits: Tensor
    suppressed: Tensor
    suppressed_logits: Tensor

    def __len__(self) -> int:
        return len(self.promoted)


@torch.no_grad()
def logit_lens(
    model: LanguageModel,
    directions: Tensor,
    k: int = 10,
    *,
    standardise: bool = False,
    among: Tensor | None = None,
) -> LogitLens:
    """Promoted and suppressed tokens of directions: W_U · final_norm(direction), in float32.

    Parameters
    ----------
    model : of `load_model`.
    directions : (K, D) exemplars or means of a dictionary, or any directions; lengths do not count.
    k : tokens of either kind per direction.
    standardise : rank tokens by the z-scores of their logits over these directions, and give those
        in place of logits. A token whose logit does not vary has z-score 0.
    among : (M, D) directions to standardise over instead, such as a dictionary's means, so that
        directions of several kinds are seen in one frame.

    Returns
    -------
    `LogitLens` on the CPU. Only ids that the tokenizer knows are ranked.

    Raises
    ------
    TypeError : a model or a k of the wrong type.
    ValueError : wrong D, not finite, a zero direction, or k outside 1 … vocabulary; one direction
        alone to standardise over; `among` without `standardise`.
    """
    check_model(model)
    k = checks.whole("k", k, 1, model.vocab_size)
    standardise = checks.flag("standardise", standardise)
    if among is not None and not standardise:
        raise ValueError("among is what z-scores are taken over: give standardise=True with it")
    normed = normed_directions(model, directions)
    over = normed if among is None else normed_directions(model, among)
    if standardise and len(over) < 2:
        raise ValueError("z-scores over directions need at least two of them; give all K at once")
    mean = over.mean(dim=0)
    with full_precision():
        spread = (over - mean).T @ (over - mean) / len(over) if standardise else None
    found: dict[bool, list[tuple[Tensor, Tensor]]] = {True: [], False: []}
    for first in range(0, model.vocab_size, VOCABULARY):
        tokens = slice(first, min(first + VOCABULARY, model.vocab_size))
        weight, bias = unembedding_rows(model, tokens)
        if standardise:
            weight, bias = _standardised(weight, mean, spread)
        for largest, (logits, ids) in _extremes(normed, weight, bias, k).items():
            found[largest].append((logits, ids + first))
    promoted, suppressed = (_best(found[largest], k, largest) for largest in (True, False))
    if not standardise:  # monotone, so it changes logits and not their order
        promoted, suppressed = ((soft_capped(model, x), i) for x, i in (promoted, suppressed))
    return LogitLens(promoted[1].cpu(), promoted[0].cpu(), suppressed[1].cpu(), suppressed[0].cpu())


def token_texts(tokenizer, ids: Tensor | list[int]) -> list[str]:
    """The text of every token id by itself, its leading space included: (M,) → M strings.

    Bytes that are no text by themselves come out as the replacement character.
    """
    ids = ids.tolist() if isinstance(ids, Tensor) else list(ids)
    if not ids:
        return []
    texts = tokenizer.batch_decode([[i] for i in ids], clean_up_tokenization_spaces=False)
    pieces = tokenizer.convert_ids_to_tokens(ids)
    # A tokenizer of the SentencePiece kind drops the space of what it takes for a text's start.
    return [
        f" {text}" if (piece or "").startswith("▁") and not text.startswith(" ") else text
        for text, piece in zip(texts, pieces, strict=True)
    ]


@torch.no_grad()
def normed_directions(model: LanguageModel, directions: Tensor) -> Tensor:
    """What the unembedding is multiplied with: final_norm of directions, (K, D) → (K, D) float32.

    In float32 whatever the model's dtype; for callers that need a few columns of the lens.
    """
    x = as_activations(directions, model.d_model, model.device)
    length = x.norm(dim=1, keepdim=True)
    if not length.all():
        raise ValueError("a direction is zero: the logit lens needs one with a length")
    with ONE_AT_A_TIME:  # a trace in another thread has its hooks in the norm
        norm: nn.Module = copy.deepcopy(final_norm(model)).float()
    return norm(x / length * model.d_model**0.5)


def _standardised(weight: Tensor, mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and bias that give z-scores: (V, D) weights, mean (D,), covariance (D, D)."""
    with full_precision():
        deviation = ((weight @ spread) * weight).sum(dim=1).clamp(min=0).sqrt()
        least = 1e-5 * weight.norm(dim=1)
        weight = weight * torch.where(deviation > least, 1 / deviation, 0)[:, None]
        return weight, -(weight @ mean)


def _extremes(
    normed: Tensor, weight: Tensor, bias: Tensor | None, k: int
) -> dict[bool, tuple[Tensor, Tensor]]:
    """Largest (True) and smallest (False) logits within a block of tokens, and their columns."""
    k = min(k, len(weight))
    parts: dict[bool, list] = {True: [], False: []}
    with full_precision():
        for rows in normed.split(REGIONS):
            logits = nn.functional.linear(rows, weight, bias)
            for largest in parts:
                parts[largest].append(logits.topk(k, dim=1, largest=largest))
    return {
        largest: (torch.cat([p.values for p in got]), torch.cat([p.indices for p in got]))
        for largest, got in parts.items()
    }


def _best(blocks: list[tuple[Tensor, Tensor]], k: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The k extreme of the blocks' candidates: logits (K, k) and token ids (K, k)."""
    logits, ids = (torch.cat(part, dim=1) for part in zip(*blocks, strict=True))
    top = logits.topk(k, dim=1, largest=largest)
    return top.values, ids.gather(1, top.indices)
