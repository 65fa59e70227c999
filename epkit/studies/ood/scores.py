"""Scores of how strange tokens and texts are, and their AUROC with intervals over whole texts.

- The score of Exemplar Partitioning is the distance of `Dictionary.assign`, to the nearest
  exemplar. Here are those it stands beside, which know no partition: `mahalanobis`,
  `neighbour_distance`, and the model's own uncertainty, `next_token_scores`. Higher always means
  stranger.
- Scores are compared on texts of equal length (`equal_texts`), since longer texts are easier to
  tell apart: (W, T) arrays, W texts of T tokens.
- `wins` and `bootstrap_texts` give AUROC, gaps and paired differences. What is resampled is whole
  texts, because the tokens of a text are not independent.

Does not know: dictionaries, layers, what a score will be used for (`ood` has the monitor).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor

from epkit.geometry import distances
from epkit.lm.corpora import Document, UniformTokens
from epkit.lm.models import LanguageModel, final_norm, unembedding
from epkit.stats import Interval

# ---- texts and scores ---------------------------------------------------------------------------


def equal_texts(documents: Iterable[Document], tokenizer, length: int, n: int) -> list[Document]:
    """The first `n` documents of `length` tokens or more, each cut after `length` tokens.

    One piece per document, so that texts are independent. Passed over are shorter documents and
    the few whose beginning, tokenised by itself, gives another number of tokens. Fewer than `n`
    where the documents run out. Raises ValueError for chats, and where nothing is left.
    """
    kept: list[Document] = []
    for document in documents:
        if isinstance(document, UniformTokens) and document.length >= length:
            kept.append(replace(document, length=length))
        elif isinstance(document, str):
            ends = _encode(tokenizer, document, return_offsets_mapping=True)["offset_mapping"]
            cut = document[: ends[length - 1][1]] if len(ends) >= length else ""
            if len(_encode(tokenizer, cut)["input_ids"]) == length:
                kept.append(cut)
        elif not isinstance(document, UniformTokens):
            raise ValueError("a chat cannot be cut to a number of tokens: give texts")
        if len(kept) == n:
            return kept
    if not kept:
        raise ValueError(f"no document holds {length} tokens: ask for shorter texts")
    return kept


def _encode(tokenizer, text: str, **options) -> dict:
    return tokenizer(text, add_special_tokens=False, verbose=False, **options)


@torch.no_grad()
def next_token_scores(
    model: LanguageModel, hidden: Tensor, tokens: Tensor
) -> tuple[Tensor, Tensor]:
    """Entropy of the model's predictions and surprisal of the tokens, in nats.

    Parameters
    ----------
    hidden : (W, T, D) output of the last block at the T tokens of W texts, BOS left out.
    tokens : (W, T) their ids.

    Returns
    -------
    entropy : (W, T) float32. That at t is of the prediction made *at* token t about the token
        after it, from the same position as the activation at t.
    surprisal : (W, T − 1) float32, −log p of tokens 1 … T − 1 given those before; token 0 is
        predicted at BOS, which is no activation.
    """
    norm, head = final_norm(model), unembedding(model)
    cap = getattr(model.module.config.get_text_config(), "final_logit_softcapping", None)
    entropy, surprisal = [], []
    for states, ids in zip(hidden, tokens, strict=True):
        logits = head(norm(states.to(model.device, model.dtype))).float()
        logits = cap * torch.tanh(logits / cap) if cap else logits
        log_p = logits.log_softmax(dim=-1)
        entropy.append(-(log_p.exp() * log_p).sum(-1).cpu())
        after = ids[1:, None].long().to(log_p.device)
        surprisal.append(-log_p[:-1].gather(1, after)[:, 0].cpu())
    return torch.stack(entropy), torch.stack(surprisal)


def mahalanobis(x: Tensor, build: Tensor) -> Tensor:
    """Mahalanobis distance to the mean of `build`: (N, D), (M, D) → (N,) float64 on the CPU.

    The covariance is shrunk (Ledoit and Wolf 2004).
    """
    fitted = LedoitWolf().fit(build.double().cpu().numpy())
    precision = torch.from_numpy(fitted.precision_)
    off = x.double().cpu() - torch.from_numpy(fitted.location_)
    return ((off @ precision) * off).sum(dim=1).clamp(min=0).sqrt()


def neighbour_distance(u: Tensor, build: Tensor, k: int = 10) -> Tensor:
    """Cosine distance to the k-th nearest of the build's directions: (N, D), (M, D) → (N,)."""
    parts = [distances(rows, build).topk(k, dim=1, largest=False) for rows in u.split(512)]
    return torch.cat([part.values[:, -1] for part in parts])


# ---- AUROC and intervals over texts -------------------------------------------------------------


def wins(scores: Tensor, reference: Tensor) -> Tensor:
    """How often tokens of one text score above those of another: (W, T), (V, S) → (W, V) float64.

    Entry (i, j) is the share of token pairs, one of text i of `scores` and one of text j of
    `reference`, in which the first is higher; ties count half. Its mean is the AUROC over tokens
    (of equally long texts), and with T = S = 1 over texts.
    """
    ordered = reference.sort(dim=1).values.contiguous()
    flat = scores.reshape(1, -1).expand(len(ordered), -1).contiguous()
    below = torch.searchsorted(ordered, flat) + torch.searchsorted(ordered, flat, right=True)
    return (below.double() / 2 / ordered.shape[1]).view(-1, *scores.shape).mean(-1).T


def bootstrap_texts(
    pairs: Tensor | Sequence[Tensor], *, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> Interval:
    """Mean over pairs of texts, with the percentile interval of resampling texts of both kinds.

    Parameters
    ----------
    pairs : (W, V) a number per pair of texts, such as `wins`, the difference of two such arrays
        (a paired comparison of two scores), or differences of means. Several arrays (W_i, V) share
        their V reference texts; the value is then the mean of their means.

    Where no resample changes the value, as with an AUROC of 1, the interval is a point: it is then
    too narrow.
    """
    rng = np.random.default_rng(seed)
    arrays = [pairs] if isinstance(pairs, Tensor) else list(pairs)
    n = arrays[0].shape[1]
    # Whole-number weights, divided once, so that an AUROC of 1 stays 1 in every resample.
    columns = rng.multinomial(n, np.full(n, 1 / n), size=draws)
    value, resampled = 0.0, np.zeros(draws)
    for array in arrays:
        array = array.double().cpu().numpy()
        rows = rng.multinomial(len(array), np.full(len(array), 1 / len(array)), size=draws)
        value += array.mean() / len(arrays)
        resampled += (rows @ array * columns).sum(axis=1) / array.size / len(arrays)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))
