"""The kinds of dictionaries that are compared: EP's, random exemplars, made-up directions.

A kind is {percentile: dictionary}, all with as many exemplars and seen from the same centre.

Does not know: models, words, what is measured on them.
"""

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from torch import Tensor

from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.geometry import nearest
from epkit.studies.neighbourhoods.neighbours import made_up_like, neighbour_graph

EP, RANDOM, MADE_UP = "EP", "random exemplars", "made-up directions"

Kind = Mapping[float, Dictionary]


def compared_kinds(
    ep: Kind, x: Tensor, u: Tensor, recounted: float, *, seed: int = 0
) -> dict[str, Kind]:
    """EP's dictionaries and their controls at equal K.

    Parameters
    ----------
    ep : what is to be compared.
    x, u : (N, D) activations, and their directions.
    recounted : the percentile at which the random exemplars get the statistics of their members.
    """
    random = {p: random_dictionary(d, x, seed=seed, recount=p == recounted) for p, d in ep.items()}
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
