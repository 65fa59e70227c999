"""The list of a dictionary's regions: what was searched, in which order, as lines of text.

Does not know: widgets.
"""

from functools import cached_property

import numpy as np

from epkit.inspect.regions import Regions
from epkit.inspect.search import Found, RegionSearch
from epkit.lm.text import label_of, visible

PAGE = 30
"""Regions listed at once."""

SORTS = {
    "size": "members",
    "coherence": "coherence",
    "nearest": "distance to the region shown",
    "match": "match of the search",
}

LABEL = 14
COLUMNS = f"{'region':>6}  {'exemplar':<{LABEL}} {'members':>7} {'coh.':>5}  tokens of members"


class RegionList:
    """Regions of one dictionary, narrowed by a search."""

    def __init__(self, regions: Regions) -> None:
        self.regions = regions
        self._counts = regions.dictionary.counts.cpu().numpy()
        self._coherence = regions.dictionary.coherence.cpu().numpy()
        self._field = "token"
        self._found: Found | None = None

    @cached_property
    def _index(self) -> RegionSearch:
        return RegionSearch(self.regions)

    @property
    def lens_ready(self) -> bool:
        """Whether a search of promoted tokens answers at once."""
        return self.regions.lens_complete

    def search(self, field: str, query: str) -> str:
        """Keep the regions found in a field ("token", "context", "lens"); says what was found.

        An empty query keeps all. Raises ValueError for a query that cannot be answered.
        """
        found = None
        if query:
            ask = {
                "token": self._index.by_token,
                "context": self._index.by_context,
                "lens": self._index.by_lens,
            }
            found = ask[field](query)
        self._field, self._found = field, found
        if found is None:
            return f"all {len(self.regions):,} regions"
        said = {
            "token": "have a kept member whose token holds",
            "context": "have a kept member with text around it that matches",
            "lens": "promote a token that holds",
        }
        return f"{len(found):,} of {len(self.regions):,} regions {said[field]} “{query}”"

    def sorted(self, by: str, region: int) -> np.ndarray:
        """The regions found, in order: (R,) int64. Ties go to the larger, then the older region."""
        rows = np.arange(len(self._counts))
        if self._found is not None:
            rows = rows[self._found.score > 0]
        score = np.zeros(len(self._counts))
        if by == "coherence":
            score = self._coherence
        elif by == "nearest":
            score = -self.regions.nearest(region)
        elif by == "match" and self._found is not None:
            score = self._found.score
        return rows[np.lexsort((-self._counts[rows], -score[rows]))]

    def lines(self, rows: np.ndarray) -> list[tuple[str, int]]:
        """(line of text, region) for every row."""
        return [(self._line(int(k)), int(k)) for k in rows]

    def _line(self, region: int) -> str:
        label = self.regions.labels[region]
        label = label if len(label) <= LABEL else label[: LABEL - 1] + "…"
        return (
            f"{region:>6}  {label:<{LABEL}} {self._counts[region]:>7,} "
            f"{self._coherence[region]:>5.2f}  {self._evidence(region)}"
        )

    def _evidence(self, region: int) -> str:
        """What a region was found for; else the tokens of its kept members, the frequent first."""
        regions, text = self.regions, self.regions.text
        if self._found is not None and self._field == "context":
            place = self._found.place[region]
            window = text.window(place)
            low, high = max(text.start[window], place - 3), min(text.end[window], place + 9)
            return visible("".join(regions.texts(text.tokens[low:high])).strip(" "))
        if self._found is not None and self._field == "lens":
            ids = regions.lens(np.array([region])).promoted[0]
        else:
            members = regions.dictionary.members
            index = np.concatenate([members.of(region, k)[0] for k in ("closest", "random")])
            tokens, n = np.unique(text.tokens[text.places[index]], return_counts=True)
            ids = tokens[np.argsort(-n, kind="stable")]
        return " ".join(dict.fromkeys(label_of(t) for t in regions.texts(ids[:8])))
