"""Nesting: how purely fine regions lie in coarse ones, beside shuffled and random ones.

An exemplar that serves in both dictionaries makes nesting purer, so random coarse exemplars come in
three kinds: as many shared with the fine ones as EP has, none, all.

Does not know: words, models.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.blocks.nearest import nearest
from epkit.dictionary import Dictionary
from epkit.stats import Interval, bootstrap_difference
from epkit.studies.neighbourhoods.memberships import kept_together

Levels = Mapping[float, Dictionary]
Regions = Mapping[float, np.ndarray]


def nesting_table(
    ep: Levels, random: Levels, fresh: Levels, regions: Mapping[str, Regions], u: Tensor,
    document: np.ndarray, *, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """The purity of every step from a coarse dictionary to the next finer one.

    Parameters
    ----------
    ep : per percentile, coarsest first, the dictionary.
    random, fresh : the same of as many random exemplars, and of another draw.
    regions : of "EP" and "random exemplars", per percentile, (n,) the region of every activation.
    u : (n, D) their directions, where the dictionaries are.
    document : (n,) the text every activation is of; the difference is resampled over texts.
    """
    rows = []
    mine, drawn = regions["EP"], regions["random exemplars"]
    for coarse, fine in pairwise(ep):
        shared = int(torch.isin(ep[coarse].exemplar_index, ep[fine].exemplar_index).sum())
        shuffled = np.random.default_rng(seed).permutation(mine[coarse])
        sides = random[fine].exemplars, fresh[coarse].exemplars
        mixed, apart = (
            nearest(u, mixture_of(*sides, n, seed=seed))[0].cpu().numpy() for n in (shared, 0)
        )
        together = kept_together(mine[fine], mine[coarse])
        control = kept_together(drawn[fine], mixed)
        rows.append({
            "coarse p": coarse, "fine p": fine,
            "exemplars shared": f"{shared / len(ep[coarse]):.0%}", "EP": np.nanmean(together),
            "shuffled": np.nanmean(kept_together(mine[fine], shuffled)),
            "random, as many shared": np.nanmean(control),
            "EP − random": difference_over_documents(together, control, document),
            "random, none shared": np.nanmean(kept_together(drawn[fine], apart)),
            "random, all shared": np.nanmean(kept_together(drawn[fine], drawn[coarse])),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index(["coarse p", "fine p"])


def mixture_of(fine: Tensor, fresh: Tensor, shared: int, *, seed: int = 0) -> Tensor:
    """As many exemplars as `fresh` has (K, D), `shared` of them drawn from the rows of `fine`."""
    pick = np.random.default_rng(seed).permutation(len(fine))[:shared]
    rest = np.random.default_rng(seed + 1).permutation(len(fresh))[shared:]
    pick, rest = (torch.as_tensor(rows, device=fresh.device) for rows in (pick, rest))
    return torch.cat([fine[pick], fresh[rest]])


def difference_over_documents(a: np.ndarray, b: np.ndarray, document: np.ndarray) -> Interval:
    """Mean over texts of (n,) a less b, where both have a finite value, resampling texts."""
    sides = pd.DataFrame({"a": a, "b": b}).groupby(np.asarray(document)).mean().dropna()
    return bootstrap_difference(sides["a"], sides["b"])
