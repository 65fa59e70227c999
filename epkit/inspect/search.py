"""Finding regions, and the list of those found.

`RegionSearch` finds them by a token of their members, by text around it, by what they promote.
Everything that does not depend on the question (which tokens stand where, the text of every window)
is laid out once; a question is then array work and one pass of a regular expression. A `Found`
gives every region a score, 0 where it is not found, so that results can be sorted by it.
`RegionList` keeps what was found, in an order, as lines of text.

Does not know: HTML, widgets.
"""

import time
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import regex

from epkit.checks import one_of
from epkit.inspect.facts import WIDTH
from epkit.inspect.regions import Regions
from epkit.lm.text import TokenTexts, label_of, visible
from epkit.members import KINDS

PAGE = 30
"""Regions listed at once."""

FIELDS = {
    "token": "have a kept member whose token holds",
    "context": "have a kept member with text around it that matches",
    "lens": "promote a token that holds",
}
"""What can be searched, and what is said of the regions found."""

SORTS = {
    "size": "members",
    "coherence": "coherence",
    "nearest": "distance to the region shown",
    "match": "match of the search",
}

LABEL = 14
COLUMNS = f"{'region':>6}  {'exemplar':<{LABEL}} {'members':>7} {'coh.':>5}  tokens of members"

SECONDS = 2.0
"""The longest a regular expression may run on all windows."""

WINDOW_SECONDS = 0.1
"""… and on one of them. The matcher counts the processor's time and not the clock's, which on a
busy machine runs faster; short turns keep the whole within the limit."""

LONGEST, DEEPEST, MOST_COPIES = 200, 6, 1000
"""Characters of an expression, brackets in brackets, and the product of its counts in braces. What
exceeds them can take seconds and gigabytes before it is matched with anything."""

_RECURSION = regex.compile(r"\(\?(?:R|[+-]?\d|&|P>)")


@dataclass(frozen=True)
class Found:
    """Answers to a search: score (K,) float32, 0 where a region is not found; where a context was
    found, the place of a token where it starts, (K,) int64, else -1."""

    score: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return int((self.score > 0).sum())


class RegionSearch:
    """The indexes of one dictionary's regions."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        members, text = regions.dictionary.members, regions.text
        index = np.concatenate([getattr(members, f"{kind}_index").numpy() for kind in KINDS], 1)
        self._region, slot = (index >= 0).nonzero()
        self._index = index[self._region, slot]
        self._kept = np.bincount(self._region, minlength=len(regions)).clip(1)
        self._token = text.tokens[text.places[self._index]]
        self._low, _, self._high = text.spans(self._index, WIDTH)
        self._lay_out_text()

    def _lay_out_text(self) -> None:
        """Text of every window, and the place of every token in the text of all."""
        text = self._regions.text
        ids, where = np.unique(text.tokens, return_inverse=True)
        said = text.texts(ids)
        row = text.row
        words = [said[i] for i in where]
        for place in text.start[row[text.start] < 0]:
            words[place] = ""  # BOS is no text
        self._offset = np.concatenate([[0], np.cumsum([len(w) for w in words])])
        self._windows = ["".join(words[a:b]) for a, b in zip(text.start, text.end, strict=True)]

    def by_token(self, query: str) -> Found:
        """Regions with a kept member whose token holds the query, whatever the case.

        Scored by the share of kept members whose token *is* the query (but for outer spaces), then
        by the share that hold it.
        """
        equal, inside = self._matches(query, self._token)
        share = [
            np.bincount(self._region[hit], minlength=len(self._kept)) / self._kept
            for hit in (equal, inside)
        ]
        return self._found(share[0] + 0.01 * share[1])

    def by_context(self, pattern: str) -> Found:
        """Regions with a kept member in whose context a regular expression is found.

        Matches are those of one reading of every window: they do not overlap, and one that starts
        before a context is not found in it. Scored by the share of kept members. Raises ValueError
        for an expression that cannot be read or takes too long.
        """
        first, last = self._places_of(_compiled(pattern))
        # A context [low, high) holds a match if one starts in it and, of those, the earliest to
        # end does so in it.
        earliest = np.minimum.accumulate(last[::-1])[::-1] if len(last) else last
        slot = first.searchsorted(self._low)
        hit = slot < len(first)
        hit[hit] = earliest[slot[hit]] < self._high[hit]
        share = np.bincount(self._region[hit], minlength=len(self._kept)) / self._kept
        place = np.full(len(self._kept), -1)
        place[self._region[hit][::-1]] = first[slot[hit]][::-1]
        return self._found(share, place)

    def by_lens(self, query: str) -> Found:
        """Regions that promote a token that holds the query; the higher it ranks, the higher."""
        lens = self._regions.promoted.of(np.arange(len(self._kept)))
        if lens is None:
            raise ValueError("searching promoted tokens needs the model or a logit lens")
        ids = lens.promoted.numpy()
        equal, inside = (m.reshape(ids.shape) for m in self._matches(query, ids.ravel()))
        rank = 1 / (1 + np.arange(ids.shape[1]))
        return self._found((equal * rank).max(1) + 0.01 * (inside * rank).max(1))

    def _found(self, score: np.ndarray, place: np.ndarray | None = None) -> Found:
        return Found(score.astype(np.float32), np.full(len(score), -1) if place is None else place)

    def _matches(self, query: str, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which tokens are the query, and which hold it: (M,) bool each."""
        texts: TokenTexts = self._regions.texts
        ids, where = np.unique(tokens, return_inverse=True)
        wanted = query.strip().casefold() or query
        said = [t.casefold() for t in texts(ids)]
        equal = np.array([t == wanted or t.strip() == wanted for t in said], dtype=bool)
        inside = np.array([wanted in t for t in said], dtype=bool)
        return equal[where], inside[where]

    def _places_of(self, pattern: regex.Pattern) -> tuple[np.ndarray, np.ndarray]:
        """Tokens in which matches start and end, in order of their start: (M,), (M,)."""
        spans, counts = [], []
        deadline = time.monotonic() + SECONDS
        for window in self._windows:
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise TimeoutError
                turn = min(left, WINDOW_SECONDS)
                spans += [match.span() for match in pattern.finditer(window, timeout=turn)]
            except TimeoutError as error:
                raise ValueError(
                    f"the expression takes longer than {SECONDS:g} s, or {WINDOW_SECONDS:g} s on "
                    "one window; make it simpler (nested repeats such as (a+)+ are slow)"
                ) from error
            counts.append(len(spans))
        flat = np.fromiter(chain.from_iterable(spans), dtype=np.int64, count=2 * len(spans))
        base = np.cumsum([0, *map(len, self._windows)])[:-1].repeat(np.diff([0, *counts]))
        begin, end = base + flat[::2], base + flat[1::2]
        offsets = self._offset[1:]
        return (
            offsets.searchsorted(begin, side="right"),
            offsets.searchsorted(np.maximum(end - 1, begin), side="right"),
        )


