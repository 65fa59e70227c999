"""Is the region in which a taught habit acts found, by how much regions of the base moved?

1. `sought`: the region with the most tokens at the habit's place; its rank by a score among all
   regions (`stats.rank_test`: the exact permutation test, which is 1 / n at least); and what it
   would have taken to be among the highest twentieth.
2. `choose_score`: layer, percentile and score, on one half of one pair.
3. `sought_table`: the same elsewhere, for every habit and for one that this model was not taught.

Does not know: models, how activations were made.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from epkit.stats import rank_test
from epkit.studies.base_vs_tuned.membership import (
    SCORES,
    Membership,
    region_changes,
)
from epkit.studies.base_vs_tuned.rows import Rows

ALPHA = 0.05


class Sought(NamedTuple):
    """A region looked for.

    region, members; share: of its members that stand at the place. rank of n by the score, p =
    rank / n. value: its score; needed: the score of the last region among the highest twentieth.
    """

    region: int
    members: int
    share: float
    rank: int
    n: int
    p: float
    value: float
    needed: float


def sought(m: Membership, rows: Rows, which: int, place: str, score: str) -> Sought:
    """Look for the habit that acts at `place` in one half. Raises ValueError where no region of
    that half with members enough holds a token of the place."""
    changes = region_changes(m, rows.half, which)
    there = m.counts((rows.half == which) & rows.at(place)).numpy()[changes.index]
    if not there.any():
        raise ValueError(f"no region of half {which} holds tokens at the place '{place}'")
    i, scores = int(there.argmax()), changes[score].to_numpy()
    rank, members = rank_test(scores, i), int(changes.members.iloc[i])
    return Sought(
        region=int(changes.index[i]), members=members, share=float(there[i] / members),
        rank=rank.rank, n=rank.n, p=rank.p, value=float(scores[i]),
        needed=float(np.sort(scores)[-max(1, int(ALPHA * rank.n))]),
    )  # fmt: skip


class Choice(NamedTuple):
    """What was chosen on one half of one pair."""

    layer: int
    p: float
    score: str


def choose_score(
    found: Mapping[tuple[int, float], Membership], rows: Rows, which: int, place: str
) -> tuple[pd.DataFrame, Choice]:
    """Every layer, percentile and score on one half.

    The score with the lowest mean p over all dictionaries is chosen, then the dictionary where its
    p is lowest (ties: the first). Among ranks of 1 that is the one with the most regions.
    """
    table = pd.DataFrame([
        {"layer": layer, "p": p, "score": score, "rank": f"{s.rank} of {s.n}",
         "p of the rank": s.p, "share at the place": s.share}
        for (layer, p), m in found.items() for score in SCORES
        for s in [sought(m, rows, which, place, score)]
    ])  # fmt: skip
    score = table.groupby("score", sort=False)["p of the rank"].mean().idxmin()
    best = table.loc[table[table.score == score]["p of the rank"].idxmin()]
    return table, Choice(int(best.layer), float(best.p), score)


def sought_table(
    looked: Iterable[tuple[str, str, int, str]],
    memberships: Mapping[str, Membership],
    rows: Rows,
    score: str,
) -> pd.DataFrame:
    """A row for every (taught, what is looked for, half, place) by the chosen score.

    memberships : {taught: of the chosen layer and percentile}.
    """
    found = []
    for taught, habit, which, place in looked:
        s = sought(memberships[taught], rows, which, place, score)
        found.append(
            {"taught": taught, "looked for": habit, "half": "BA"[which == 0]} | s._asdict()
        )
    return pd.DataFrame(found)
