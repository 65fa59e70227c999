"""How far two dictionaries agree, and how far two of one model do: cosines and memberships.

1. `checkpoint_pairs`: which dictionaries are held against which; the first is the noise floor.
2. `match_all`, `cosine_agreement`, `lost_cosine`: regions matched one to one by direction.
3. `member_agreement`: agreement of memberships, and where the members of base regions went.

Values over pairs of stream orders are given as mean, lowest and highest (`order_spread`).

Does not know: models, tokens, how the dictionaries were made.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit import matching
from epkit.matching import Matching
from epkit.stats import Interval, bootstrap_difference
from epkit.studies.base_vs_tuned.dictionaries import Reading, Sets

FLOOR, OTHER, SAME = "same model, other order", "tuned, other order", "tuned, same order"
NOISE, FRESH = "equal-sized noise, same order", "same model, other documents"
SHARED = ", shared centre"
LEAST = 5
"""Members from which on a region counts among the regions kept."""

Key = tuple[int, float, str]
"""Layer, percentile, basis of the match."""
Matches = Mapping[str, Sequence[Matching]]


def checkpoint_pairs(sets: Sets) -> dict[str, list[tuple[Reading, Reading]]]:
    """{comparison: pairs of readings} of `web_dictionaries`, every two orders or every order."""
    one, two, shared = sets["base"], sets["tuned"], sets["shared"]
    n = len(one)

    def two_orders(a, b):
        return [(a[i], b[j]) for i, j in combinations(range(n), 2)]

    random = sets["random base"], sets["random tuned"]
    return {
        FLOOR: two_orders(one, one),
        FRESH: [*zip(one, sets["fresh"], strict=True)],
        OTHER: two_orders(one, two),
        OTHER + SHARED: two_orders(one, shared),
        SAME: [*zip(one, two, strict=True)],
        SAME + SHARED: [*zip(one, shared, strict=True)],
        NOISE: [*zip(one, sets["noise"], strict=True)],
        "random exemplars, base and base": two_orders(random[0], random[0]),
        "random exemplars, base and tuned": two_orders(*random),
    }


def order_spread(values: Iterable[float]) -> Interval:
    """Mean, lowest and highest of a few values."""
    values = [float(v) for v in values]
    return Interval(float(np.mean(values)), min(values), max(values))


def brief_interval(v: Interval) -> str:
    """Two digits, and the limits where there is something between them."""
    alone = v.low == v.high
    return f"{v.value:.2f}" if alone else f"{v.value:.2f} [{v.low:.2f}, {v.high:.2f}]"


def match_all(sets: Sets, basis: str) -> dict[str, list[Matching]]:
    """Every pair of every comparison, matched by `basis`, each from its own centre."""
    return {
        name: [
            matching.match(a.dictionary, b.dictionary, basis=basis, across_centres=True)
            for a, b in pairs
        ]
        for name, pairs in checkpoint_pairs(sets).items()
    }


def cosine_agreement(found: Mapping[Key, Matches], cutoffs: Mapping[Key, float]) -> pd.DataFrame:
    """Median cosine and shares persisted: a row a (layer, p, basis, comparison).

    cutoffs : from which cosine a region persisted, of `matching.noise_cutoff`.
    """
    rows, published = [], matching.PUBLISHED_CUTOFF
    for (layer, p, basis), matches in found.items():
        cutoff = cutoffs[layer, p, basis]
        for name, ms in matches.items():
            kept = {c: order_spread(_persisted(m, c) for m in ms) for c in (cutoff, published)}
            rows.append({
                "layer": layer, "p": p, "basis": basis, "comparison": name,
                "median cosine": order_spread(m.cosines.median() for m in ms),
                "persisted ≥ cutoff": kept[cutoff],
                "cutoff": cutoff,
                "persisted ≥ .7": kept[published],
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["layer", "p", "basis", "comparison"])


def _persisted(m: Matching, cutoff: float) -> float:
    return len(m.persisted(cutoff)) / _n_regions(m)


def _n_regions(m: Matching) -> int:
    """Regions of dictionary a."""
    return len(m.pairs) + len(m.unmatched_a)


def lost_cosine(found: Mapping[Key, Matches]) -> pd.DataFrame:
    """Cosine lost to the fine-tune beyond the floor, a row a (layer, p, basis): Intervals.

    For every region of the base its matched cosine with the base in another order less that with
    the tuned model in the same other order; regions that one of the two leaves over are left out.
    """
    rows = []
    for (layer, p, basis), matches in found.items():
        row = {"layer": layer, "p": p, "basis": basis}
        for label, name in (("own centres", OTHER), ("shared centre", OTHER + SHARED)):
            floor, other = (torch.cat([_by_region(m) for m in matches[n]]) for n in (FLOOR, name))
            both = ~(floor.isnan() | other.isnan())
            row[label] = bootstrap_difference(floor[both], other[both], draws=2000)
        rows.append(row)
    return pd.DataFrame(rows).set_index(["layer", "p", "basis"])


def _by_region(m: Matching) -> Tensor:
    """Matched cosine of every region of a: (K_a,), nan where it has no partner."""
    cosines = torch.full((_n_regions(m),), torch.nan, device=m.cosines.device)
    cosines[m.pairs[:, 0]] = m.cosines
    return cosines


def member_agreement(made: Mapping[tuple[int, float], Sets]) -> pd.DataFrame:
    """Agreement of memberships and fates of base regions, a row a (layer, p, comparison)."""
    rows = [
        {"layer": layer, "p": p, "comparison": name} | _memberships(pairs)
        for (layer, p), sets in made.items()
        for name, pairs in checkpoint_pairs(sets).items()
    ]
    return pd.DataFrame(rows).set_index(["layer", "p", "comparison"])


def _memberships(pairs: Sequence[tuple[Reading, Reading]]) -> dict[str, object]:
    tables = [matching.contingency(a, b, len(d), len(e)) for (d, a), (e, b) in pairs]
    frames = [matching.fates(table) for table in tables]
    shares = [frame.groupby("fate").members.sum() / frame.members.sum() for frame in frames]
    regions = [frame[frame.members >= LEAST] for frame in frames]
    agreement = (matching.adjusted_mutual_information(a.region, b.region) for a, b in pairs)
    return {
        "AMI": order_spread(agreement),
        f"regions kept (N ≥ {LEAST})": order_spread(
            (frame.fate == "kept").mean() for frame in regions
        ),
    } | {
        fate: np.mean([share.get(fate, 0) for share in shares])
        for fate in ("kept", "merged", "split", "dissolved")
    }
