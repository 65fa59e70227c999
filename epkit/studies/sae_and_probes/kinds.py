"""Dictionaries of one stream at equal K, with the true Voronoi statistics over it.

- EP in the stream's own order and in others, at the same centre and θ (so K is that of the order);
- EP refined: EP's exemplars, then some rounds of spherical k-means;
- k-means, ITDA and random exemplars: see `controls`.

Does not know: models, tokens, labels.
"""

from torch import Tensor

from epkit.calibration import Calibration
from epkit.controls import itda_dictionary, kmeans_dictionary, random_dictionary
from epkit.dictionary import Dictionary
from epkit.partition import partition
from epkit.studies.sae_and_probes import EP, ITDA, KMEANS, RANDOM, REFINED

BLOCK = 1 << 15

Kinds = dict[str, list[Dictionary]]


def equal_kinds(
    d: Dictionary, x: Tensor, *, n_orders: int, n_draws: int, rounds: int, seed: int = 0
) -> Kinds:
    """{kind: runs} at d's K.

    x : (N, D) the stream d was built on. n_orders : of EP, the stream's own among them. n_draws :
    of random exemplars. rounds : of refinement and of k-means.
    """
    return {
        EP: [d.recount(x.split(BLOCK))] + [_reordered(d, x, seed + i) for i in range(1, n_orders)],
        REFINED: [d.refine(x.split(BLOCK), rounds)],
        KMEANS: [kmeans_dictionary(d, x, seed=seed, rounds=rounds)],
        ITDA: [itda_dictionary(d, x)],
        RANDOM: [random_dictionary(d, x, seed=seed + i) for i in range(n_draws)],
    }


def _reordered(d: Dictionary, x: Tensor, seed: int) -> Dictionary:
    """EP at d's centre and threshold with the stream in another order."""
    known = Calibration(d.centre, {1: d.threshold}, len(x))
    return partition(x, [1], calibration=known, order=seed, device=d.centre.device)[1]
