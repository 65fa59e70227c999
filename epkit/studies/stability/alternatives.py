"""Other ways to as many directions, and whether their regions come again on other documents.

1. `alternatives`: of one part of the activations, at equal K, several runs each of *EP* (orders at
   one θ), *EP refined* (each order's exemplars, then rounds of spherical k-means), *k-means*
   (seeds), *ITDA* (orders) and *random exemplars* (draws); see `epkit.controls`.
2. `compare_alternatives`: runs of a part with one another, and with those of the other part.
3. `stability_table`: what comes again by kind, with its difference from random exemplars;
   `stability_rows`: the same as the table over all notebooks keeps it.

Intervals are Student's over pairs of parts. No document is in two parts (`disjoint_pairs`), so the
pairs are independent given what all share: centre, θ and the held-out activations. Resampling
halvings of the same documents would not be: their training sets overlap, and the variance between
them understates what another corpus would do (Nadeau and Bengio 2003, Inference for the
generalization error).

Does not know: models, tokens, how concepts are detected.
"""

import pandas as pd
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
from epkit.matching import adjusted_mutual_information
from epkit.partition import partition_at
from epkit.plots.criteria import criterion_row
from epkit.stats import minimum_detectable, t_interval
from epkit.studies.stability.recurrence import recurrence, refound
from epkit.studies.stability.splits import BLOCK, Pairs, permuted

REFOUND, AGREEMENT, MEANS = "regions refound", "agreement", "means"
AGAIN, OTHER = "another order or seed", "other documents"


def alternatives(
    part: Tensor,
    threshold: float,
    centre: Tensor,
    *,
    n_orders: int,
    n_draws: int,
    rounds: int,
    seed: int = 0,
) -> dict[str, list[Dictionary]]:
    """Runs of every kind on activations (n, D), recounted over them.

    Every run has the K of an order of EP: as many orders, seeds of k-means and orders of ITDA as
    `n_orders`, draws of random exemplars as `n_draws`.
    """
    ep = [partition_at(part, threshold, centre, order=seed + i) for i in range(n_orders)]
    return {
        EP: ep,
        REFINED: [d.refine(part.split(BLOCK), rounds) for d in ep],
        KMEANS: [
            kmeans_dictionary(d, part, seed=seed + i, rounds=rounds) for i, d in enumerate(ep)
        ],
        ITDA: [itda_dictionary(d, permuted(part, seed + i)) for i, d in enumerate(ep)],
        DRAWN: [random_dictionary(ep[i % n_orders], part, seed=seed + i) for i in range(n_draws)],
    }


def compare_alternatives(
    x: Tensor, pairs: Pairs, fresh: Tensor, threshold: float, centre: Tensor, **options: int
) -> pd.DataFrame:
    """How alike runs are, on the activations `fresh` (m, D) that none was built on.

    A row per pair of parts, kind and two runs: the first run of a part with each other run of it
    ("another order or seed"), or run i of part A with run i of part B ("other documents"). Columns
    pair, dictionary, compared with, K, `REFOUND`, `AGREEMENT` (adjusted mutual information of the
    two partitions), `MEANS` (mean cosine of means matched one to one), and `chance`: regions
    refound when the second run's memberships are shuffled. options : of `alternatives`.
    """
    rows = []
    for s, both in enumerate(pairs):
        made = [
            alternatives(x[part.to(x.device)], threshold, centre, seed=100 * s + 50 * i, **options)
            for i, part in enumerate(both)
        ]
        for kind in made[0]:
            a, b = ([(d, d.assign(fresh)[0]) for d in of[kind]] for of in made)
            compared = [(AGAIN, a[0], other) for other in a[1:]]
            compared += [(OTHER, one, two) for one, two in zip(a, b, strict=True)]
            key = {"pair": s, "dictionary": kind}
            rows += [key | {"compared with": w} | _alike(*c) for w, *c in compared]
    return pd.DataFrame(rows)


def _alike(one: tuple[Dictionary, Tensor], two: tuple[Dictionary, Tensor]) -> dict[str, float]:
    """Two runs, each with the regions of the held-out activations."""
    (a, of_a), (b, of_b) = one, two
    return {
        "K": len(a), REFOUND: refound(of_a, of_b, len(a), len(b)),
        AGREEMENT: adjusted_mutual_information(of_a, of_b),
        MEANS: recurrence(a, b, "mean").mean().item(),
        "chance": refound(of_a, permuted(of_b, 0), len(a), len(b)),
    }  # fmt: skip


def stability_table(compared: pd.DataFrame) -> pd.DataFrame:
    """What comes again, a row a kind, indexed by what is compared and dictionary.

    Columns K; `REFOUND` and `AGREEMENT` as `Interval`s over pairs of parts (runs of a pair
    averaged); "more refound" and "more agreement" than random exemplars, paired; and
    "detectable", the least difference in `REFOUND` that would have been shown (power .8).
    """
    keys = ["compared with", "dictionary"]
    by_pair = compared.groupby([*keys, "pair"]).mean()
    rows = []
    # all of one comparison first, kinds as they came
    order = compared[keys].drop_duplicates().sort_values(keys[0], kind="stable")
    for with_, kind in order.itertuples(index=False):
        own, drawn = by_pair.loc[with_, kind], by_pair.loc[with_, DRAWN]
        row = {"compared with": with_, "dictionary": kind, "K": round(own.K.mean())}
        for score, gain in ((REFOUND, "more refound"), (AGREEMENT, "more agreement")):
            row[score] = t_interval(own[score])
            row[gain] = None if kind == DRAWN else t_interval(own[score] - drawn[score])
        of_gain = row["more refound"]
        row["detectable"] = minimum_detectable(of_gain) if of_gain else float("nan")
        rows.append(row)
    return pd.DataFrame(rows).set_index(["compared with", "dictionary"])


def gain_over(compared: pd.DataFrame, kind: str, over: str, score: str = REFOUND):
    """How much more often regions come again on other documents, kind less `over`: `Interval`."""
    of = compared[compared["compared with"] == OTHER].groupby(["dictionary", "pair"])[score].mean()
    return t_interval(of[kind] - of[over])


def stability_rows(table: pd.DataFrame, compared: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Regions refound on other documents (criterion "stability"), and agreement of partitions."""
    rows = []
    for criterion, score in (("stability", REFOUND), ("agreement of partitions", AGREEMENT)):
        for kind, interval in table.loc[OTHER, score].items():
            gain = None if kind == DRAWN else gain_over(compared, str(kind), DRAWN, score)
            least = minimum_detectable(gain) if gain else float("nan")
            rows.append(criterion_row(criterion, str(kind), interval, least, setting))
    return pd.DataFrame(rows)
