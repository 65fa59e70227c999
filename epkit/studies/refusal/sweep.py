"""Partitions of the prompts at every layer and percentile, and the region to edit in each.

1. `per_position`: of all positions, as published, where final tokens fall into a region or two.
2. `RefusalSweep`: of the final position, seen from the calibrated centre and from the mean of the
   prompts that were answered; with the directions of a region, its null region and its ablation.

Everything stays on the device of the activations; tables are on the CPU.

Does not know: models, prompts, how answers are judged.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.interventions import Edits, ablate
from epkit.partition import partition
from epkit.readouts import basis_of
from epkit.studies.refusal.regions import (
    NullRegion,
    null_regions,
    pick_region,
    refusal_table,
    region_directions,
)

CENTRES = ("calibrated", "answered")


def per_position(
    every: Tensor, final: Tensor, refused: Tensor, percentiles: Sequence[float]
) -> tuple[pd.DataFrame, dict[float, Dictionary]]:
    """How final positions spread over dictionaries of all positions, and those dictionaries.

    Parameters
    ----------
    every, final : (n, D) activations of all positions, (P, D) of the final ones.
    refused : (P,) bool.
    percentiles : those at which identical activations make θ zero have no dictionary.

    Returns
    -------
    a table with a row per percentile (θ, regions, with final tokens, largest share, refused in it)
    and {p: Dictionary}.
    """
    made, usable = {}, sorted(percentiles)
    while usable and not made:
        try:
            made = partition(every, usable, order=0, device=every.device)
        except ValueError:  # θ is zero at the lowest percentile at least
            usable = usable[1:]
    rows = {p: {"θ": 0.0} for p in percentiles}
    for p, d in made.items():
        table = refusal_table(d, final, refused)
        rows[p] = {
            "θ": d.threshold, "regions": len(d), "with final tokens": len(table),
            "largest share": table.members.max() / len(refused),
            "refused in it": table.rate.iloc[0],
        }  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("p"), made


class RefusingRegion(NamedTuple):
    """A dictionary, refusal in its regions, and the region to edit."""

    dictionary: Dictionary
    table: pd.DataFrame
    region: int

    @property
    def row(self) -> pd.Series:
        """The region's own row of the table."""
        return self.table.loc[self.region]


@dataclass(frozen=True, eq=False)
class RefusalSweep:
    """Partitions of final-position activations at several layers and percentiles.

    final {layer: (P, D)}. refused (P,) bool. answered {layer: (D,)}: mean of the answered prompts.
    means {layer: (D,)}: mean of the refused ones less `answered`, the difference of means.
    made {(centre, layer): {p: Dictionary}}, centre one of `CENTRES`, streamed in order `seed`.
    """

    final: dict[int, Tensor]
    refused: Tensor
    answered: dict[int, Tensor]
    means: dict[int, Tensor]
    made: dict[tuple[str, int], dict[float, Dictionary]]
    seed: int

    @classmethod
    def of(
        cls, final: Mapping[int, Tensor], refused: Tensor, percentiles: Sequence[float], seed: int
    ) -> RefusalSweep:
        """Partition the activations of every layer. ValueError unless some prompts are refused and
        some answered."""
        if not 0 < int(refused.sum()) < len(refused):
            raise ValueError(
                f"{int(refused.sum())} of {len(refused)} prompts are refused, and a difference of "
                "means needs both kinds: give prompts of which the model refuses some"
            )
        answered = {layer: x[~refused].mean(0) for layer, x in final.items()}
        means = {layer: x[refused].mean(0) - answered[layer] for layer, x in final.items()}
        made = {
            (name, layer): partition(x, percentiles, centre=centre, order=seed, device=x.device)
            for layer, x in final.items()
            for name, centre in zip(CENTRES, (None, answered[layer]), strict=True)
        }
        return cls(dict(final), refused, answered, means, made, seed)

    @functools.cached_property
    def found(self) -> dict[tuple[str, int, float], RefusingRegion]:
        """{(centre, layer, p): the region to edit}, by `pick_region`, where there is one."""
        found = {}
        for (centre, layer), made in self.made.items():
            for p, d in made.items():
                table = refusal_table(d, self.final[layer], self.refused)
                k = pick_region(table)
                if k is not None:
                    found[centre, layer, p] = RefusingRegion(d, table, k)
        return found

    def table(self) -> pd.DataFrame:
        """The region to edit by centre, layer and p, with cosines to the difference of means."""
        every = [(*key, p, d) for key, made in self.made.items() for p, d in made.items()]
        return pd.DataFrame([self._row(*one) for one in every])

    def _row(self, centre: str, layer: int, p: float, d: Dictionary) -> dict:
        row = {"centre": centre, "layer": layer, "p": p, "K": len(d)}
        if (centre, layer, p) in self.found:
            _, table, k = self.found[centre, layer, p]
            row |= {
                "members": table.members[k], "rate": table.rate[k],
                "share of refusals": table.refusals[k] / int(self.refused.sum()),
                "exemplar·DoM": self.to_means(layer, d.exemplars[k]),
                "mean·DoM": self.to_means(layer, d.means[k]),
            }  # fmt: skip
        return row

    def to_means(self, layer: int, direction: Tensor) -> float:
        """Cosine of a direction (D,) with the difference of means of a layer."""
        means = self.means[layer]
        return torch.cosine_similarity(direction.to(means.device), means, dim=0).item()

    def directions(self, layer: int, p: float) -> dict[str, Tensor]:
        """What the region to edit offers, seen from the answered prompts (`region_directions`)."""
        d, table, region = self.found["answered", layer, p]
        return region_directions(d, self.final[layer], table, region)

    def null(self, centre: str, layer: int, p: float) -> NullRegion:
        """The region that answers and is most like the one to edit, of all percentiles."""
        like = self.found[centre, layer, p].row
        made, x = self.made[centre, layer], self.final[layer]
        return null_regions(made, x, self.refused, like)[0]

    def reordered(self, layer: int, p: float, basis: str, order: int) -> Tensor | None:
        """The direction (D,) of the region to edit when the prompts come in another order."""
        x = self.final[layer]
        d = partition(x, [p], centre=self.answered[layer], order=order, device=x.device)[p]
        k = pick_region(refusal_table(d, x, self.refused))
        return None if k is None else basis_of(d, basis)[k]

    def ablation(self, direction: Tensor | None, layer: int, edited: Sequence[int]) -> Edits | None:
        """Directions (D,) or (k, D) of a layer taken out, seen from its answered prompts; None for
        no direction."""
        return None if direction is None else ablate(direction, self.answered[layer], edited)
