"""Which regions of a dictionary have no counterpart in another model's.

1. `missing_counterpart` scores every region, from similarities of `matching` (`cosines` or
   `jaccard`); `region_similarities` has them for a dictionary and several others.
2. `region_examples`: regions that persisted, were dropped, were introduced; `commonest_labels`.
3. `region_scores`, `refusal_ranks`: how far up the refusal region stands among all regions, and how
   probable that is by chance (`stats.rank_test`).

Does not know: models, how the dictionaries were made, what a refusal is.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit import matching
from epkit.controls import matched_regions
from epkit.dictionary import Dictionary
from epkit.stats import Rank, bootstrap_mean, rank_test
from epkit.studies.base_vs_tuned.dictionaries import Reading, Sets
from epkit.studies.base_vs_tuned.final_tokens import (
    FEWEST,
    FINAL,
    Kind,
    OnPrompts,
    RefusalRegions,
    kind_label,
)
from epkit.studies.base_vs_tuned.tokens import commonest_tokens

SIMILARITIES = ("members", "cosine of means")
CENTRES = {"tuned": "own", "shared": "shared"}
GROUPS = ("all", f"N ≥ {FEWEST}", "20 like it")
"""Regions with which the refusal region is compared."""
N_LIKE = 20


def missing_counterpart(to_base: Sequence[Tensor], to_itself: Sequence[Tensor] = ()) -> Tensor:
    """How much every region of a dictionary lacks a counterpart in another model: (K,) float64.

    The best match counts, not the assigned one: a region whose counterpart was paired with another
    region is not new.

    Parameters
    ----------
    to_base : similarities (K_base, K), by `cosines` or `jaccard`, to one or more dictionaries of
        the base (stream orders); their best matches are averaged.
    to_itself : the same to other dictionaries of the region's *own* model. Without any the score is
        1 − best match in the base, and a region that no order finds again counts as new. With them
        it is best match in the own model − best match in the base: new is what recurs here and is
        not there.

    Raises
    ------
    ValueError : no dictionary of the base, or similarities that are not over the same K regions.
    """
    if not to_base or len({table.shape[1] for table in (*to_base, *to_itself)}) > 1:
        raise ValueError("similarities to the base are needed, with a column per region in each")
    here = mean_best(to_itself) if to_itself else 1.0
    return here - mean_best(to_base)


def mean_best(tables: Sequence[Tensor]) -> Tensor:
    """Best match of every region (K,) float64, averaged over tables (K_i, K) of similarities."""
    return torch.stack([table.double().max(0).values for table in tables]).mean(0)


def region_similarities(
    of: Reading, others: Sequence[Reading], by: str = "members"
) -> list[Tensor]:
    """Similarities (K_i, K) of the regions of other readings to those of one, on the CPU.

    by : "members" (Jaccard overlap, of readings of the same activations) or "cosine of means".
    """
    if by == "members":
        k = len(of.dictionary)
        tables = (matching.contingency(r, of.region, len(d), k) for d, r in others)
        return [matching.jaccard(table) for table in tables]
    return [matching.cosines(d, of.dictionary, "mean", across_centres=True) for d, _ in others]


def region_examples(
    sets: Sets, tokens: Tensor, tokenizer, *, n: int = 5, least: int = 20
) -> pd.DataFrame:
    """The n regions of `least` members or more that persisted, were dropped, were introduced most.

    sets : of `web_dictionaries`; the first order is shown, the others say what recurs. Overlaps are
    means over them. tokens (N,): the ids of what the dictionaries read.
    """
    found = []
    for own, other, kinds in (
        ("base", "tuned", ("persisted", "dropped")), ("tuned", "base", ("introduced",)),
    ):  # fmt: skip
        (mine, *again), (_, *others) = sets[own], sets[other]
        there = region_similarities(mine, others)
        recurs, best = mean_best(region_similarities(mine, again)), mean_best(there)
        for kind in kinds:
            score = torch.minimum(recurs, best) if kind == "persisted" else recurs - best
            score = torch.where(mine.dictionary.counts.cpu() >= least, score, -torch.inf)
            for k in score.topk(n).indices.tolist():
                partner = int(there[0][:, k].argmax())
                chosen = mine.region == k, others[0].region == partner
                said = [commonest_tokens(tokenizer, tokens[members], 6) for members in chosen]
                found.append({
                    "": kind, "region": k, "members": int(mine.dictionary.counts[k]),
                    "recurs": recurs[k].item(), "in the other": best[k].item(),
                    "commonest member tokens": said[0], "best counterpart's tokens": said[1],
                })  # fmt: skip
    return pd.DataFrame(found)


def commonest_labels(own: Reading, tokens: Tensor, tokenizer) -> list[str]:
    """Every region's number and its members' commonest tokens: K strings; tokens (N,) ids."""
    held = [tokens[own.region == k] for k in range(len(own.dictionary))]
    return [
        f"{k}: {commonest_tokens(tokenizer, ids)}" if len(ids) else str(k)
        for k, ids in enumerate(held)
    ]


class RegionScores(NamedTuple):
    """Scores {name: (K,) float64} of all regions of a dictionary, and which one is looked for."""

    dictionary: Dictionary
    region: int
    scores: dict[str, Tensor]


def region_scores(
    on_prompts: OnPrompts, region_of: RefusalRegions
) -> dict[tuple[int, Kind, str, str], list[RegionScores]]:
    """{(layer, kind, checkpoint, similarity): missing counterparts of all regions, per order}.

    Where the tuned model has its region in every order. Scores "plain" (base of the same order) and
    "recurring" (base and own model in the other orders).
    """
    found = {}
    for (layer, kind, name), regions in region_of.items():
        for by in SIMILARITIES if None not in regions else ():
            base, own = (on_prompts[layer, kind][which] for which in ("base", name))
            found[layer, kind, name, by] = [
                RegionScores(own[o].dictionary, k, _scores(own, base, o, by))
                for o, k in enumerate(regions)
            ]
    return found


def _scores(own: Sequence[Reading], base: Sequence[Reading], o: int, by: str) -> dict[str, Tensor]:
    to_base = region_similarities(own[o], base, by)
    to_itself = region_similarities(own[o], all_but(own, o), by)
    return {
        "plain": missing_counterpart(to_base[o : o + 1]),
        "recurring": missing_counterpart(all_but(to_base, o), to_itself),
    }


def all_but(values: Sequence, o: int) -> list:
    """All but the o-th."""
    return [*values[:o], *values[o + 1 :]]


def refusal_ranks(
    scored: Mapping[tuple[int, Kind, str, str], Sequence[RegionScores]],
) -> pd.DataFrame:
    """Rank of the region among `GROUPS` (median over orders) and its p (mean, 95 % bootstrap).

    A row a (layer, dictionary, centre, similarity, score). Final positions have too few regions to
    find 20 alike.
    """
    rows = []
    for (layer, kind, name, by), orders in scored.items():
        groups = [_compared(one, kind) for one in orders]
        for score in orders[0].scores:
            row = {
                "layer": layer, "dictionary": kind_label(kind), "centre": CENTRES[name],
                "similarity": by, "score": score,
            }  # fmt: skip
            for group in groups[0]:
                pairs = zip(orders, groups, strict=True)
                ranks = [rank_test(o.scores[score], o.region, among[group]) for o, among in pairs]
                row |= _summary(group, ranks)
            rows.append(row)
    index = ["layer", "dictionary", "centre", "similarity", "score"]
    return pd.DataFrame(rows).set_index(index).sort_index()


def _compared(one: RegionScores, kind: Kind) -> dict[str, Tensor | None]:
    """{group: regions to compare with}, None for all."""
    counts = one.dictionary.counts.cpu()
    among = [None, (counts >= FEWEST).nonzero()[:, 0]]
    if kind != FINAL:
        among.append(matched_regions(one.dictionary, one.region, n=N_LIKE).cpu())
    return dict(zip(GROUPS, among, strict=False))


def _summary(group: str, ranks: Sequence[Rank]) -> dict[str, object]:
    rank, n = np.median([(r.rank, r.n) for r in ranks], axis=0)
    return {
        f"{group}: rank": f"{rank:g} of {n:g}",
        f"{group}: p": bootstrap_mean([r.p for r in ranks], draws=2000),
    }
