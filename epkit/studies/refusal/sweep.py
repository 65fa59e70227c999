"""Partitions of the prompts at every layer and percentile, the region to edit, and its edits.

1. `RefusalSweep`: of the final position, seen from the calibrated centre, into which no label goes,
   and from the mean of the answered prompts ("supervised"), into which labels go.
2. `RefusalSweep.edits`: what is held out: the region's exemplar and mean taken out, the swap of
   centroids, the supervised centre, the difference of means.
3. `null_edits`, `random_edits`: what the first must beat, as distributions.

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
    complying_region,
    null_regions,
    pick_region,
    refusal_table,
)

CALIBRATED, SUPERVISED = "calibrated", "supervised"


class RefusalSetting(NamedTuple):
    """What is edited: a region's `basis` at a layer and percentile, in blocks `first` to `last`."""

    layer: int
    p: float
    basis: str
    first: int
    last: int

    @property
    def edited(self) -> range:
        """The layers whose outputs are edited."""
        return range(self.first, self.last + 1)


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
    made {(centre, layer): {p: Dictionary}}, centre `CALIBRATED` or `SUPERVISED`, in order `seed`.
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
            for name, centre in ((CALIBRATED, None), (SUPERVISED, answered[layer]))
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
        """The region to edit by layer and p from the calibrated centre, a row where there is one;
        the last column is the cosine of its mean with the difference of means."""
        rows = []
        for (centre, layer, p), (d, table, k) in self.found.items():
            if centre == CALIBRATED:
                rows.append({
                    "layer": layer, "p": p, "K": len(d), "members": table.members[k],
                    "rate": table.rate[k],
                    "share of refusals": table.refusals[k] / int(self.refused.sum()),
                    "mean·DoM": self.to_means(layer, d.means[k]),
                })  # fmt: skip
        return pd.DataFrame(rows)

    def to_means(self, layer: int, direction: Tensor) -> float:
        """Cosine of a direction (D,) with the difference of means of a layer."""
        means = self.means[layer]
        return torch.cosine_similarity(direction.to(means.device), means, dim=0).item()

    def region_edit(self, at: RefusalSetting, basis: str, centre: str = CALIBRATED) -> Edits | None:
        """The region's exemplar or mean taken out; None where that centre has no region."""
        if (centre, at.layer, at.p) not in self.found:
            return None
        d, _, k = self.found[centre, at.layer, at.p]
        return ablate(basis_of(d, basis)[k], d.centre, at.edited)

    def swap_edit(self, at: RefusalSetting) -> Edits:
        """Centroid-span swap, at the one layer: with QQ' the projector on the span of the mean
        activations of the refusing and of the complying region, x − QQ'x + QQ'c, c the latter."""
        d, table, k = self.found[CALIBRATED, at.layer, at.p]
        x = self.final[at.layer]
        region = d.assign(x)[0]
        complying = x[region == complying_region(table)].mean(0)
        refusing = x[region == k].mean(0)
        return ablate(torch.stack([refusing, complying]), complying, [at.layer])

    def edits(self, at: RefusalSetting) -> dict[str, Edits | None]:
        """{condition: edits}, None for the model as it is; the next is what was chosen."""
        other = "exemplar" if at.basis == "mean" else "mean"
        found = {
            f"region, {at.basis}": self.region_edit(at, at.basis),
            f"region, {other}": self.region_edit(at, other),
            "centroid-span swap": self.swap_edit(at),
            "supervised centre": self.region_edit(at, at.basis, SUPERVISED),
            "difference of means": ablate(
                self.means[at.layer], self.answered[at.layer], at.edited
            ),
        }  # fmt: skip
        return {"no edit": None} | {name: edit for name, edit in found.items() if edit is not None}

    def nulls(self, at: RefusalSetting, n: int) -> list[NullRegion]:
        """The n regions that comply and are most like the one to edit, of all percentiles."""
        like = self.found[CALIBRATED, at.layer, at.p].row
        made, x = self.made[CALIBRATED, at.layer], self.final[at.layer]
        return null_regions(made, x, self.refused, like, n=n)

    def null_edits(self, at: RefusalSetting, n: int) -> list[Edits]:
        """The same ablation of null regions, from the same centre in the same blocks."""
        return [
            ablate(
                basis_of(null.dictionary, at.basis)[null.region], null.dictionary.centre, at.edited
            )
            for null in self.nulls(at, n)
        ]

    def random_edits(self, at: RefusalSetting, n: int) -> list[Edits]:
        """The same ablation of n random unit directions; seeded."""
        centre = self.made[CALIBRATED, at.layer][at.p].centre
        generator = torch.Generator().manual_seed(self.seed)  # on the CPU: the same everywhere
        drawn = torch.randn(n, len(centre), generator=generator).to(centre.device)
        return [ablate(v, centre, at.edited) for v in drawn]
