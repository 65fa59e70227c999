"""What lies between the anchors of words, as regions' means have it.

Beside the regions stand random exemplars (their means) and random pairs as far apart; what lies
between all pairs of a dictionary is in `excess`.

Does not know: words, models; how an anchor was found.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.matching import between
from epkit.stats import bootstrap_mean
from epkit.studies.neighbourhoods.neighbours import between_shares, pairs_at_distance
from epkit.studies.neighbourhoods.plots import Bridge

Anchors = Mapping[tuple[str, str], Mapping[float, tuple[int, int]]]
"""Per pair of words and percentile, the two regions that stand for them."""

ALIKE = 100
"""Random pairs at the distance of two anchors."""


def anchor_table(
    ep: Mapping[float, Dictionary],
    random: Mapping[float, Dictionary],
    anchors: Anchors,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """What lies between two anchors as resolution sharpens: a row per pair and percentile.

    ep, random : recounted, since distances are between means.
    """
    rows = []
    for pair, at in anchors.items():
        for p, (a, b) in at.items():
            row = {"A, B": ", ".join(pair), "p": p, "K": len(ep[p]), "regions": f"{a}, {b}"}
            if a == b:
                rows.append(row | {"between": "one region holds both"})
            else:
                rows.append(row | _between_row(ep[p], random[p].means, a, b, seed))
    return pd.DataFrame(rows).set_index(["A, B", "p"])


def _between_row(d: Dictionary, random: Tensor, a: int, b: int, seed: int) -> dict:
    e = d.means
    own = between_shares(e[[a]], e[[b]], e)
    alike = shares_at_distance(e, np.full(ALIKE, own.apart[0]), seed=seed)["share"]
    low, high = np.quantile(alike, [0.025, 0.975])
    return {
        "d(A, B)": own.apart[0], "between": len(between(d, a, b, basis="mean")),
        "share": own.share[0], "chance": own.chance[0],
        "random pairs, same d": bootstrap_mean(alike),
        "their middle 95 %": f"{low:.3f} … {high:.3f}",
        "random exemplars": between_shares(e[[a]], e[[b]], random).share[0],
    }  # fmt: skip


def bridge(
    dictionary: Dictionary, a: int, b: int, title: str, names: Callable[[list[int]], list[str]],
    n: int = 4,
) -> Bridge:  # fmt: skip
    """A panel of `plot_bridges`: two regions and the n most between, of greatest sum of cosines.

    Cosines are between means. names : gives regions their names.
    """
    if a == b:
        (name,) = names([a])
        return Bridge(f"{title}: one region holds both", name, name, 1.0, [])
    e, found = dictionary.means, between(dictionary, a, b, basis="mean").cpu()
    cosine = (e[[a, b]] @ e.T).cpu()
    order = cosine[:, found].sum(0).argsort(descending=True, stable=True)
    most = found[order][:n].tolist()
    left, right, *middle = names([a, b, *most])
    return Bridge(
        f"{title}: {len(found):,} of {len(dictionary):,} regions lie between", left, right,
        float(cosine[0, b]),
        [(m, float(cosine[0, c]), float(cosine[1, c])) for m, c in zip(middle, most, strict=True)],
    )  # fmt: skip


def shares_at_distance(points: Tensor, wanted: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """`between_shares` of random pairs of the points at wanted distances, a row per distance.

    points : (K, D) unit rows; wanted : (P,) distances.
    """
    pairs = pairs_at_distance(points, wanted, seed=seed)
    first, second = torch.as_tensor(pairs, device=points.device).T
    return pd.DataFrame(vars(between_shares(points[first], points[second], points)))
