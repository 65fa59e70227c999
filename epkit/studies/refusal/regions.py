"""Refusal in the partition: which regions refuse, and the directions they offer.

1. `final_activations`: the residual stream at the last token of the template, where the answer
   opens.
2. `refusal_table`, `pick_region`: refusal by region of a dictionary of these activations, and the
   region to edit, by a stated rule; `complying_region`: the one to put in its place.
3. `null_regions`: regions as like it as can be that do not refuse, as controls.

Does not know: where prompts come from, how answers are made or judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from epkit.controls import unlikeness
from epkit.dictionary import Dictionary
from epkit.lm.activations import ActivationStream
from epkit.lm.models import LanguageModel
from epkit.lm.tokens import chats
from epkit.stats import proportion

MIN_MEMBERS = 8
MIN_RATE = 0.8
MAX_RATE = 0.2
"""A region that refuses no more of its members complies."""


def final_activations(
    model: LanguageModel, prompts: Sequence[str], layers: Sequence[int], *, context: int = 256
) -> dict[int, Tensor]:
    """{layer: (P, D) float32}: the residual stream at the last token of the template after each
    prompt, where the answer opens.

    On the model's device, or on the CPU where that has no float64 (MPS). One pass. Raises
    ValueError for a prompt of `context` tokens or more.
    """
    stream = ActivationStream(model, chats(prompts), layers, context=context, positions="final")
    found = list(stream.chunks())
    if max(int(chunk.lengths.max()) for chunk in found) >= context:
        raise ValueError(f"a prompt fills {context} tokens, and would be cut: raise context")
    place = model.device if model.device.type == "cuda" else torch.device("cpu")
    return {
        layer: torch.cat([chunk.activations[layer].float().to(place) for chunk in found])
        for layer in stream.layers
    }


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


def complying_region(table: pd.DataFrame, *, max_rate: float = MAX_RATE) -> int:
    """The region with the most members of those that refuse at most `max_rate`.

    Raises ValueError where every region refuses more."""
    fit = table[table.rate <= max_rate]
    if not len(fit):
        raise ValueError(f"every region refuses more than {max_rate:g}: add finer percentiles")
    return int(fit.members.idxmax())


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
    n: int = 20,
    max_rate: float = MAX_RATE,
) -> list[NullRegion]:
    """The `n` regions most like the row `like` that refuse at most `max_rate`, the best first.

    Searched in the partitions `made` {p: Dictionary} of x (P, D) at several percentiles, because a
    benign region is rarely as large as a refusing one at the same percentile; regions of the same
    members count once. Near means in (log10 members, coherence), each divided by its standard
    deviation over the candidates. Fewer than `n` where no more qualify.
    """
    found, seen = [], set()
    for p, dictionary in made.items():
        region = dictionary.assign(x)[0].cpu()
        table = refusal_table(dictionary, x, refused)
        for k, row in table[(table.rate <= max_rate) & (table.members >= 2)].iterrows():
            members = tuple((region == k).nonzero()[:, 0].tolist())
            if members not in seen:
                found.append(NullRegion(dictionary, p, int(k), row))
            seen.add(members)
    if not found:
        raise ValueError(f"no region refuses at most {max_rate:g}: add coarser percentiles")
    rows = torch.tensor([[f.row.members, f.row.coherence] for f in found], dtype=torch.float64)
    apart = unlikeness(*rows.T, like.members, like.coherence)
    return [found[i] for i in apart.sort(stable=True).indices[:n].tolist()]
