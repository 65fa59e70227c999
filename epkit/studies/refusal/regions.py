"""Refusal in the partition: which regions refuse, and the directions they offer.

1. `prompt_activations`: the residual stream over chat prompts, all positions and the final one (the
   last token of the template, where the answer opens).
2. `refusal_table`, `pick_region`: refusal by region of a dictionary of final-position activations,
   and the region to edit, by a stated rule.
3. `region_directions`: the directions a region offers.
4. `null_regions`: regions as like it as can be that do not refuse, as controls.

Does not know: where prompts come from, how answers are made or judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from epkit.controls import unlikeness
from epkit.dictionary import Dictionary
from epkit.lm.activations import ActivationStream
from epkit.lm.models import LanguageModel
from epkit.stats import proportion

MIN_MEMBERS = 8
MIN_RATE = 0.9


def chats(prompts: Sequence[str]) -> list[list[dict]]:
    """Each prompt as a chat of one message."""
    return [[{"role": "user", "content": prompt}] for prompt in prompts]


@dataclass(frozen=True, eq=False)
class PromptActivations:
    """Residual stream over P prompts, template start left out.

    every {layer: (n, D)}: every position. final {layer: (P, D)}: the last position of each prompt.
    Both float32, on the model's device, or on the CPU where that has no float64 (MPS).
    is_final (n,) bool, on the CPU: which rows of `every` those are.
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
    place = model.device if model.device.type == "cuda" else torch.device("cpu")
    every = {
        layer: torch.cat([chunk.activations[layer].float().to(place) for chunk in found])
        for layer in stream.layers
    }
    final = {layer: x[is_final] for layer, x in every.items()}
    return PromptActivations(every, final, is_final)


def refusal_table(dictionary: Dictionary, x: Tensor, refused: Tensor) -> pd.DataFrame:
    """Refusal by region, most refusals first: members, refusals, rate, low, high, coherence.

    x (P, D): final-position activations; refused (P,) bool. Regions without a member are left out.
    """
    region, refused = dictionary.assign(x)[0].cpu(), refused.cpu()
    rows = []
    for k in region.unique().tolist():
        flags = refused[region == k]
        value, low, high = proportion(flags)
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
    x = x.to(dictionary.centre.device)
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
    made: Mapping[float, Dictionary],
    x: Tensor,
    refused: Tensor,
    like: pd.Series,
    *,
    n: int = 1,
    max_rate: float = 0.1,
) -> list[NullRegion]:
    """The `n` regions most like the row `like` that refuse at most `max_rate`, the best first.

    Searched in the partitions `made` {p: Dictionary} of x (P, D) at several percentiles, because a
    benign region is rarely as large as a refusing one at the same percentile. Near means in (log10
    members, coherence), each divided by its standard deviation over the candidates.

    Raises ValueError where fewer than `n` regions qualify.
    """
    found = []
    for p, dictionary in made.items():
        table = refusal_table(dictionary, x, refused)
        fit = table[(table.rate <= max_rate) & (table.members >= 2)]
        found += [NullRegion(dictionary, p, int(k), row) for k, row in fit.iterrows()]
    if len(found) < n:
        raise ValueError(
            f"{len(found)} regions refuse at most {max_rate:g} of their members, {n} are needed; "
            "add coarser percentiles"
        )
    rows = torch.tensor([[f.row.members, f.row.coherence] for f in found], dtype=torch.float64)
    apart = unlikeness(*rows.T, like.members, like.coherence)
    return [found[i] for i in apart.sort(stable=True).indices[:n].tolist()]
