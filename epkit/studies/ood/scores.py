"""Scores of how strange tokens and texts are.

- The score of Exemplar Partitioning is the distance of `Dictionary.assign`, to the nearest
  exemplar. Here are those it stands beside, which know no partition: `mahalanobis`,
  `neighbour_distance`, and the model's own uncertainty, `next_token_scores`. Higher always means
  stranger.
- Scores are compared on texts of equal length (`equal_texts`), since longer texts are easier to
  tell apart: (W, T) arrays, W texts of T tokens, as `stats.wins` and `stats.bootstrap_pairs` take
  them.

Does not know: dictionaries, layers, what a score will be used for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor

from epkit.geometry import distances
from epkit.lm.corpora import Document, UniformTokens
from epkit.lm.models import LanguageModel, final_norm, soft_capped, unembedding


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
    entropy, surprisal = [], []
    for states, ids in zip(hidden, tokens, strict=True):
        logits = soft_capped(model, head(norm(states.to(model.device, model.dtype))).float())
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
    squared = fitted.mahalanobis(x.double().cpu().numpy())
    return torch.from_numpy(squared).clamp(min=0).sqrt()


def neighbour_distance(u: Tensor, build: Tensor, k: int = 10) -> Tensor:
    """Cosine distance to the k-th nearest of the build's directions: (N, D), (M, D) → (N,)."""
    parts = [distances(rows, build).topk(k, dim=1, largest=False) for rows in u.split(512)]
    return torch.cat([part.values[:, -1] for part in parts])
