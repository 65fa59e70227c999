"""Regions to read first where nobody knows what to look for: those most unlike the rest.

For a stream such as a service's logs and the question what is in it that nobody asked about.
Regions with the fewest members come first, and of equally many the one farthest from the region
nearest to it. Notebook 13 chose fewest-first on one kind of rare text and tested it on others, with
ties in random order; by distance they do about as well there. It says how much sooner than in
random order such a kind is seen, and how many regions that still takes.

Does not know: models (a tokenizer is enough), what a region means.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from epkit import checks
from epkit.dictionary import Dictionary
from epkit.geometry import distances
from epkit.inspect.tables import region_table

ROWS = 2048


def unlike(dictionary: Dictionary, *, min_members: int = 2) -> Tensor:
    """Regions in the order to read them: (R,) int64, those with at least `min_members` members.

    Fewest members first; of equally many, the one whose mean is farthest from the nearest other
    region's; then the one founded first. A region of one member shows nothing that recurs.

    Raises
    ------
    TypeError : no dictionary, or a number that is not whole.
    """
    checks.instance("dictionary", dictionary, Dictionary)
    min_members = checks.whole("min_members", min_members, 1)
    return _reading_order(dictionary, nearest_region(dictionary), min_members)


def _reading_order(dictionary: Dictionary, apart: Tensor, min_members: int) -> Tensor:
    order = apart.sort(descending=True, stable=True).indices
    order = order[dictionary.counts[order].sort(stable=True).indices]
    return order[dictionary.counts[order] >= min_members]


def nearest_region(dictionary: Dictionary, k: int = 1) -> Tensor:
    """Cosine distance of every region's mean to the k-th nearest other mean: (K,) float32.

    Where there are not as many others, to the farthest of them; 0 for the only region.
    """
    means, k = dictionary.means, min(checks.whole("k", k, 1) + 1, len(dictionary))
    parts = [
        distances(rows, means).topk(k, dim=1, largest=False).values[:, -1]
        for rows in means.split(ROWS)
    ]  # the nearest is itself
    return torch.cat(parts)


def unlike_table(
    dictionary: Dictionary, tokenizer, n: int = 20, *, min_members: int = 2, width: int = 10
) -> pd.DataFrame:
    """The n regions to read first, with what is in them: `region_table` and a column more.

    dictionary : with its members, as `epkit.build` gives it. Column "nearest region": the cosine
        distance to it. Show it with `text_table`, since it holds text of the stream.

    Raises
    ------
    TypeError, ValueError : of `unlike` and `region_table`; an n below 1.
    """
    checks.instance("dictionary", dictionary, Dictionary)
    min_members, n = checks.whole("min_members", min_members, 1), checks.whole("n", n, 1)
    apart = nearest_region(dictionary)
    regions = _reading_order(dictionary, apart, min_members)[:n]
    table = region_table(dictionary, tokenizer, regions.tolist(), width)
    return table.assign(**{"nearest region": apart[regions].cpu().numpy()})
