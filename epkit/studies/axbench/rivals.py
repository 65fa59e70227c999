"""Dictionaries of one stream at equal K: the ways to choose directions that EP stands beside.

- *EP*: the leader rule, in the stream's own order and in others at the same θ.
- *EP refined*: the exemplars of each of these, then some rounds of spherical k-means.
- *k-means* (from several seeds), *ITDA* (in several orders), *random exemplars*: see `controls`.

Orders, seeds and draws are the *runs* of a kind; results are means over them.

Does not know: benchmarks, scores, results.
"""

import time
from collections.abc import Callable, Sequence

from torch import Tensor

from epkit.controls import (
    DRAWN,
    EP,
    ITDA,
    KMEANS,
    REFINED,
    itda_dictionary,
    kmeans_dictionary,
    random_dictionary,
)
from epkit.dictionary import Dictionary
from epkit.partition import partition_at, stream_order

KINDS = (EP, REFINED, KMEANS, ITDA, DRAWN)
BLOCK = 1 << 15


def make_runs(
    d: Dictionary,
    x: Tensor,
    kinds: Sequence[str] = KINDS,
    *,
    n_orders: int,
    n_draws: int,
    rounds: int = 6,
    seed: int = 0,
) -> tuple[dict[str, list[Dictionary]], dict[str, float]]:
    """{kind: its runs}, and {kind: seconds a run}; EP is always among them, without its seconds.

    All have d's K but for EP and EP refined in other orders, which have the K that θ gives.

    Parameters
    ----------
    d : EP in the stream's own order, the first run. x : (N, D) the stream it was built on.
    n_orders : runs of every kind but random exemplars, which have n_draws.
    rounds : of refinement and of k-means.
    """
    orders, here = [d], d.centre.device

    def own() -> list[Dictionary]:
        orders.extend(
            partition_at(x, d.threshold, d.centre, order=seed + i, recount=False, device=here)
            for i in range(1, n_orders)
        )
        return orders

    def each(make: Callable[[int], Dictionary], n: int = n_orders) -> list[Dictionary]:
        return [make(i) for i in range(n)]

    makers = {
        EP: own,
        REFINED: lambda: each(lambda i: orders[i].refine(x.split(BLOCK), rounds)),
        KMEANS: lambda: each(lambda i: kmeans_dictionary(d, x, seed=seed + i, rounds=rounds)),
        ITDA: lambda: each(lambda i: itda_dictionary(d, x[_order(x, seed + i)] if i else x)),
        DRAWN: lambda: each(lambda i: random_dictionary(d, x, seed=seed + i), n_draws),
    }
    runs, seconds = {}, {}
    for kind, make in makers.items():
        if kind in kinds or kind == EP:
            began = time.perf_counter()
            runs[kind] = make()
            seconds[kind] = (time.perf_counter() - began) / len(runs[kind])
    return runs, {kind: took for kind, took in seconds.items() if kind != EP}


def _order(x: Tensor, seed: int) -> Tensor:
    return stream_order(len(x), seed).to(x.device)
