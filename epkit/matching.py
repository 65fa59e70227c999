"""Matching two dictionaries: which region of one is which of the other, and which are new.

Two ways, for two questions.

1. By direction: `match` pairs regions one to one so that the sum of the cosines between their
   exemplars (or means) is greatest (scipy's assignment; Crouse 2016). It needs nothing but the two
   dictionaries. What a matched cosine is worth only the *noise floor* says: the cosines of two
   dictionaries of the same model from other stream orders. `noise_cutoff` takes the cutoff there.
2. By members: where both dictionaries partition the same tokens, `contingency` counts who went
   where, `fates` reads from it which regions were kept, merged, split or dissolved (after the
   transitions of Spiliopoulou et al. 2006), `jaccard` how alike two sets of members are.

`between` is geometry inside one dictionary: the regions that lie between two others.

Does not know: models, tokens, text, files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_mutual_info_score
from torch import Tensor

from epkit import checks
from epkit.dictionary import Dictionary
from epkit.geometry import distances, full_precision

BASES = {"exemplar": "exemplars", "mean": "means"}

PUBLISHED_CUTOFF = 0.7
"""From which cosine on Rumbelow (2026) calls a matched region persisted."""

MAJORITY = 0.5
"""A region goes to another when more than this share of its members does."""


# ---- by direction -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Matching:
    """Regions of dictionary a paired with regions of dictionary b, each at most once.

    pairs : (M, 2) int64, region of a and of b, ascending in a; M = min(K_a, K_b).
    cosines : (M,) float32, of the paired directions.
    unmatched_a, unmatched_b : int64, the regions left over; one of the two is empty.
    basis : "exemplar" or "mean".
    """

    pairs: Tensor
    cosines: Tensor
    unmatched_a: Tensor
    unmatched_b: Tensor
    basis: str

    def persisted(self, cutoff: float) -> Tensor:
        """The pairs whose cosine is at least `cutoff`: (P, 2)."""
        cutoff = checks.number("cutoff", cutoff)
        return self.pairs[self.cosines >= cutoff]

    def dropped(self, cutoff: float) -> Tensor:
        """Regions of a without a partner at `cutoff`, ascending."""
        cutoff = checks.number("cutoff", cutoff)
        return torch.cat([self.pairs[self.cosines < cutoff, 0], self.unmatched_a]).sort().values

    def introduced(self, cutoff: float) -> Tensor:
        """Regions of b without a partner at `cutoff`, ascending."""
        cutoff = checks.number("cutoff", cutoff)
        return torch.cat([self.pairs[self.cosines < cutoff, 1], self.unmatched_b]).sort().values


def cosines(
    a: Dictionary, b: Dictionary, basis: str = "exemplar", *, across_centres: bool = False
) -> Tensor:
    """All cosines between the regions of two dictionaries: (K_a, K_b) float32 on the CPU.

    Parameters
    ----------
    basis : "exemplar" (one observed activation each) or "mean" (of the members).
    across_centres : compare dictionaries with different centres. A cosine is then one between what
        sets a region apart from *its own* model's centre, and no longer one between activations in
        one frame: the same activation has two directions, and 1 is not to be expected.

    Raises
    ------
    ValueError : no regions, another dimension, another centre without `across_centres`, or no such
        basis.
    """
    checks.instance("a", a, Dictionary)
    checks.instance("b", b, Dictionary)
    checks.one_of("basis", basis, BASES)
    across_centres = checks.flag("across_centres", across_centres)
    if not len(a) or not len(b):
        raise ValueError(f"cannot match {len(a)} regions with {len(b)}: a dictionary is empty")
    if len(a.centre) != len(b.centre):
        raise ValueError(
            f"the dictionaries have {len(a.centre)} and {len(b.centre)} dimensions: directions of "
            "different models cannot be compared; match them by members (contingency)"
        )
    if not across_centres and not _same_centre(a, b):
        raise ValueError(
            "the dictionaries have different centres, so a cosine compares directions as each is "
            "seen from its own centre: build both with one centre (calibrate(..., centre=...)), or "
            "pass across_centres=True to mean that"
        )
    u, v = (getattr(d, BASES[basis]).to(a.exemplars.device) for d in (a, b))
    with full_precision():
        return (u @ v.T).clamp_(-1, 1).cpu()


def _same_centre(a: Dictionary, b: Dictionary) -> bool:
    c, d = a.centre.cpu().double(), b.centre.cpu().double()
    return bool((c - d).norm() <= 1e-6 * torch.maximum(c.norm(), d.norm()))


def match(
    a: Dictionary, b: Dictionary, *, basis: str = "exemplar", across_centres: bool = False
) -> Matching:
    """Pair the regions of two dictionaries so that the sum of the pairs' cosines is greatest.

    Parameters and errors as for `cosines`. Time grows with K³ (a second at 2,000 regions), memory
    with K_a·K_b.
    """
    similarity = cosines(a, b, basis, across_centres=across_centres)
    row, column = (torch.from_numpy(x) for x in linear_sum_assignment(-similarity.numpy()))
    return Matching(
        pairs=torch.stack([row, column], dim=1),
        cosines=similarity[row, column],
        unmatched_a=_others(row, len(a)),
        unmatched_b=_others(column, len(b)),
        basis=basis,
    )


def _others(regions: Tensor, k: int) -> Tensor:
    left = torch.ones(k, dtype=torch.bool)
    left[regions] = False
    return left.nonzero()[:, 0]


def noise_cutoff(floor: Sequence[Matching], quantile: float = 0.05) -> float:
    """The cutoff below which only the share `quantile` of same-model pairs falls.

    floor : matchings of dictionaries of one model from other stream orders or other text; all
        their matched cosines are pooled, and their `quantile` (linear interpolation) is returned.
        A pair of other models below it is further apart than order alone makes 1 − `quantile` of
        the pairs; at the default, 5 % of regions would be called dropped though nothing changed.

    Raises
    ------
    ValueError : no matching, or a quantile outside (0, 1).
    """
    for matching in checks.several("floor", floor):
        checks.instance("each matching of floor", matching, Matching)
    quantile = checks.number("quantile", quantile, 0, 1, open_low=True, open_high=True)
    pooled = torch.cat([matching.cosines for matching in floor])
    return float(np.quantile(pooled.double().numpy(), quantile))


# ---- by members ---------------------------------------------------------------------------------


def contingency(region_a: Tensor, region_b: Tensor, k_a: int, k_b: int) -> Tensor:
    """How many activations lie in region i of a and region j of b: (K_a, K_b) int64 on the CPU.

    Parameters
    ----------
    region_a, region_b : (N,) int64, regions of the same activations (of `Dictionary.assign`), row
        by row: the same tokens of two models, say.
    k_a, k_b : regions of the dictionaries; without members they give a row or column of zeros.

    Raises
    ------
    ValueError : different lengths, none at all, or a region outside 0 … k − 1.
    """
    region_a, region_b = _memberships(region_a, region_b)
    k_a, k_b = checks.whole("k_a", k_a, 1, 1 << 24), checks.whole("k_b", k_b, 1, 1 << 24)
    if k_a * k_b > 1 << 33:
        raise ValueError(f"k_a times k_b is {k_a * k_b:,} pairs, more than a table can hold")
    for name, region, k in (("a", region_a, k_a), ("b", region_b, k_b)):
        if int(region.min()) < 0 or int(region.max()) >= k:
            raise ValueError(
                f"region_{name} is outside 0 … k_{name} − 1 = {k - 1}: is it of this dictionary?"
            )
    return torch.bincount(region_a * k_b + region_b, minlength=k_a * k_b).view(k_a, k_b)


def _memberships(region_a: Tensor, region_b: Tensor) -> tuple[Tensor, Tensor]:
    """Two lists of the regions of the same activations, on the CPU."""
    region_a = checks.whole_tensor("region_a", region_a, 1).cpu().long()
    region_b = checks.whole_tensor("region_b", region_b, 1).cpu().long()
    if region_a.shape != region_b.shape:
        raise ValueError(
            "region_a and region_b must be memberships of the same activations, got "
            f"{len(region_a)} and {len(region_b)}"
        )
    if not len(region_a):
        raise ValueError(
            "region_a and region_b hold no memberships: assign at least one activation"
        )
    return region_a, region_b


def adjusted_mutual_information(region_a: Tensor, region_b: Tensor) -> float:
    """How much two partitions of the same activations agree: 1 the same, 0 as by chance.

    region_a, region_b: (N,). Chance is over partitions with the same region sizes (Vinh et al.
    2010; scikit-learn, arithmetic mean of the entropies).
    """
    region_a, region_b = _memberships(region_a, region_b)
    return float(adjusted_mutual_info_score(region_a.numpy(), region_b.numpy()))


def jaccard(table: Tensor) -> Tensor:
    """Common members / members of either, of all pairs: (K_a, K_b) counts -> (K_a, K_b) float64."""
    table = _counts(table).double()
    union = table.sum(1, keepdim=True) + table.sum(0, keepdim=True) - table
    return table / union.clamp(min=1)


def _counts(table: Tensor) -> Tensor:
    """A table of counts, K_a and K_b >= 1."""
    table = checks.whole_tensor("table", table, 2)
    if not table.numel() or int(table.min()) < 0:
        raise ValueError(f"table must hold counts of at least 0, got {checks.shown(table)}")
    return table


def fates(table: Tensor) -> pd.DataFrame:
    """Where every region's members went, from a (K_a, K_b) `contingency`.

    One row per region of a: `members`; `into`, the region of b with the most of them (ties: lowest
    index); `there`, the share of its members in it; `back`, the share of that region's members
    that come from here; `parts`, regions of b more than half of whose members come from here;
    `fate`, the first that holds:

    - empty: it has no members here;
    - kept: more than half of its members are in one region of b, more than half of which they are;
    - merged: more than half are in one region of b, most of which comes from elsewhere;
    - split: the regions of b that come mostly from here hold more than half of its members;
    - dissolved: none of these.

    With the transposed table: where the members of every region of b came from.
    """
    counts = _counts(table).cpu().double()
    members, sizes = counts.sum(1), counts.sum(0)
    into = counts.argmax(1)
    there = counts.gather(1, into[:, None])[:, 0] / members.clamp(min=1)
    back = counts.gather(1, into[:, None])[:, 0] / sizes[into].clamp(min=1)
    mine = counts > MAJORITY * sizes
    in_parts = torch.where(mine, counts, 0).sum(1)
    fate = np.select(
        [
            members == 0,
            (there > MAJORITY) & (back > MAJORITY),
            there > MAJORITY,
            in_parts > MAJORITY * members,
        ],
        ["empty", "kept", "merged", "split"],
        "dissolved",
    )
    columns = {"members": members.long(), "into": into, "there": there, "back": back}
    columns |= {"parts": mine.sum(1)}
    frame = pd.DataFrame({name: value.numpy() for name, value in columns.items()})
    return frame.assign(fate=fate).rename_axis("region")


# ---- inside one dictionary ----------------------------------------------------------------------


def between(dictionary: Dictionary, a: int, b: int, *, basis: str = "exemplar") -> Tensor:
    """Regions that lie between two regions, those nearest to a first (ties: lowest index).

    C lies between A and B iff d(A, C) < d(A, B) and d(B, C) < d(A, B), in cosine distance
    (Rumbelow 2026). Returns (M,) int64.

    Raises
    ------
    ValueError : no such region, a and b the same, or no such basis.
    """
    checks.instance("dictionary", dictionary, Dictionary)
    checks.one_of("basis", basis, BASES)
    a, b = (checks.whole(name, r, 0, len(dictionary) - 1) for name, r in (("a", a), ("b", b)))
    if a == b:
        raise ValueError(f"nothing lies between region {a} and itself")
    u = getattr(dictionary, BASES[basis])
    from_a, from_b = distances(u[[a, b]], u)
    inside = (from_a < from_a[b]) & (from_b < from_a[b])
    inside[[a, b]] = False
    found = inside.nonzero()[:, 0]
    return found[from_a[found].sort(stable=True).indices]
