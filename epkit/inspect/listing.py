"""The list of regions: those large enough that a search has found, in an order, as lines of text.

Does not know: HTML, widgets, how a search is done.
"""

from functools import cached_property

import numpy as np

from epkit.checks import one_of, whole
from epkit.inspect.interest import MIN_MEMBERS, interest
from epkit.inspect.regions import Regions
from epkit.inspect.search import Match, RegionSearch
from epkit.lm.text import LONGEST, label_of, visible

PAGE = 25
"""Regions listed at once."""

SORTS = {
    "interest": "interest",
    "match": "match",
    "size": "members",
    "coherence": "coherence",
    "nearest": "near the one shown",
}
"""Orders of the list, and what they are called."""

NAME = 20
"""Characters of a name in a line."""

COLUMNS = f"{'region':>6} {'members':>7} {'int.':>4}  {'name':<{NAME}} why, or tokens"


class RegionList:
    """Regions of one dictionary, narrowed by a search and by size.

    Attributes
    ----------
    min_members : regions with fewer are left out.
    """

    def __init__(self, regions: Regions) -> None:
        self.regions = regions
        self.min_members = MIN_MEMBERS
        self.counts = regions.dictionary.counts.cpu().numpy()
        self._coherence = regions.dictionary.coherence.cpu().numpy()
        self._match: Match | None = None

    @cached_property
    def _index(self) -> RegionSearch:
        return RegionSearch(self.regions)

    @property
    def indexed(self) -> bool:
        """Whether a search finds its indexes laid out."""
        return "_index" in vars(self)

    @cached_property
    def interest(self) -> np.ndarray:
        """(K,) float32 of `interest`."""
        return interest(self.regions)

    def search(self, query: str) -> str:
        """Keep the regions found by token, text around it or promoted token; says what was found.

        An empty query keeps all. Raises ValueError for a query that cannot be answered in any way.
        """
        match = self._index.by_any(query) if query else None
        if match is not None and not match.by:
            raise ValueError("; ".join(match.said))
        self._match = match
        large = self.counts >= self.min_members
        if match is None:
            return f"{large.sum():,} of {len(large):,} regions have {self._members()}"
        names = {"token": "a member token", "text": "text around", "promoted": "a promoted token"}
        ways = [f"{(p.score[large] > 0).sum():,} by {names[w]}" for w, p in match.by.items()]
        found = f"{(match.score[large] > 0).sum():,} of {large.sum():,} regions match “{query}”"
        return "; ".join([f"{found}: {', '.join(ways)}", *match.said])

    def _members(self) -> str:
        least = whole("min_members", self.min_members, 1)
        return "a member" if least == 1 else f"{least:,} members or more"

    @property
    def rows(self) -> np.ndarray:
        """(R,) regions that are large enough and found, in their own order."""
        kept = self.counts >= self.min_members
        return (kept if self._match is None else kept & (self._match.score > 0)).nonzero()[0]

    def sorted(self, by: str, region: int) -> np.ndarray:
        """The regions of the list in order: (R,) int64. Ties go to the larger, then the older.

        by : of `SORTS`; "nearest" to `region`, "match" by interest where nothing was searched.
        """
        one_of("by", by, SORTS)
        rows, score = self.rows, self.counts
        if by == "match" and self._match is not None:
            score = self._match.score
        elif by in ("interest", "match"):
            score = self.interest
        elif by == "coherence":
            score = self._coherence
        elif by == "nearest":
            score = -self.regions.nearest(region)
        return rows[np.lexsort((-self.counts[rows], -score[rows]))]

    def lines(self, rows: np.ndarray) -> list[tuple[str, int]]:
        """(line of text, region) for every row."""
        return [(self._line(int(k)), int(k)) for k in rows]

    def _line(self, region: int) -> str:
        name = self.regions.names[region]
        name = name if len(name) <= NAME else name[: NAME - 1] + "…"
        score = f"{self.interest[region]:.2f}".lstrip("0")
        return (
            f"{region:>6} {self.counts[region]:>7,} {score:>4}  {name:<{NAME}} {self._why(region)}"
        )

    def _why(self, region: int) -> str:
        """What a region was found for; else the tokens of its kept members, the frequent first."""
        if self._match is not None and self._match.place[region] >= 0:
            return self._text_at(self._match.place[region])
        by = {} if self._match is None else self._match.by
        if "promoted" in by and by["promoted"].score[region] and not by["token"].score[region]:
            return f"promotes it: {self._promoted(region)}"
        regions, text = self.regions, self.regions.text
        members = regions.dictionary.members
        index = np.concatenate([members.of(region, k)[0] for k in ("closest", "random")])
        tokens, n = np.unique(text.tokens[text.places[index]], return_counts=True)
        ids = tokens[np.argsort(-n, kind="stable")]
        return " ".join(dict.fromkeys(label_of(t) for t in regions.texts(ids[:8])))

    def _text_at(self, place: int) -> str:
        """The text from a little before a token to a little after it."""
        text = self.regions.text
        window = text.window(place)
        low, high = max(text.start[window], place - 3), min(text.end[window], place + 9)
        return visible("".join(self.regions.texts(text.tokens[low:high])).strip(" "), LONGEST)

    def _promoted(self, region: int) -> str:
        ids = self.regions.promoted.of(np.array([region])).promoted[0]
        return " ".join(label_of(t) for t in self.regions.texts(ids[:5]))
