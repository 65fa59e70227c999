"""Edits to try on build prompts, their controls, and steering.

1. `choose_setting`: layer, percentile, basis and edited layers, by the rule of `choose_trial`.
2. `control_table`: the region against null regions and random directions, as distributions.
3. `steering_directions`, `steering_table`, `choose_alpha`: the other way round, directions added to
   benign prompts.

A trial is a function from edits to a row of measurements; who answers is the caller's business.

Does not know: prompts, the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.interventions import Edits, steer
from epkit.readouts import basis_of
from epkit.stats import rank_test
from epkit.studies.refusal.answers import Responses, choose_trial, perplexity_ratio
from epkit.studies.refusal.sweep import CALIBRATED, RefusalSetting, RefusalSweep

Trial = Callable[[Edits], Mapping[str, float]]
NULLS, RANDOM = "null regions", "random directions"


def choose_setting(
    trial: Trial,
    sweep: RefusalSweep,
    layers: Sequence[int],
    percentiles: Sequence[float],
    first_layers: Sequence[int],
    last: int,
) -> tuple[pd.DataFrame, RefusalSetting]:
    """Every trial, a row each, and the setting that `choose_trial` takes.

    Percentile, layer and basis with the middle one of `first_layers`, then the first layer. Labels
    choose the region; the centre does not see them. Raises ValueError where no region qualifies at
    these layers and percentiles.
    """

    def row(layer, p, basis, first, **_):
        at = RefusalSetting(layer, p, basis, first, last)
        return at._asdict() | dict(trial(sweep.region_edit(at, basis)))

    middle = first_layers[len(first_layers) // 2]
    rows = [
        row(layer, p, basis, middle)
        for centre, layer, p in sweep.found
        if centre == CALIBRATED and layer in layers and p in percentiles
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
    return pd.DataFrame(rows), RefusalSetting(*(won[name] for name in RefusalSetting._fields))


def control_table(
    left: Callable[[Edits | None], np.ndarray],
    region: Edits,
    controls: Mapping[str, Sequence[Edits]],
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Refusal left by the region's edit beside that of every control, on the same prompts.

    left : (P,) bool, which prompts are still refused under edits. A row a kind of control: how
    many, their median, lowest and highest rate; how many leave as few as the region or fewer, and
    the exact p of that, 1 / (n + 1) at least. Beside it {kind: rates (n,)}, "region" and
    "no edit" with one each.
    """
    rates = {"no edit": np.array([left(None).mean()]), "region": np.array([left(region).mean()])}
    rows = {}
    for name, edits in controls.items():
        rates[name] = found = np.array([left(edit).mean() for edit in edits])
        rank = rank_test(-np.append(found, rates["region"]), len(found))
        rows[name] = {
            "n": len(found), "median": float(np.median(found)), "lowest": found.min(),
            "highest": found.max(), "as low as the region": rank.rank - 1, "p": rank.p,
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index"), rates


def steering_directions(sweep: RefusalSweep, at: RefusalSetting) -> dict[str, Tensor]:
    """{name: unit direction (D,)}: the region, the difference of means, the likest null region and
    a random direction."""
    d, _, k = sweep.found[CALIBRATED, at.layer, at.p]
    null = sweep.nulls(at, 1)[0]
    generator = torch.Generator().manual_seed(sweep.seed)
    drawn = torch.randn(len(d.centre), generator=generator).to(d.centre.device)
    found = {
        "region": basis_of(d, at.basis)[k],
        "difference of means": sweep.means[at.layer],
        "null region": basis_of(null.dictionary, at.basis)[null.region],
        "random direction": drawn,
    }
    return {name: v / v.norm() for name, v in found.items()}


def steering_table(
    respond: Callable[[Edits | None], Responses],
    directions: Mapping[str, Tensor],
    alphas: Sequence[float] | Mapping[str, float],
    norm: float,
    layer: int,
) -> tuple[pd.DataFrame, dict[str, Responses]]:
    """Refusal and fluency when a direction (D,) is added at a layer, by direction and α.

    respond : answers to the prompts under edits. alphas : for every direction, or {direction: its
    own}. norm : the layer's typical one, the unit of α. Also the last answers of each direction,
    and those without steering, as "no edit".
    """
    before = respond(None)
    rows, answers = [_steered("no edit", 0, before, before)], {"no edit": before}
    for name, direction in directions.items():
        for alpha in [alphas[name]] if isinstance(alphas, Mapping) else alphas:
            answers[name] = respond(steer(direction, alpha, norm, [layer]))
            rows.append(_steered(name, alpha, answers[name], before))
    return pd.DataFrame(rows), answers


def _steered(name: str, alpha: float, found: Responses, before: Responses) -> dict:
    return {
        "direction": name, "α": alpha, "refused": found.rate, "perplexity": found.perplexity,
        "ratio": perplexity_ratio(before, found), "distinct tokens": found.distinct,
    }  # fmt: skip


def choose_alpha(table: pd.DataFrame, direction: str, *, limit: float) -> float:
    """Of a direction's rows in `steering_table` the α with the most refusals among those whose
    perplexity ratio is at most `limit` (ties: the smallest α); the smallest α where none is."""
    own = table[table.direction == direction].sort_values("α")
    calm = own[[ratio.value <= limit for ratio in own.ratio]]
    if not len(calm):
        return float(own["α"].iloc[0])
    return float(calm["α"].iloc[int(np.argmax([rate.value for rate in calm.refused]))])
