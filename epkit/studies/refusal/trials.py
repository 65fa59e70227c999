"""Edits to try: the choice of one on few prompts, what it is held against, and steering.

1. `choose_setting`: layer, percentile, basis and edited layers, by the rule of `choose_trial`.
2. `other_edits`: directions that were not chosen, beside null regions.
3. `held_out_conditions`: the chosen direction, its kin and its controls.
4. `steering_table`: the other way round, directions added to benign prompts.

A trial is a function from edits to a row of measurements; who answers is the caller's business.

Does not know: prompts, the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from epkit.controls import matched_regions
from epkit.dictionary import Dictionary
from epkit.interventions import Edits, ablate, steer
from epkit.readouts import basis_of
from epkit.studies.refusal.answers import Responses, choose_trial
from epkit.studies.refusal.regions import NullRegion, refusal_table
from epkit.studies.refusal.sweep import RefusalSweep

Trial = Callable[[Edits], Mapping[str, float]]


class RefusalSetting(NamedTuple):
    """What is edited: the region's `basis` at a layer and percentile, in blocks `first` to `last`.

    perplexity : of the answers to harmful trial prompts under this edit.
    """

    layer: int
    p: float
    basis: str
    first: int
    last: int
    perplexity: float

    @property
    def edited(self) -> range:
        """The layers whose outputs are edited."""
        return range(self.first, self.last + 1)


def choose_setting(
    trial: Trial,
    sweep: RefusalSweep,
    layers: Sequence[int],
    percentiles: Sequence[float],
    first_layers: Sequence[int],
    last: int,
) -> tuple[pd.DataFrame, RefusalSetting]:
    """Every trial, a row each, and the setting that `choose_trial` takes.

    First layer, percentile and basis with the middle one of `first_layers`, then the first layer.
    Raises ValueError where no region qualifies at these layers and percentiles.
    """

    def row(layer, p, basis, first, **_):
        d, _, k = sweep.found["answered", layer, p]
        edits = sweep.ablation(basis_of(d, basis)[k], layer, range(first, last + 1))
        return {"layer": layer, "p": p, "basis": basis, "first": first} | dict(trial(edits))

    middle = first_layers[len(first_layers) // 2]
    rows = [
        row(layer, p, basis, middle)
        for centre, layer, p in sweep.found
        if centre == "answered" and layer in layers and p in percentiles
        for basis in ("exemplar", "mean")
    ]
    if not rows:
        raise ValueError(
            f"no region of layers {[*layers]} at percentiles {[*percentiles]} has enough members "
            "that are refused: try other layers, percentiles or more prompts"
        )
    best = rows[choose_trial(pd.DataFrame(rows))]
    rows += [row(**best | {"first": first}) for first in first_layers if first != middle]
    won = rows[choose_trial(pd.DataFrame(rows))]
    setting = RefusalSetting(
        *(won[name] for name in ("layer", "p", "basis", "first")), last, won["harmful perplexity"]
    )
    return pd.DataFrame(rows), setting


def other_edits(
    sweep: RefusalSweep, setting: RefusalSetting, per_position: Dictionary, deep: int
) -> dict[str, Edits]:
    """Ablations that were not chosen, by name, at the chosen layer, percentile and blocks.

    The contrast with the nearest benign region; the mean of the region seen from the calibrated
    centre, and of its null region, where there is one; exemplars of a dictionary of all positions
    of layer `deep`: of the region with the most refusals, and of one like it.
    """
    layer, p, edited = setting.layer, setting.p, setting.edited
    directions, bases = {}, sweep.directions(layer, p)
    if "contrast" in bases:
        directions["contrast"] = bases["contrast"]
    if ("calibrated", layer, p) in sweep.found:
        d, _, k = sweep.found["calibrated", layer, p]
        null = sweep.null("calibrated", layer, p)
        directions["calibrated centre, region"] = d.means[k]
        directions["calibrated centre, null region"] = null.dictionary.means[null.region]
    edits = {name: sweep.ablation(v, layer, edited) for name, v in directions.items()}
    per = per_position
    top = int(refusal_table(per, sweep.final[deep], sweep.refused).index[0])
    for name, k in (("region", top), ("null region", int(matched_regions(per, top)[0]))):
        edits[f"per-position {name}, its own centre"] = ablate(per.exemplars[k], per.centre, edited)
    return edits


def held_out_conditions(
    sweep: RefusalSweep, setting: RefusalSetting, null: NullRegion
) -> dict[str, Tensor | None]:
    """{condition: direction (D,) or directions (k, D)}, None for no edit, on the sweep's device."""
    bases = sweep.directions(setting.layer, setting.p)
    centre = sweep.answered[setting.layer]
    generator = torch.Generator().manual_seed(sweep.seed)  # on the CPU: the same everywhere
    return {
        "no edit": None,
        "exemplar": bases["exemplar"],
        "mean": bases["mean"],
        "re-anchored exemplar": bases["re-anchored"],
        "span of 3 exemplars": bases["span"],
        "null region": basis_of(null.dictionary, setting.basis)[null.region],
        "random direction": torch.randn(len(centre), generator=generator).to(centre.device),
        "difference of means": sweep.means[setting.layer],
    }


def steering_table(
    respond: Callable[[Edits | None], Responses],
    directions: Mapping[str, Tensor],
    alphas: Sequence[float],
    norm: float,
    layer: int,
) -> pd.DataFrame:
    """Refusal and fluency when a direction (D,) is added at a layer, by direction and α.

    respond : answers to the prompts under edits. norm : the layer's typical one, the unit of α.
    """
    unsteered, rows = respond(None), []
    for name, direction in directions.items():
        for alpha in (0, *alphas):
            r = respond(steer(direction, alpha, norm, [layer])) if alpha else unsteered
            rows.append({
                "direction": f"{name}, layer {layer}", "alpha": alpha, "refused": r.rate.value,
                "low": r.rate.low, "high": r.rate.high, "perplexity": r.perplexity,
                "distinct tokens": r.distinct,
            })  # fmt: skip
    return pd.DataFrame(rows)
