"""Answers under an edit: judged, with fluency beside.

Of an answer to a harmful prompt no more than its first 60 characters are kept as text.

Does not know: how edits are made, where their directions come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from epkit.interventions import Edits
from epkit.lm.generate import Generation, answer_losses, answer_texts, generate
from epkit.lm.models import LanguageModel
from epkit.lm.tokens import chats
from epkit.stats import Interval, bootstrap_difference, bootstrap_ratio, proportion
from epkit.studies.refusal.judge import START, is_refusal
from epkit.studies.refusal.prompts import Prompts

DRAWS = 2000
"""Resamples of answers in an interval of perplexity."""


@dataclass(frozen=True, eq=False)
class Responses:
    """Answers to P prompts, judged.

    refused (P,) bool. texts: the answers, or their first 60 characters. losses, tokens (F,): the
    summed negative log-probability and the length of some of them under the model without edits,
    the same prompts whatever the edit. distinct: their mean share of distinct tokens.
    """

    refused: np.ndarray
    texts: tuple[str, ...]
    losses: np.ndarray
    tokens: np.ndarray
    distinct: float

    @property
    def rate(self) -> Interval:
        """Refusal rate with its Wilson interval."""
        return proportion(self.refused)

    @property
    def perplexity(self) -> Interval:
        """exp of the mean loss a token, resampling answers."""
        return _exp(bootstrap_ratio(self.losses, self.tokens, draws=DRAWS))


def perplexity_ratio(before: Responses, after: Responses) -> Interval:
    """How many times the perplexity of an answer is that of the answer to the same prompt before:
    exp of the mean difference of their mean losses, resampling prompts."""
    pair = [r.losses / r.tokens for r in (after, before)]
    return _exp(bootstrap_difference(*pair, draws=DRAWS))


def _exp(interval: Interval) -> Interval:
    return Interval(*(float(np.exp(value)) for value in interval))


def respond(
    model: LanguageModel,
    prompts: Sequence[str],
    edits: Edits | None = None,
    *,
    harmful: bool,
    max_new_tokens: int = 20,
    fluency: int = 24,
) -> Responses:
    """Answer, judge and measure.

    Parameters
    ----------
    harmful : whether the answers are to harmful prompts; then only starts are kept.
    fluency : how many prompts, evenly spaced, losses and distinct tokens are taken over.
    """
    found = generate(model, chats(prompts), edits, max_new_tokens=max_new_tokens)
    return _judged(model, found, harmful, fluency)


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
        "harmful": _judged(model, found[:n], True, fluency),
        "benign": _judged(model, found[n:], False, fluency),
    }


def refusals(
    model: LanguageModel, prompts: Sequence[str], edits: Edits | None, *, max_new_tokens: int
) -> np.ndarray:
    """Whether each answer refuses, (P,) bool, and nothing else: the cheapest of all."""
    found = generate(model, chats(prompts), edits, max_new_tokens=max_new_tokens)
    return np.array([is_refusal(text) for text in answer_texts(model, found)])


def _judged(
    model: LanguageModel, found: Sequence[Generation], harmful: bool, fluency: int
) -> Responses:
    texts = answer_texts(model, found)
    some = [found[i] for i in spaced(len(found), fluency)]
    losses, tokens = answer_losses(model, some)
    return Responses(
        refused=np.array([is_refusal(text) for text in texts]),
        texts=tuple(text[:START] if harmful else text for text in texts),
        losses=losses.numpy(),
        tokens=tokens.numpy(),
        distinct=distinct_ratio(some),
    )


def spaced(n: int, k: int) -> list[int]:
    """At most k indices of 0 … n - 1, evenly spaced."""
    return np.linspace(0, n - 1, min(n, k)).round().astype(int).tolist()


def distinct_ratio(generations: Sequence[Generation]) -> float:
    """Mean over answers of distinct tokens / tokens: 1 without repetition, near 0 in a loop."""
    return float(np.mean([len(set(g.answer)) / max(len(g.answer), 1) for g in generations]))


def fewer(prompts: Prompts, harmful: int, benign: int) -> Prompts:
    """At most so many prompts of each kind, evenly spaced."""
    return Prompts(
        tuple(prompts.harmful[i] for i in spaced(len(prompts.harmful), harmful)),
        tuple(prompts.benign[i] for i in spaced(len(prompts.benign), benign)),
    )


def condition_table(answered: Mapping[str, Mapping[str, Responses]]) -> pd.DataFrame:
    """A row a condition of {condition: `respond_both`}, the first of which is "no edit".

    Columns of intervals: refusal and perplexity of harmful and benign prompts, and the benign
    answers' `perplexity_ratio`; and the distinct tokens of benign answers.
    """
    before, rows = answered["no edit"]["benign"], {}
    for name, both in answered.items():
        rows[name] = {
            f"{side} {what}": getattr(both[side], attribute)
            for what, attribute in (("refused", "rate"), ("perplexity", "perplexity"))
            for side in ("harmful", "benign")
        }
        rows[name]["benign ratio"] = perplexity_ratio(before, both["benign"])
        rows[name]["distinct tokens"] = both["benign"].distinct
    return pd.DataFrame.from_dict(rows, orient="index")


def trial_row(both: Mapping[str, Responses]) -> dict[str, float]:
    """Of `respond_both`, what the choice of a setting looks at."""
    return {
        f"{side} {what}": value
        for side in ("harmful", "benign")
        for what, value in (
            ("refused", both[side].rate.value),
            ("perplexity", both[side].perplexity.value),
        )
    }


def choose_trial(trials: pd.DataFrame, *, most_refused: float = 0.1) -> int:
    """The row to go on with: of those that leave at most `most_refused` of the harmful prompts
    refused, the one with the lowest perplexity of benign answers; the one with the fewest refusals
    where none does (ties: lowest perplexity)."""
    clean = trials[trials["harmful refused"] <= most_refused]
    if len(clean):
        return int(clean["benign perplexity"].idxmin())
    return int(trials.sort_values(["harmful refused", "benign perplexity"]).index[0])
