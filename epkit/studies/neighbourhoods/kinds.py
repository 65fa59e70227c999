"""The kinds of dictionaries that are compared: EP's, random exemplars, made-up directions.

A kind is {percentile: dictionary}, all with as many exemplars and seen from the same centre.

Does not know: models, words, what is measured on them.
"""

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from torch import Tensor

from epkit.blocks.nearest import nearest
from epkit.calibration import Calibration
from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.partition import partition
from epkit.studies.neighbourhoods.excess import Between, share_between
from epkit.studies.neighbourhoods.neighbours import (
    directions_like,
    made_up_like,
    neighbour_graph,
)

EP, RANDOM, MADE_UP = "EP", "random exemplars", "made-up directions"

Kind = Mapping[float, Dictionary]


def compared_kinds(ep: Kind, x: Tensor, u: Tensor, *, seed: int = 0) -> dict[str, Kind]:
    """EP's dictionaries and their controls at equal K.

    ep : what is to be compared. x, u : (N, D) activations, and their directions.
    """
    random = {p: random_dictionary(d, x, seed=seed) for p, d in ep.items()}
    return {EP: ep, RANDOM: random, MADE_UP: made_up_like(ep, u, seed=seed)}


def regions_by_kind(kinds: Mapping[str, Kind], u: Tensor) -> dict[str, dict[float, np.ndarray]]:
    """The nearest region of every direction (N, D), (N,) on the CPU, where exemplars are observed.

    Regions are looked up where `u` is, and leave the device as numbers.
    """
    return {
        name: {p: nearest(u, d.exemplars)[0].cpu().numpy() for p, d in kinds[name].items()}
        for name in (EP, RANDOM)
    }


def graphs_by_kind(kinds: Mapping[str, Kind]) -> dict[tuple[str, float], sparse.csr_array]:
    """`neighbour_graph` of every kind at every percentile."""
    return {
        (name, p): neighbour_graph(d.exemplars)
        for name, kind in kinds.items()
        for p, d in kind.items()
    }


def runs_by_kind(
    ep: Kind, x: Tensor, n_orders: int, n_draws: int, *, seed: int = 0
) -> dict[float, dict[str, list[Dictionary]]]:
    """Per percentile and kind with members several runs, all recounted over the stream x (N, D).

    EP in the stream's own order, as given, and in others at the same centre and thresholds; random
    exemplars, as many as the given dictionary has, in n_draws draws.
    """
    some = next(iter(ep.values()))
    given = Calibration(some.centre.cpu(), {p: d.threshold for p, d in ep.items()}, len(x))
    device = some.exemplars.device
    again = [
        partition(x, list(ep), order=seed + i, calibration=given, device=device)
        for i in range(1, n_orders)
    ]
    return {
        p: {
            EP: [d.recount(x), *(found[p] for found in again)],
            RANDOM: [random_dictionary(d, x, seed=seed + i) for i in range(n_draws)],
        }
        for p, d in ep.items()
    }


def between_by_kind(
    runs: Mapping[float, Mapping[str, list[Dictionary]]], basis: str, *, seed: int = 0
) -> dict[float, dict[str, list[Between]]]:
    """`share_between` of every run, by "exemplars" or "means"; regions without members left out.

    With made-up directions, as many as the first run of EP has points, drawn with their mean and
    covariance: one for every draw of random exemplars.
    """
    found = {}
    for p, kinds in runs.items():
        points = {
            name: [getattr(d, basis)[d.counts > 0] for d in some] for name, some in kinds.items()
        }
        first = points[EP][0]
        points[MADE_UP] = [
            directions_like(first, len(first), seed=seed + i) for i in range(len(kinds[RANDOM]))
        ]
        found[p] = {name: [share_between(u) for u in some] for name, some in points.items()}
    return found