def _compiled(pattern: str) -> regex.Pattern:
    """An expression, small enough to be compiled at once."""
    if len(pattern) > LONGEST:
        raise ValueError(f"the expression has {len(pattern):,} characters; use at most {LONGEST}")
    if _RECURSION.search(pattern):
        raise ValueError("the expression calls itself, as (?R) does; write it without recursion")
    depth = _depth(pattern)
    if depth > DEEPEST:
        raise ValueError(
            f"the expression has brackets {depth} deep; use at most {DEEPEST} in one another"
        )
    copies = 1
    for braces in regex.findall(r"\{[^{}]*\}", pattern):
        for count in regex.findall(r"[0-9]{1,9}", braces):
            copies *= max(int(count), 1)
    if copies > MOST_COPIES:
        raise ValueError(
            f"the counts of the expression multiply to {copies:,}; use at most {MOST_COPIES:,}"
        )
    try:
        return regex.compile(pattern, regex.IGNORECASE | regex.VERSION0)
    except (regex.error, ValueError) as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error


def _depth(pattern: str) -> int:
    """How deep its round brackets lie in one another; those escaped or in a class are no brackets.

    An unclosed class hides what follows; such an expression is refused when it is compiled.
    """
    plain = regex.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", pattern, flags=regex.DOTALL)
    depth = deepest = 0
    for c in plain:
        depth += (c == "(") - (c == ")")
        deepest = max(deepest, depth)
    return deepest


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

    def search(self, field: str, query: str) -> str:
        """Keep the regions found in a field ("token", "context", "lens"); says what was found.

        An empty query keeps all. Raises ValueError for a query that cannot be answered.
        """
        one_of("field", field, FIELDS)
        found = getattr(self._index, f"by_{field}")(query) if query else None
        self._field, self._found = field, found
        if found is None:
            return f"all {len(self.regions):,} regions"
        return f"{len(found):,} of {len(self.regions):,} regions {FIELDS[field]} “{query}”"

    def sorted(self, by: str, region: int) -> np.ndarray:
        """The regions found, in order: (R,) int64. Ties go to the larger, then the older region."""
        one_of("by", by, SORTS)
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
            f"{self._coherence[region]:>5.2f}  {self._why(region)}"
        )

    def _why(self, region: int) -> str:
        """What a region was found for; else the tokens of its kept members, the frequent first."""
        regions, text = self.regions, self.regions.text
        if self._found is not None and self._field == "context":
            place = self._found.place[region]
            window = text.window(place)
            low, high = max(text.start[window], place - 3), min(text.end[window], place + 9)
            return visible("".join(regions.texts(text.tokens[low:high])).strip(" "), LONGEST)
        if self._found is not None and self._field == "lens":
            ids = regions.promoted.of(np.array([region])).promoted[0]
        else:
            members = regions.dictionary.members
            index = np.concatenate([members.of(region, k)[0] for k in ("closest", "random")])
            tokens, n = np.unique(text.tokens[text.places[index]], return_counts=True)
            ids = tokens[np.argsort(-n, kind="stable")]
        return " ".join(dict.fromkeys(label_of(t) for t in regions.texts(ids[:8])))
