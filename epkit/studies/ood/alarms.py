"""How often a monitor's rule flags texts: fresh ones, cut ones, foreign ones, spliced ones.

Token distances are tensors (T,) per text, on the CPU. Shares have exact 95 % intervals.

Does not know: how dictionaries are built, what the monitor was fitted on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import betabinom
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import places
from epkit.lm.models import LanguageModel
from epkit.monitor import AlarmRule, OODMonitor
from epkit.stats import Interval, bootstrap_mean, proportion


def token_distances(
    model: LanguageModel, dictionary: Dictionary, layer: int, texts: Sequence
) -> list[Tensor]:
    """Distance of every token to the nearest exemplar, a tensor (T_i,) on the CPU per text.

    One pass over all texts, for looking at many lengths.
    """
    found, owner = [], []
    for chunk in ActivationStream(model, texts, [layer]).chunks():
        found.append(dictionary.assign(chunk.activations[layer])[1].cpu())
        owner.append(places(chunk).document)
    lengths = torch.cat(owner).bincount(minlength=len(texts))
    return [*torch.cat(found).split(lengths.tolist())]


class FreshAlarms(NamedTuple):
    """Alarms among fresh texts.

    count of n. rate : their share. low, high : the exact range in which the count is expected.
    """

    count: int
    n: int
    rate: Interval
    low: int
    high: int

    def __str__(self) -> str:
        share = f"{self.count} of {self.n} = {self.count / self.n:.3f}"
        return f"{share} [{self.rate.low:.3f}, {self.rate.high:.3f}]"


def fresh_alarms(rule: AlarmRule, texts: Sequence[Tensor], level: float = 0.95) -> FreshAlarms:
    """Alarms among texts drawn like those the rule was fitted on.

    For one fitted rule the rate follows Beta(j, n + 1 − j) (`AlarmRule`), so the count is
    beta-binomial.
    """
    flags, n = flagged(rule, texts), len(rule.scores)
    j = int((n + 1) * rule.false_alarm + 1e-9)
    low, high = betabinom(len(flags), j, n + 1 - j).interval(level)
    return FreshAlarms(sum(flags), len(flags), _share(flags), int(low), int(high))


def flagged(rule: AlarmRule, texts: Iterable[Tensor]) -> list[bool]:
    """Whether each text is flagged, from its token distances."""
    return [rule.score(text) > rule.threshold for text in texts]


def length_table(
    rule: AlarmRule, texts: Sequence[Tensor], lengths: Sequence[int] = (4, 8, 16, 32, 64, 128)
) -> pd.DataFrame:
    """Alarms among texts cut after their first tokens; lengths that no text has are left out.

    Beside them the plain mean distance, with the threshold that flags as many of the whole texts
    as the rule was asked for.
    """
    means = [float(text.mean()) for text in texts]
    plain = np.quantile(means, 1 - rule.false_alarm)
    rows = []
    for length in lengths:
        cut = [text[:length] for text in texts if len(text) >= length]
        if not cut:
            continue
        means = [float(text.mean()) for text in cut]
        rows.append({
            "tokens": length, "texts": len(cut), "mean distance": np.mean(means),
            "its spread over texts": np.std(means), "flagged": _share(flagged(rule, cut)),
            "flagged by the plain mean": _share([mean > plain for mean in means]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def caught_table(
    rule: AlarmRule, distances: Mapping[str, Tensor], lengths: Iterable[int]
) -> pd.DataFrame:
    """Share of texts flagged by corpus (rows) and tokens read (columns).

    distances : {corpus: (W, T)}; lengths above T are left out.
    """
    longest = next(iter(distances.values())).shape[1]
    return pd.DataFrame({
        f"{length} tokens": {
            name: _share(flagged(rule, values[:, :length])) for name, values in distances.items()
        }
        for length in lengths
        if length <= longest
    })  # fmt: skip


def splice_table(
    monitor: OODMonitor,
    beginnings: Sequence[str],
    passages: Mapping[str, Sequence[str]],
    kept: int,
    seed: int = 0,
) -> pd.DataFrame:
    """Texts that begin as usual and end as another corpus: are they flagged, and where?

    beginnings : texts of `kept` tokens. passages : {corpus: what is put after them}.
    """
    rows = []
    for name, ends in passages.items():
        checked = [monitor.check(f"{a} {b}") for a, b in zip(beginnings, ends, strict=False)]
        inside = [np.mean([t.position >= kept for t in v.tokens]) for v in checked]
        rows.append({
            "passage": name, "texts": len(checked),
            "flagged": _share([v.flagged for v in checked]),
            "worst tokens in the passage": bootstrap_mean(inside, seed=seed),
            "by chance": float(np.mean([1 - kept / v.n_tokens for v in checked])),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _share(flags: Iterable[bool]) -> Interval:
    return proportion(flags, method="exact")
