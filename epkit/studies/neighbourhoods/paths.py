"""Paths between regions: the cheapest on the graph of nearest regions, and what they pass.

Does not know: words, models; how ends were found.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph
from torch import Tensor

from epkit.blocks.nearest import nearest
from epkit.dictionary import Dictionary
from epkit.matching import between
from epkit.stats import Interval, bootstrap_difference, bootstrap_mean
from epkit.studies.neighbourhoods.neighbours import shortest_path
from epkit.studies.neighbourhoods.plots import Route

Graphs = Mapping[tuple[str, float], sparse.csr_array]
"""Per kind of points and percentile, its `neighbour_graph`."""


def path_facts(d: Dictionary, graph: sparse.csr_array, ends: np.ndarray) -> pd.DataFrame:
    """What the cheapest paths between regions are like.

    ends : (P, 2) regions. Returns a row per pair, nan where they are one region or not joined:
    `steps`, the `mean` and the `weakest` cosine of a step, the share of its `inner` nodes that lie
    between its ends (nan where it has none), and that of `all` other regions.
    """
    part = csgraph.connected_components(graph, directed=False)[1]
    a, b = ends.T
    joined = (a != b) & (part[a] == part[b])
    rows = [
        _facts(d, graph, *pair) if ok else [np.nan] * 5
        for pair, ok in zip(ends.tolist(), joined, strict=True)
    ]
    return pd.DataFrame(rows, columns=["steps", "mean", "weakest", "inner", "all"], dtype=float)


def _facts(d: Dictionary, graph: sparse.csr_array, a: int, b: int) -> list[float]:
    path, inside = shortest_path(graph, a, b), set(between(d, a, b).tolist())
    cosines = step_cosines(graph, path)
    within = np.mean([r in inside for r in path[1:-1]]) if len(path) > 2 else np.nan
    return [len(cosines), np.mean(cosines), min(cosines), within, len(inside) / (len(d) - 2)]


def step_cosines(graph: sparse.csr_array, path: list[int]) -> list[float]:
    """The cosine of every step of a path of m regions: m - 1 of them."""
    return [1 - graph[i, j] for i, j in pairwise(path)]


def compare_paths(
    kinds: Mapping[str, Mapping[float, Dictionary]], graphs: Graphs, ends: Tensor
) -> tuple[pd.DataFrame, dict[float, dict[str, Interval]]]:
    """Paths between the regions of the same pairs of activations, for several kinds of points.

    Parameters
    ----------
    kinds : per kind of points and percentile a dictionary; "EP" is compared with the others.
    graphs : of all of them.
    ends : (P, 2, D) unit rows, seen from the dictionaries' centre, where they are.

    Returns
    -------
    table : a row per percentile and kind; means over the pairs that are joined in every kind.
    gains : per percentile and other kind, how much more EP's inner nodes lie between the ends than
        all regions do, less the same of that kind.
    """
    rows, gains = [], {}
    for p in kinds["EP"]:
        facts = {}
        for name, kind in kinds.items():
            at = nearest(ends.flatten(0, 1), kind[p].exemplars)[0].cpu().numpy().reshape(-1, 2)
            facts[name] = path_facts(kind[p], graphs[name, p], at)
        every = np.all([f["steps"].notna() for f in facts.values()], axis=0)
        inner = np.all([f["inner"].notna() for f in facts.values()], axis=0)
        gain = {name: (f["inner"] - f["all"])[inner] for name, f in facts.items()}
        gains[p] = {
            name: bootstrap_difference(gain["EP"], gain[name]) for name in kinds if name != "EP"
        }
        for name, f in facts.items():
            bound = 1 - kinds[name][p].threshold if name == "EP" else np.nan
            row = _row(graphs[name, p], f[every], f["inner"][inner], gain[name], bound)
            rows.append({"p": p, "points": name} | row)
    return pd.DataFrame(rows).set_index(["p", "points"]), gains


def _row(
    graph: sparse.csr_array, facts: pd.DataFrame, inner: pd.Series, gain: pd.Series, bound: float
) -> dict:
    parts, part = csgraph.connected_components(graph, directed=False)
    return {
        "parts": parts, "in the largest": f"{np.bincount(part).max() / len(part):.1%}",
        "paths": len(facts), "steps": bootstrap_mean(facts["steps"]),
        "mean cosine of a step": bootstrap_mean(facts["mean"]), "1 − θ": bound,
        "weakest step": bootstrap_mean(facts["weakest"]),
        "of its inner nodes between": bootstrap_mean(inner),
        "more than of all regions": bootstrap_mean(gain),
    }  # fmt: skip


def route(
    title: str, pair: tuple[str, str], graph: sparse.csr_array, a: int, b: int,
    names: Callable[[list[int]], list[str]],
) -> Route:  # fmt: skip
    """A column of `plot_routes`: the cheapest path from a to b, or the sentence that there is none.

    pair : what a and b stand for; names : gives regions their names.
    """
    try:
        path = shortest_path(graph, a, b)
    except ValueError as error:
        return Route(title, [str(error)], [])
    title = f"{title}\n“{pair[0]}” to “{pair[1]}”"
    return Route(title, names(path), step_cosines(graph, path))
