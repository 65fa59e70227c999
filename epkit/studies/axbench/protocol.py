"""AxBench's protocol of concept detection (Wu et al. 2025, arXiv 2501.17148).

1. Every row is rendered with the model's chat template, user's turn and answer, BOS first. Rows
   without a user's turn, and models without a template, are fed as plain text.
2. Scored are the tokens after the start that the template gives to every chat, without the end
   that it gives to every answer.
3. A method gives one score per token and concept; a row's score is the *maximum over its tokens*.
4. AUROC of positives against negatives of each concept's test rows, then the mean over concepts
   with a bootstrap interval. Hard negatives are left out of it and reported apart.

Activations are taken once for all methods and concepts and kept on disk; what a method then hands
in is a matrix of row scores, (R, C): one column per concept.

This module does not know how a method finds its scores (see `methods`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor

from epkit.lm.activations import ActivationStream
from epkit.lm.models import LanguageModel
from epkit.lm.store import cached
from epkit.studies.axbench.data import Benchmark, Concept

BLOCK_TOKENS = 4096
"""Tokens scored at once, so that tokens × regions never exists at full size."""

PUBLISHED = {
    "ReFT-r1": 0.965,
    "SSV": 0.950,
    "DiffMean": 0.946,
    "linear probe": 0.946,
    "EP (v3: p1, mean, SAE-A rule)": 0.937,
    "bag of words": 0.931,
    "prompt": 0.921,
    "SAE-A": 0.911,
    "EP (v1: p1, exemplar, contrast rule)": 0.881,
    "LAT": 0.809,
    "SAE": 0.755,
    "PCA": 0.712,
    "integrated gradients": 0.375,
    "input × gradient": 0.217,
}
"""Mean AUROC on Concept500, Gemma-2-2B-it, layer 20: never to be mixed with other models' or data's
numbers. EP v1 used test texts that were generated anew, v3 the published ones."""


@dataclass(frozen=True, eq=False)
class RowActivations:
    """The activations of a benchmark's rows, in the order of `Benchmark.rows`.

    x (n, D): memory-mapped, model's dtype. starts, ends (R,) int64: the scored tokens of row r are
    `x[starts[r]:ends[r]]`. n_fed: tokens of the forward pass, BOS and template included.
    """

    x: Tensor
    starts: np.ndarray
    ends: np.ndarray
    n_fed: int

    @property
    def n_rows(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> np.ndarray:
        """(R,) scored tokens per row."""
        return self.ends - self.starts

    def of(self, rows: Sequence[int] | np.ndarray) -> Tensor:
        """The scored activations of `rows`, one after the other: (m, D) float32."""
        return torch.cat([self.x[self.starts[r] : self.ends[r]] for r in rows]).float()

    def blocks(self, rows: Sequence[int] | np.ndarray) -> Iterator[tuple[np.ndarray, Tensor]]:
        """`rows` in order, as many at once as have about `BLOCK_TOKENS` tokens, with `of` them."""
        rows = np.asarray(rows)
        number = (np.cumsum(self.lengths[rows]) - 1) // BLOCK_TOKENS
        for block in np.split(rows, np.flatnonzero(np.diff(number)) + 1):
            yield block, self.of(block)


# ---- 1 and 2: from rows to activations -----------------------------------------------------------


def row_documents(benchmark: Benchmark, model: LanguageModel) -> list[str | list[dict]]:
    """What is fed for every row: a chat, or a string (see the module's step 1)."""
    documents: list[str | list[dict]] = []
    for user, answer in zip(benchmark.rows.input, benchmark.rows.output, strict=True):
        if user and model.tokenizer.chat_template:
            roles = (("user", user), ("assistant", answer))
            documents.append([{"role": role, "content": text} for role, text in roles])
        else:
            documents.append(f"{user}\n{answer}" if user else answer)
    return documents


def suffix_length(model: LanguageModel) -> int:
    """Tokens with which the chat template ends every answer; 0 without a template."""
    if not model.tokenizer.chat_template:
        return 0
    a, b = (
        model.tokenizer.apply_chat_template(
            [{"role": "user", "content": "A"}, {"role": "assistant", "content": text}],
            tokenize=True, return_dict=False,
        )
        for text in ("1", "2")
    )  # fmt: skip
    differ = [x != y for x, y in zip(reversed(a), reversed(b), strict=False)]
    return differ.index(True)


def take_activations(
    model: LanguageModel, benchmark: Benchmark, layer: int, *, context: int = 512
) -> RowActivations:
    """The activations after block `layer` on every row, from the disk cache or computed and kept.

    `context`: the most tokens of a row that are seen together; longer rows go on in another window.
    Raises ValueError for a row of which no token is left to score.
    """
    documents = row_documents(benchmark, model)
    stream = ActivationStream(model, documents, [layer], context=context)
    windows = [len(w.tokens) - w.first for w in stream.windows()]
    kept = cached(stream, sum(windows))
    counts = np.zeros(len(documents), dtype=np.int64)
    np.add.at(counts, kept.documents.numpy(), windows)
    ends = np.cumsum(counts)
    starts = ends - counts
    is_chat = np.array([not isinstance(d, str) for d in documents])
    ends = ends - suffix_length(model) * is_chat
    if (ends <= starts).any():
        row = int(np.flatnonzero(ends <= starts)[0])
        raise ValueError(f"row {row} of {benchmark.name} has no token to score: drop the row")
    return RowActivations(kept.layer(layer), starts, ends, int(kept.lengths.sum()))


# ---- 3: from token scores to row scores ---------------------------------------------------------


def max_pool(
    activations: RowActivations, score: Callable[[Tensor], Tensor], rows: np.ndarray | None = None
) -> Tensor:
    """Row scores: the maximum over each row's tokens of `score`, (n, D) → (n, F).

    Returns (len(rows), F), for all rows by default.
    """
    rows = np.arange(activations.n_rows) if rows is None else rows
    parts = []
    for block, x in activations.blocks(rows):
        parts += segment_max(score(x), activations.lengths[block])
    return torch.stack(parts)


def segment_max(scores: Tensor, lengths: np.ndarray) -> list[Tensor]:
    """Maxima over consecutive stretches of `lengths` rows: (n, F) → a list of (F,)."""
    return [part.amax(0) for part in scores.split(lengths.tolist())]


def round_scores(scores: Tensor) -> Tensor:
    """To three decimals, half to even, as AxBench rounds every token's score: this makes ties."""
    return torch.round(scores.double(), decimals=3)


# ---- 4: from row scores to AUROC ----------------------------------------------------------------


def hard_negative_accuracy(
    scores: np.ndarray, labels: np.ndarray, hard_scores: np.ndarray
) -> float:
    """Mean of the accuracies on positives and on hard negatives; NaN without hard negatives.

    As published: at the threshold that maximises true minus false positive rate over the test
    positives and negatives, so it is a best case and no method is chosen by it.
    """
    if len(hard_scores) == 0:
        return float("nan")
    false, true, thresholds = roc_curve(labels, scores)
    threshold = thresholds[np.argmax(true - false)]
    return float(((scores[labels] >= threshold).mean() + (hard_scores < threshold).mean()) / 2)


def evaluate(scores: Tensor | np.ndarray, concepts: Sequence[Concept]) -> pd.DataFrame:
    """One method's result on every concept's test rows.

    scores : (R, C), row scores for every concept, rows as in `Benchmark.rows`; on any device, and
        ranked on the CPU, by scikit-learn.

    Returns a frame with the columns concept, name, auroc, hard (accuracy on hard negatives).
    Raises ValueError where a score of a row that counts is not finite.
    """
    scores = scores.cpu() if isinstance(scores, Tensor) else scores
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] != len(concepts):
        raise ValueError(f"expected scores (rows, {len(concepts)}), got {scores.shape}")
    rows = []
    for column, concept in zip(scores.T, concepts, strict=True):
        test, hard = column[concept.test], column[concept.hard]
        if not (np.isfinite(test).all() and np.isfinite(hard).all()):
            raise ValueError(f"a score of concept {concept.id} is not finite")
        rows.append({
            "concept": concept.id, "name": concept.name,
            "auroc": float(roc_auc_score(concept.test_labels, test)),
            "hard": hard_negative_accuracy(test, concept.test_labels, hard),
        })  # fmt: skip
    return pd.DataFrame(rows)
