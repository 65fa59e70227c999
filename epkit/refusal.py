"""Refusal in the partition: which regions refuse, their directions, and what an edit does.

1. `prompt_activations`: the residual stream over chat prompts, all positions and the final one (the
   last token of the template, where the answer opens).
2. `partition`: a dictionary of final-position activations in a seeded stream order.
3. `region_table`, `pick_region`: refusal by region, and the region to edit, by a stated rule.
4. `region_directions`: the directions a region offers.
5. `respond`: answers under an edit, judged, with fluency beside.

Of an answer to a harmful prompt no more than its first 60 characters are kept as text.

Does not know: where prompts come from, how edits are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.activations import ActivationStream
from epkit.calibration import calibrate
from epkit.clustering import LeaderClustering
from epkit.controls import Interval
from epkit.dictionary import Dictionary
from epkit.generate import Generation, answer_texts, generate, perplexity
from epkit.interventions import Edits
from epkit.models import LanguageModel
from epkit.refusal_judge import START, is_refusal, rate

MIN_MEMBERS = 8
MIN_RATE = 0.9


def chats(prompts: Sequence[str]) -> list[list[dict]]:
    """Each prompt as a chat of one message."""
    return [[{"role": "user", "content": prompt}] for prompt in prompts]


# ---- where refusal lies -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PromptActivations:
    """Residual stream over P prompts, template start left out.

    every {layer: (n, D)}: every position. final {layer: (P, D)}: the last position of each prompt.
    is_final (n,) bool: which rows of `every` those are.
    """

    every: dict[int, Tensor]
    final: dict[int, Tensor]
    is_final: Tensor


def prompt_activations(
    model: LanguageModel, prompts: Sequence[str], layers: Sequence[int], *, context: int = 256
) -> PromptActivations:
    """One pass over the prompts as chats, the answer opened. ValueError for one above `context`."""
    stream = ActivationStream(model, chats(prompts), layers, context=context)
    found = list(stream.chunks())
    lengths = torch.cat([chunk.lengths for chunk in found]).long()
    if len(lengths) != len(prompts):
        raise ValueError(
            f"{len(prompts)} prompts gave {len(lengths)} windows: raise context above {context}"
        )
    clustered = torch.cat([chunk.clustered for chunk in found])
    is_last = torch.zeros(len(clustered), dtype=torch.bool)
    is_last[lengths.cumsum(0) - 1] = True
    is_final = is_last[clustered]
    every = {
        layer: torch.cat([chunk.activations[layer].float().cpu() for chunk in found])
        for layer in stream.layers
    }
    final = {layer: x[is_final] for layer, x in every.items()}
    return PromptActivations(every, final, is_final)


def partition(
    x: Tensor, percentile: float, *, centre: Tensor | None = None, order: int = 0
) -> Dictionary:
    """A dictionary of activations (N, D), streamed in the `order`-th seeded shuffle.

    Seen from `centre` (D,), the calibrated one where none is given; with true Voronoi statistics.
    """
    shuffled = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(order))]
    calibration = calibrate(x, [percentile], centre=centre)
    clustering = LeaderClustering(calibration.centre, calibration.thresholds[percentile])
    dictionary = clustering.partial_fit(shuffled).dictionary(percentile=percentile, order=order)
    return dictionary.recount(x)


def region_table(dictionary: Dictionary, x: Tensor, refused: Tensor) -> pd.DataFrame:
    """Refusal by region, most refusals first: members, refusals, rate, low, high, coherence.

    x (P, D): final-position activations; refused (P,) bool. Regions without a member are left out.
    """
    region, _ = dictionary.assign(x)
    rows = []
    for k in region.unique().tolist():
        flags = refused[region == k]
        value, low, high = rate(flags)
        rows.append(
            {
                "region": k, "members": len(flags), "refusals": int(flags.sum()), "rate": value,
                "low": low, "high": high, "coherence": float(dictionary.coherence[k]),
            }
        )  # fmt: skip
    table = pd.DataFrame(rows).sort_values(["refusals", "region"], ascending=[False, True])
    return table.set_index("region")


def pick_region(
    table: pd.DataFrame, *, min_members: int = MIN_MEMBERS, min_rate: float = MIN_RATE
) -> int | None:
    """The region with the most refusals of those with enough members and rate; None without one."""
    fit = table[(table.members >= min_members) & (table.rate >= min_rate)]
    return int(fit.index[0]) if len(fit) else None


def region_directions(
    dictionary: Dictionary, x: Tensor, table: pd.DataFrame, region: int, *, top_k: int = 3
) -> dict[str, Tensor]:
    """What a region offers as directions seen from the centre, by name.

    "exemplar", "mean": (D,). "re-anchored": (D,), the member nearest the mean. "span": (k, D), the
    exemplars of the `top_k` regions with the most refusals among those `pick_region` allows.
    "contrast": (D,), the region's mean activation minus that of the nearest region that refuses at
    most one prompt in ten, left out where there is none of two members.
    """
    assigned, _ = dictionary.assign(x)
    u = dictionary.directions(x)
    own = (assigned == region).nonzero()[:, 0]
    nearest = own[(u[own] @ dictionary.means[region]).argmax()]
    fit = table[(table.members >= MIN_MEMBERS) & (table.rate >= MIN_RATE)]
    regions = [region, *(k for k in fit.index if k != region)][:top_k]
    found = {
        "exemplar": dictionary.exemplars[region],
        "mean": dictionary.means[region],
        "re-anchored": u[nearest],
        "span": dictionary.exemplars[regions],
    }
    benign = table.index[(table.members >= 2) & (table.rate <= 0.1)].tolist()
    if benign:
        other = benign[int((dictionary.means[benign] @ dictionary.means[region]).argmax())]
        found["contrast"] = x[own].mean(0) - x[assigned == other].mean(0)
    return found


class NullRegion(NamedTuple):
    """A region that answers: its dictionary, percentile and number, and its row of the table."""

    dictionary: Dictionary
    percentile: float
    region: int
    row: pd.Series


def null_regions(
    x: Tensor,
    refused: Tensor,
    percentiles: Sequence[float],
    like: pd.Series,
    *,
    centre: Tensor | None = None,
    order: int = 0,
    n: int = 1,
    max_rate: float = 0.1,
) -> list[NullRegion]:
    """The `n` regions most like the row `like` that refuse at most `max_rate`, the best first.

    Searched in the partitions of x (P, D) at all `percentiles`, because a benign region is rarely
    as large as a refusing one at the same percentile. Near means in (log10 members, coherence),
    each divided by its standard deviation over the candidates.

    Raises ValueError where fewer than `n` regions qualify.
    """
    found = []
    for p in percentiles:
        dictionary = partition(x, p, centre=centre, order=order)
        table = region_table(dictionary, x, refused)
        fit = table[(table.rate <= max_rate) & (table.members >= 2)]
        found += [NullRegion(dictionary, p, int(k), row) for k, row in fit.iterrows()]
    if len(found) < n:
        raise ValueError(
            f"{len(found)} regions refuse at most {max_rate:g} of their members, {n} are needed; "
            "add coarser percentiles"
        )
    points = np.array([[np.log10(f.row.members), f.row.coherence] for f in found])
    own = np.array([np.log10(like.members), like.coherence])
    spread = np.where(points.std(axis=0) > 0, points.std(axis=0), 1)
    apart = np.linalg.norm((points - own) / spread, axis=1)
    return [found[i] for i in np.argsort(apart, kind="stable")[:n]]


# ---- what an edit does --------------------------------------------------------------------------


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
        return rate(self.refused)


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
    texts = answer_texts(model, found)
    some = [found[i] for i in spaced(len(found), fluency)]
    return Responses(
        refused=np.array([is_refusal(text) for text in texts]),
        texts=tuple(text[:START] if harmful else text for text in texts),
        perplexity=perplexity(reader or model, some),
        distinct=distinct_ratio(some),
        answers=None if harmful else tuple(tuple(g.answer) for g in found),
    )


def spaced(n: int, k: int) -> list[int]:
    """At most k indices of 0 … n - 1, evenly spaced."""
    return np.linspace(0, n - 1, min(n, k)).round().astype(int).tolist()


def distinct_ratio(generations: Sequence[Generation]) -> float:
    """Mean over answers of distinct tokens / tokens: 1 without repetition, near 0 in a loop."""
    return float(np.mean([len(set(g.answer)) / max(len(g.answer), 1) for g in generations]))


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


def choose_trial(trials: pd.DataFrame, *, most_refused: float = 0.1) -> int:
    """The row to go on with: of those that leave at most `most_refused` of the harmful prompts
    refused, the one with the lowest perplexity of their answers; the one with the fewest refusals
    where none does (ties: lowest perplexity)."""
    clean = trials[trials["harmful refused"] <= most_refused]
    if len(clean):
        return int(clean["harmful perplexity"].idxmin())
    return int(trials.sort_values(["harmful refused", "harmful perplexity"]).index[0])
