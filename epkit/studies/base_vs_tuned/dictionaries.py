"""The dictionaries that are compared: per checkpoint and stream order, with all their controls.

Every dictionary comes with the region of every activation that is read with it (`Reading`), since
the checkpoints saw the same tokens: row i is the same token throughout.

- `web_dictionaries`: base and tuned, the tuned one from the base's centre, the base on other
  documents, the base pushed at random as far as the fine-tune moved it, random exemplars.
- `prompt_dictionaries`: base, tuned, the tuned one from the base's centre, random exemplars.

Does not know: models, tokens, how dictionaries are compared.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import Calibration, calibrate
from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.partition import partition

CHECKPOINTS = ("base", "tuned")


class Reading(NamedTuple):
    """A dictionary, and the region (N,) int64 of every activation read with it, on the CPU."""

    dictionary: Dictionary
    region: Tensor


Sets = Mapping[str, Sequence[Reading]]
"""{what was clustered: a reading per stream order}."""


def read_with(dictionary: Dictionary, x: Tensor) -> Reading:
    """The dictionary with the regions of x (N, D); regions are counted on the CPU."""
    return Reading(dictionary, dictionary.assign(x)[0].cpu())


def in_orders(
    x: Tensor,
    calibration: Calibration,
    percentiles: Sequence[float],
    orders: Sequence[int],
    read: Tensor | None = None,
) -> dict[float, list[Reading]]:
    """{percentile: a dictionary of x (N, D) per seeded order}, with the regions of x or `read`."""
    made = [partition(x, percentiles, calibration=calibration, order=order) for order in orders]
    rows = x if read is None else read
    return {p: [read_with(one[p], rows) for one in made] for p in percentiles}


def pushed(x: Tensor, y: Tensor, seed: int) -> Tensor:
    """x (N, D), every row moved in a random direction as far as y (N, D) is from it: float32."""
    x, y = x.float(), y.float()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x.device)
    return x + noise / noise.norm(dim=1, keepdim=True) * (y - x).norm(dim=1, keepdim=True)


def web_dictionaries(
    base: Tensor,
    tuned: Tensor,
    fresh: Tensor,
    percentiles: Sequence[float],
    orders: Sequence[int],
    *,
    n_calibration: int,
) -> dict[float, Sets]:
    """{percentile: sets} of one layer on running text, all read with the same tokens.

    Parameters
    ----------
    base, tuned : (N, D), the same tokens of both checkpoints.
    fresh : (M, D), the base on other documents; the dictionaries of it read `base`.
    orders : seeds of the stream orders; the first is the seed of the noise as well.
    n_calibration : leading rows that calibrate, each from its own centre.

    Returns
    -------
    sets "base", "tuned", "noise", "shared" (tuned, from the base's centre), "fresh", "random base",
    "random tuned" (as many exemplars as the first order has regions).
    """
    x = {"base": base, "tuned": tuned, "fresh": fresh, "noise": pushed(base, tuned, orders[0])}
    first = {name: y[:n_calibration] for name, y in x.items()}
    cal = {name: calibrate(y, percentiles) for name, y in first.items()}
    cal["shared"] = calibrate(first["tuned"], percentiles, centre=cal["base"].centre)
    x["shared"] = tuned
    names = ("base", "tuned", "noise", "shared", "fresh")
    found = {
        name: in_orders(x[name], cal[name], percentiles, orders, base if name == "fresh" else None)
        for name in names
    }
    made = {p: {name: found[name][p] for name in names} for p in percentiles}
    for sets in made.values():
        _add_random(sets, x, {name: [sets[name][0]] * len(orders) for name in CHECKPOINTS}, orders)
    return made


def prompt_dictionaries(
    x: Mapping[str, Tensor], percentiles: Sequence[float], orders: Sequence[int]
) -> dict[float, Sets]:
    """{percentile: sets} of one layer on prompts: x is {"base": (N, D), "tuned": (N, D)}.

    Sets "base", "tuned", "shared" (tuned, from the base's centre), "random base", "random tuned"
    (as many exemplars as that order has regions). All rows calibrate.
    """
    cal = {name: calibrate(x[name], percentiles) for name in CHECKPOINTS}
    cal["shared"] = calibrate(x["tuned"], percentiles, centre=cal["base"].centre)
    rows = {**x, "shared": x["tuned"]}
    found = {name: in_orders(rows[name], cal[name], percentiles, orders) for name in cal}
    made = {p: {name: found[name][p] for name in cal} for p in percentiles}
    for sets in made.values():
        _add_random(sets, x, sets, orders)
    return made


def _add_random(sets: dict, x: Mapping[str, Tensor], like: Sets, orders: Sequence[int]) -> None:
    """Sets "random base" and "random tuned": as many random exemplars as `like` has regions."""
    for name in CHECKPOINTS:
        pairs = zip(like[name], orders, strict=True)
        drawn = [random_dictionary(d, x[name], seed=order) for (d, _), order in pairs]
        sets[f"random {name}"] = [read_with(d, x[name]) for d in drawn]


def checkpoint_sizes(made: Mapping[tuple[int, float], Sets]) -> pd.DataFrame:
    """θ, K in every order and the cosine of the two centres, one row a (layer, percentile)."""
    rows = []
    for (layer, p), sets in made.items():
        row = {"layer": layer, "p": p}
        for name in CHECKPOINTS:
            row[f"{name}: θ"] = sets[name][0].dictionary.threshold
            row[f"{name}: K by order"] = [len(d) for d, _ in sets[name]]
        centres = (sets[name][0].dictionary.centre for name in CHECKPOINTS)
        row["cosine of the centres"] = torch.cosine_similarity(*centres, dim=0).item()
        rows.append(row)
    return pd.DataFrame(rows).set_index(["layer", "p"])
