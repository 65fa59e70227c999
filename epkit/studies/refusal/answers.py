"""Answers under an edit: judged, with fluency beside.

Of an answer to a harmful prompt no more than its first 60 characters are kept as text.

Does not know: how edits are made, where their directions come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import pandas as pd

from epkit.interventions import Edits
from epkit.lm.generate import Generation, answer_texts, generate, perplexity
from epkit.lm.models import LanguageModel
from epkit.stats import Interval, proportion
from epkit.studies.refusal.judge import START, is_refusal
from epkit.studies.refusal.prompts import Prompts
from epkit.studies.refusal.regions import chats


@dataclass(frozen=True, eq=False)
class Responses:
    """Answers to prompts, judged.

    refused (P,) bool. texts: the answers, or their first 60 characters. perplexity: of the first
    answers under the model without edits. distinct: mean share of distinct tokens. answers: token
    ids, None where they are not kept.
    """

    refused: np.ndarray
    texts: tuple[str, ...]
    perplexity: float
    distinct: float
    answers: tuple[tuple[int, ...], ...] | None

    @property
    def rate(self) -> Interval:
        """Refusal rate with its Wilson interval."""
        return proportion(self.refused)


def respond(
    model: LanguageModel,
    prompts: Sequence[str],
    edits: Edits | None = None,
    *,
    harmful: bool,
    max_new_tokens: int = 20,
    fluency: int = 24,
    reader: LanguageModel | None = None,
) -> Responses:
    """Answer, judge and measure.

    Parameters
    ----------
    harmful : whether the answers are to harmful prompts; then only starts are kept.
    fluency : how many prompts, evenly spaced, perplexity and distinct tokens are taken over.
    reader : the model without edits that gives the perplexity; `model` itself by default.
    """
    found = generate(model, chats(prompts), edits, max_new_tokens=max_new_tokens)
    return _judged(model, found, harmful, fluency, reader or model)


def respond_both(
    model: LanguageModel,
    prompts: Prompts,
    edits: Edits | None = None,
    *,
    max_new_tokens: int = 20,
    fluency: int = 24,
) -> dict[str, Responses]:
    """{"harmful", "benign"} of `respond`, from one generation: fewer and fuller batches."""
    chosen = [*prompts.harmful, *prompts.benign]
    found = generate(model, chats(chosen), edits, max_new_tokens=max_new_tokens)
    n = len(prompts.harmful)
    return {
        "harmful": _judged(model, found[:n], True, fluency, model),
        "benign": _judged(model, found[n:], False, fluency, model),
    }


def _judged(
    model: LanguageModel,
    found: Sequence[Generation],
    harmful: bool,
    fluency: int,
    reader: LanguageModel,
) -> Responses:
    texts = answer_texts(model, found)
    some = [found[i] for i in spaced(len(found), fluency)]
    return Responses(
        refused=np.array([is_refusal(text) for text in texts]),
        texts=tuple(text[:START] if harmful else text for text in texts),
        perplexity=perplexity(reader, some),
        distinct=distinct_ratio(some),
        answers=None if harmful else tuple(tuple(g.answer) for g in found),
    )


def spaced(n: int, k: int) -> list[int]:
    """At most k indices of 0 … n - 1, evenly spaced."""
    return np.linspace(0, n - 1, min(n, k)).round().astype(int).tolist()


def distinct_ratio(generations: Sequence[Generation]) -> float:
    """Mean over answers of distinct tokens / tokens: 1 without repetition, near 0 in a loop."""
    return float(np.mean([len(set(g.answer)) / max(len(g.answer), 1) for g in generations]))


def fewer(prompts: Prompts, n: int) -> Prompts:
    """`n` harmful and n // 4 benign prompts, evenly spaced."""
    return Prompts(
        tuple(prompts.harmful[i] for i in spaced(len(prompts.harmful), n)),
        tuple(prompts.benign[i] for i in spaced(len(prompts.benign), n // 4)),
    )


def change(before: Responses, after: Responses) -> float:
    """Mean share of the answers' tokens that an edit changed: 1 - the ratio of matching blocks."""
    if before.answers is None or after.answers is None:
        raise ValueError("change compares benign answers: those to harmful prompts are not kept")
    return float(
        np.mean(
            [
                1 - SequenceMatcher(None, a, b, autojunk=False).ratio()
                for a, b in zip(before.answers, after.answers, strict=True)
            ]
        )
    )


def condition_row(harmful: Responses, benign: Responses, before: dict[str, Responses]) -> dict:
    """One row of the table of conditions; `before` holds the unedited "harmful" and "benign"."""
    h, b = harmful.rate, benign.rate
    return {
        "harmful refused": h.value, "harmful low": h.low, "harmful high": h.high,
        "benign refused": b.value, "benign low": b.low, "benign high": b.high,
        "harmful perplexity": harmful.perplexity, "benign perplexity": benign.perplexity,
        "benign perplexity ratio": benign.perplexity / before["benign"].perplexity,
        "distinct tokens": benign.distinct, "benign change": change(before["benign"], benign),
    }  # fmt: skip


def condition_table(answered: Mapping[str, dict[str, Responses]]) -> pd.DataFrame:
    """`condition_row` of every condition; `answered` {condition: `respond_both`} has "no edit"."""
    before = answered["no edit"]
    rows = {name: condition_row(**both, before=before) for name, both in answered.items()}
    return pd.DataFrame(rows).T


def trial_row(both: Mapping[str, Responses]) -> dict[str, float]:
    """Of `respond_both`, what the choice of a setting looks at."""
    return {
        f"{side} {what}": value
        for side in ("harmful", "benign")
        for what, value in (
            ("refused", both[side].rate.value),
            ("perplexity", both[side].perplexity),
        )
    }


def choose_trial(trials: pd.DataFrame, *, most_refused: float = 0.1) -> int:
    """The row to go on with: of those that leave at most `most_refused` of the harmful prompts
    refused, the one with the lowest perplexity of their answers; the one with the fewest refusals
    where none does (ties: lowest perplexity)."""
    clean = trials[trials["harmful refused"] <= most_refused]
    if len(clean):
        return int(clean["harmful perplexity"].idxmin())
    return int(trials.sort_values(["harmful refused", "harmful perplexity"]).index[0])
