"""Tables of what lies between regions: between the anchors of words, and by chance at a distance.

Beside the regions stand random exemplars, made-up directions and random pairs as far apart.

Does not know: words, models; how an anchor was found.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.matching import between
from epkit.stats import bootstrap_difference, bootstrap_mean
from epkit.studies.neighbourhoods.neighbours import between_shares, pairs_at_distance
from epkit.studies.neighbourhoods.plots import Bridge

Anchors = Mapping[tuple[str, str], Mapping[float, tuple[int, int]]]
"""Per pair of words and percentile, the two regions that stand for them."""

ALIKE = 100
"""Random pairs at the distance of two anchors."""

FAR = 0.9
"""Distance from which on anchors count as far."""


def anchor_table(
    ep: Mapping[float, Dictionary],
    random: Mapping[float, Dictionary],
    anchors: Anchors,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """What lies between two anchors as resolution sharpens: a row per pair and percentile."""
    rows = []
    for pair, at in anchors.items():
        for p, (a, b) in at.items():
            row = {"A, B": ", ".join(pair), "p": p, "K": len(ep[p]), "regions": f"{a}, {b}"}
            if a == b:
                rows.append(row | {"between": "one region holds both"})
            else:
                rows.append(row | _between_row(ep[p], random[p].exemplars, a, b, seed))
    return pd.DataFrame(rows).set_index(["A, B", "p"])


def _between_row(d: Dictionary, random: Tensor, a: int, b: int, seed: int) -> dict:
    e = d.exemplars
    own = between_shares(e[[a]], e[[b]], e)
    alike = shares_at_distance(e, np.full(ALIKE, own.apart[0]), seed=seed)["share"]
    low, high = np.quantile(alike, [0.025, 0.975])
    return {
        "d(A, B)": own.apart[0], "between": len(between(d, a, b)), "share": own.share[0],
        "chance": own.chance[0], "random pairs, same d": bootstrap_mean(alike),
        "their middle 95 %": f"{low:.3f} … {high:.3f}",
        "random exemplars": between_shares(e[[a]], e[[b]], random).share[0],
    }  # fmt: skip


def bridge(
    dictionary: Dictionary, a: int, b: int, title: str, names: Callable[[list[int]], list[str]],
    n: int = 4,
) -> Bridge:  # fmt: skip
    """A panel of `plot_bridges`: two regions and the n most between, of greatest sum of cosines.

    names : gives regions their names.
    """
    if a == b:
        (name,) = names([a])
        return Bridge(f"{title}: one region holds both", name, name, 1.0, [])
    e, found = dictionary.exemplars, between(dictionary, a, b).cpu()
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


def shares_by_kind(
    kinds: Mapping[str, Mapping[float, Dictionary]],
    wanted: Mapping[float, np.ndarray],
    *,
    seed: int = 0,
) -> dict[float, dict[str, pd.DataFrame]]:
    """`shares_at_distance` of the exemplars of every kind, per percentile; see `excess_table`."""
    return {
        p: {
            name: shares_at_distance(kind[p].exemplars, distance, seed=seed)
            for name, kind in kinds.items()
        }
        for p, distance in wanted.items()
    }


def excess_table(
    shares: Mapping[float, Mapping[str, pd.DataFrame]], wanted: Mapping[float, np.ndarray]
) -> pd.DataFrame:
    """How much more lies between near and far anchors than by chance, and than for other points.

    Parameters
    ----------
    shares : per percentile and kind of points ("EP" is compared with the others), a table of
        `shares_at_distance`.
    wanted : per percentile, (P,) the distances wanted of its pairs, near and far.

    Returns
    -------
    A row per span of distances and percentile.
    """
    rows = []
    for p, found in shares.items():
        near = wanted[p] < FAR
        for span, part in ((f"near: d < {FAR}", near), (f"far: d ≥ {FAR}", ~near)):
            row = {"p": p, "anchors": span, "pairs": int(part.sum())}
            for kind, table in found.items():
                table = table[part]
                row[f"{kind}: between"] = table["share"].mean()
                row[f"{kind}: excess"] = bootstrap_difference(table["share"], table["chance"])
            for kind in [kind for kind in found if kind != "EP"]:
                both = (found[name]["share"][part] for name in ("EP", kind))
                row[f"EP − {kind}"] = bootstrap_difference(*both)
            rows.append(row)
    table = pd.DataFrame(rows).set_index(["anchors", "p"])
    return table.sort_index(level=0, sort_remaining=False)
