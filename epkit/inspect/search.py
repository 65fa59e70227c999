"""Finding regions by a token of their members, by text around it, by what they promote.

Everything that does not depend on the question (which tokens stand where, the text of every window)
is laid out once; a question is then array work and one pass of a regular expression. A `Found`
gives every region a score, 0 where it is not found, so that results can be sorted by it.

Does not know: HTML, widgets.
"""

import time
from dataclasses import dataclass
from itertools import chain

import numpy as np
import regex

from epkit.inspect.expressions import compiled
from epkit.inspect.facts import WIDTH
from epkit.inspect.regions import Regions
from epkit.lm.text import TokenTexts
from epkit.lm.tokens import text_ids
from epkit.members import KINDS

PROMOTES = 3.0
"""Standard deviations above the mean region from which a region is said to promote a token."""

WEIGHTS = {"token": 1.0, "text": 0.3, "promoted": 0.3}
"""What each way of matching adds to the score of a search in all of them."""

SPECIAL = set(".^$*+?{}[]|()\\")
"""Characters that make an expression of a text."""

SECONDS = 2.0
"""The longest a regular expression may run on all windows."""

WINDOW_SECONDS = 0.1
"""… and on one of them. The matcher counts the processor's time and not the clock's, which on a
busy machine runs faster; short turns keep the whole within the limit."""


@dataclass(frozen=True)
class Found:
    """Answers to a search: score (K,) float32, 0 where a region is not found; where a context was
    found, the place of a token where it starts, (K,) int64, else -1."""

    score: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return int((self.score > 0).sum())


@dataclass(frozen=True)
class Match(Found):
    """Answers in all ways at once: `by` are those of each way that could be asked, "token", "text"
    and "promoted"; `said` is what could not, in sentences."""

    by: dict[str, Found]
    said: list[str]


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
        self._letters = _letters("".join(self._windows))

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
        expression = compiled(pattern)
        if not pattern or SPECIAL & set(pattern):
            first, last = self._places_of(expression)
        else:
            first, last = self._places_of_text(pattern)
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

    def by_promoted(self, query: str) -> Found:
        """Regions that promote a token.

        Where the lens of all regions is at hand: that have a token that holds the query among those
        they promote most; the higher it ranks, the higher. Else, with the model: that promote a
        token which is the query `PROMOTES` standard deviations more than the mean region.
        """
        promoted = self._regions.promoted
        if not promoted.known:
            raise ValueError("searching promoted tokens needs the model or a logit lens")
        if not promoted.complete:
            ids = _single_tokens(promoted.model.tokenizer, query)
            z = promoted.standing(ids) if ids else np.zeros(len(self._kept))
            return self._found(np.where(z >= PROMOTES, np.minimum(z / 10, 1), 0))
        lens = promoted.of(np.arange(len(self._kept)))
        ids = lens.promoted.numpy()
        equal, inside = (m.reshape(ids.shape) for m in self._matches(query, ids.ravel()))
        rank = 1 / (1 + np.arange(ids.shape[1]))
        return self._found((equal * rank).max(1) + 0.01 * (inside * rank).max(1))

    def by_any(self, query: str) -> Match:
        """Regions found by token, by text around it (an expression) or by a promoted token.

        Their scores are added with `WEIGHTS`. A way that cannot be asked is left out, and said.
        """
        ways = {"token": self.by_token, "text": self.by_context, "promoted": self.by_promoted}
        found, said = {}, []
        for name, way in ways.items():
            try:
                found[name] = way(query)
            except ValueError as error:
                said.append(str(error))
        score = sum(WEIGHTS[name] * part.score for name, part in found.items())
        place = found["text"].place if "text" in found else np.full(len(self._kept), -1)
        return Match(score, place, found, said)

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

    def _places_of_text(self, wanted: str) -> tuple[np.ndarray, np.ndarray]:
        """As `_places_of`, of a text that is no expression, which arrays find much sooner."""
        letters, wanted = self._letters, _letters(wanted)
        last = len(wanted) - 1  # the end of a word is rarer than its start
        begin = (letters[last:] == wanted[last]).nonzero()[0]
        for i, letter in enumerate(wanted[:last]):
            begin = begin[letters[begin + i] == letter]
        offsets = self._offset[1:]
        return (
            offsets.searchsorted(begin, side="right"),
            offsets.searchsorted(begin + last, side="right"),
        )

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


def _letters(text: str) -> np.ndarray:
    """Code points of a text in small letters, one for each of its characters."""
    small = text.replace("İ", "I").lower()  # the only one that grows
    return np.frombuffer(small.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _single_tokens(tokenizer, text: str) -> list[int]:
    """Ids of the tokens that are a word or sign, with or without a space or a capital before."""
    word = text.strip() or text
    forms = dict.fromkeys(f for w in (word, word.lower(), word.capitalize()) for f in (w, f" {w}"))
    encoded = [text_ids(tokenizer, form) for form in forms]
    return sorted({ids[0] for ids in encoded if len(ids) == 1})
