"""The text of a stream: what its tokens say, and which tokens surround an activation.

`visible` makes a text safe to read: characters that move the cursor, hide, or turn the direction of
writing are replaced by a sign that can be seen. `as_html` makes it safe to put on a page as well.

Does not know: regions, models.
"""

import unicodedata
from collections.abc import Sequence
from html import escape

import numpy as np

from epkit.lm.lens import token_texts
from epkit.members import Members

SIGNS = {"\n": "⏎", "\t": "⇥"}

LONGEST = 200
"""Characters that are shown of one token; a longer one ends in …."""

# Control, format (joiners, direction marks), surrogate, private, unassigned; line and paragraph.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str, longest: int | None = None) -> str:
    """The text with ⏎ for a newline, ⇥ for a tab and · for any other character without a shape.

    longest : more characters than that are cut, and the last one shown is ….
    """
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(SIGNS.get(c) or ("·" if unicodedata.category(c) in _UNSEEN else c) for c in text)


def as_html(text: str, longest: int | None = None) -> str:
    """The text, visible and escaped: it can stand in an element or in an attribute's quotes."""
    return escape(visible(text, longest))


def label_of(text: str) -> str:
    """A token as a name of one line: visible, without outer spaces; ␣ for each of only spaces."""
    return visible(text.strip(" ") or "␣" * len(text), LONGEST) or "(empty)"


class TokenTexts:
    """Texts of token ids, decoded once each."""

    def __init__(self, tokenizer) -> None:
        self._tokenizer = tokenizer
        self._texts: dict[int, str] = {}

    def __call__(self, ids: Sequence[int]) -> list[str]:
        """(M,) token ids -> M texts, with their leading spaces."""
        ids = ids.tolist() if hasattr(ids, "tolist") else list(ids)
        new = [i for i in dict.fromkeys(ids) if i not in self._texts]
        if new:
            self._texts.update(zip(new, token_texts(self._tokenizer, new), strict=True))
        return [self._texts[i] for i in ids]


class StreamText:
    """The tokens of a stream as arrays.

    Attributes
    ----------
    tokens : (T,) int32 ids of all tokens fed.
    places : (n,) int64, place among the tokens of every stream position (activation).
    row : (T,) int64, stream position of every token, -1 where it is no activation.
    start, end : (W,) int64, first place of every window and the place after its last.
    """

    def __init__(self, members: Members, texts: TokenTexts) -> None:
        self.texts = texts
        self.tokens = members.tokens.numpy()
        clustered = members.clustered.numpy()
        self.places = clustered.nonzero()[0]
        self.row = np.where(clustered, clustered.cumsum() - 1, -1)
        self.end = members.lengths.numpy().astype(np.int64).cumsum()
        self.start = self.end - members.lengths.numpy()

    def window(self, place: np.ndarray) -> np.ndarray:
        """Windows that hold places: (M,) -> (M,)."""
        return self.end.searchsorted(place, side="right")

    def spans(self, index: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places around stream positions: (M,) -> first (M,), own (M,), after the last (M,).

        At most `width` tokens on either side, within the window, its BOS left out.
        """
        at = self.places[index]
        window = self.window(at)
        first = self.start[window]
        first = first + (self.row[first] < 0)
        low = np.minimum(np.maximum(first, at - width), at)
        return low, at, np.minimum(self.end[window], at + 1 + width)

    def token_texts(self, index: np.ndarray) -> list[str]:
        """Texts of the tokens at stream positions: (M,) -> M strings."""
        return self.texts(self.tokens[self.places[index]])

    def with_before(self, index: np.ndarray) -> tuple[list[str], list[str]]:
        """Texts of the tokens at stream positions, and of those before: (M,) -> M and M strings.

        "" where the window, its BOS left out, begins.
        """
        low, at, _ = self.spans(index, 1)
        before = self.texts(self.tokens[low])
        return self.texts(self.tokens[at]), [
            "" if first else text for first, text in zip(low == at, before, strict=True)
        ]
