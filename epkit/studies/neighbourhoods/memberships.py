"""Memberships: what the regions that activations lie in say, without a look at any direction.

- Splits: where the members of a coarse region lie in finer dictionaries of the same stream, and
  how purely fine regions lie in coarse ones.
- Agreement: the chance that a member of one region and a member of another have a trait in common.
  Purity and agreement are means over pairs of members, so that, unlike counts of what two regions
  have in common, they do not grow or shrink with the size of regions.

Does not know: directions, models, tokenizers. Regions and traits are whole numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor

REST = -1
"""In a `Flow`, the place of all regions that are not shown one by one."""


# ---- splits -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Flow:
    """Where the members of one coarse region lie at finer and finer levels.

    Attributes
    ----------
    regions : per level, the regions shown; the last can be `REST`, which stands for all others.
    members : per level, (R,) how many of the root's members each of them holds.
    links : per step from a level to the next, (R, R') how many go from one to the other.
    rest : per level, how many regions `REST` stands for.
    """

    regions: list[list[int]]
    members: list[np.ndarray]
    links: list[np.ndarray]
    rest: list[int]


def split_flow(levels: Sequence[np.ndarray], root: int, keep: int = 6) -> Flow:
    """Follow the members of a region of the first level through the others.

    Parameters
    ----------
    levels : per level, coarsest first, (n,) the region of every activation of the same stream.
    root : region of the first level.
    keep : regions shown one by one at a level, the largest of them; ties go to the lowest index.

    Raises
    ------
    ValueError : levels of different lengths, no members in root, or keep below 1.
    """
    levels = [np.asarray(level) for level in levels]
    if len({len(level) for level in levels}) != 1:
        raise ValueError(
            "every level must give a region to the same activations, got levels of "
            f"{', '.join(str(len(level)) for level in levels)}"
        )
    if keep < 1:
        raise ValueError(f"at least one region must be shown at a level, not {keep}")
    own = levels[0] == root
    if not own.any():
        raise ValueError(f"region {root} of the coarsest level has no members to follow")
    shown, place, rest = [[root]], np.zeros(own.sum(), dtype=np.int64), [0]
    members, links = [np.array([own.sum()])], []
    for level in levels[1:]:
        region, at, counts = np.unique(level[own], return_inverse=True, return_counts=True)
        flows = contingency_matrix(place, at)
        largest = np.argsort(-counts, kind="stable")[:keep]
        # Below the parent that gives most, so that ribbons seldom cross.
        order = sorted(largest, key=lambda r: (flows[:, r].argmax(), -counts[r], region[r]))
        slot = np.full(len(region), len(order))
        slot[order] = np.arange(len(order))
        others = len(region) - len(order)
        shown.append([int(region[r]) for r in order] + [REST] * (others > 0))
        rest.append(others)
        links.append(contingency_matrix(place, slot[at]))
        members.append(links[-1].sum(0))
        place = slot[at]
    return Flow(shown, members, links, rest)


def kept_together(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """How pure a nesting is, seen from every activation.

    The share, among the *other* members of its fine region, of those that lie in its coarse region.
    Its mean is the chance that two members of a fine region share their coarse one; unlike the
    share of the commonest parent it is not larger for small regions by chance.

    Parameters
    ----------
    fine, coarse : (n,) regions of the same activations.

    Returns
    -------
    (n,) float64; nan for an activation that is alone in its fine region.
    """
    fine, coarse = np.asarray(fine), np.asarray(coarse)
    if fine.shape != coarse.shape:
        raise ValueError(
            f"both partitions must be of the same activations, got {len(fine)} and {len(coarse)}"
        )
    size = np.bincount(fine)[fine]
    both = fine.astype(np.int64) * (int(coarse.max(initial=0)) + 1) + coarse
    _, cell, cells = np.unique(both, return_inverse=True, return_counts=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 1, (cells[cell] - 1) / (size - 1), np.nan)


# ---- what regions share -------------------------------------------------------------------------


def trait_agreement(region: np.ndarray, trait: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The chance that random members of two regions have the same trait.

    Parameters
    ----------
    region : (n,) region of every activation.
    trait : (n,) its trait as a whole number; one below 0 is shared with nothing.
    pairs : (P, 2) regions.

    Returns
    -------
    (P,) float64.

    Raises
    ------
    ValueError : lengths differ, or a region of a pair has no members.
    """
    region, trait, pairs = np.asarray(region), np.asarray(trait), np.asarray(pairs)
    if region.shape != trait.shape:
        raise ValueError(f"got {len(region)} activations and {len(trait)} traits of them")
    size = np.bincount(region, minlength=int(pairs.max(initial=0)) + 1)
    if not size[pairs].all():
        empty = int(pairs[size[pairs] == 0][0])
        raise ValueError(f"region {empty} has no members, so it shares nothing with anything")
    has = trait >= 0
    shape = (len(size), int(trait.max(initial=0)) + 1)
    share = sparse.coo_array((1 / size[region[has]], (region[has], trait[has])), shape).tocsr()
    return np.asarray(share[pairs[:, 0]].multiply(share[pairs[:, 1]]).sum(axis=1)).ravel()


def trait_agreement_apart_from(
    region: np.ndarray, trait: np.ndarray, other: np.ndarray, pairs: np.ndarray
) -> np.ndarray:
    """`trait_agreement` of a trait among the pairs of members that differ in another trait.

    (P,) float64; nan where no two members differ in the other trait.
    """
    trait, other = np.asarray(trait), np.asarray(other)
    both = trait.astype(np.int64) * (int(other.max(initial=0)) + 1) + other
    both = np.unique(both, return_inverse=True)[1]
    both = np.where((trait >= 0) & (other >= 0), both, -1)
    same, joint, differ = (trait_agreement(region, t, pairs) for t in (trait, both, other))
    differ = 1 - differ
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(differ > 1e-9, (same - joint) / differ, np.nan)


def overlap(tokens: Tensor, pairs: np.ndarray) -> np.ndarray:
    """Jaccard overlap of the token sets of two regions: (K, k) ids, (P, 2) -> (P,) float64."""
    a, b = (tokens.cpu().numpy()[pairs[:, i]] for i in (0, 1))
    common = (a[:, :, None] == b[:, None, :]).any(axis=2).sum(axis=1)
    return common / (2 * a.shape[1] - common)


def equal_size_pairs(
    pairs: np.ndarray, counts: np.ndarray, eligible: np.ndarray, *, pool: int = 10, seed: int = 0
) -> np.ndarray:
    """For every pair (a, b) a random pair (a, c), c a region of about as many members as b.

    Parameters
    ----------
    pairs : (P, 2) regions.
    counts : (K,) members of every region.
    eligible : regions c may be.
    pool : c is drawn from so many eligible regions, those nearest to b in members, a and b aside.

    Raises
    ------
    ValueError : fewer than three eligible regions.
    """
    eligible = np.unique(eligible)
    if len(eligible) < 3:
        raise ValueError(f"a third region is needed for every pair, but {len(eligible)} may be it")
    rng = np.random.default_rng(seed)
    # Random order first, so that ties in size do not always give the same partners.
    order = rng.permutation(eligible)
    size = np.log(np.maximum(np.asarray(counts)[order], 1))
    drawn = []
    for a, b in np.asarray(pairs):
        gap = np.abs(size - np.log(max(counts[b], 1)))
        gap[(order == a) | (order == b)] = np.inf
        near = np.argsort(gap, kind="stable")[: min(pool, int(np.isfinite(gap).sum()))]
        drawn.append((a, order[rng.choice(near)]))
    return np.array(drawn, dtype=np.int64).reshape(-1, 2)
