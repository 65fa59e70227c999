"""What a group of tokens shares, by a rule that anyone can apply again.

A trait is shared when at least `SHARE` of the group have it. The first of these that holds is
named, from the narrowest to the broadest:

1. token      the same text, its leading space included;
2. word       the same word, whatever its capitals and spaces;
3. ending     words of five letters or more with the same last three;
4. after      the same word or sign just before;
5. class      number, punctuation, code sign, line end or space, capitalised word, word in capitals,
              piece of a word (no space before it), letters of another script, or one of five kinds
              of English function word.

Whether a group shares a topic is left to a reader: no rule here judges it. Groups drawn at random
pass sometimes, and how often is what a count must be compared with.

Does not know: regions, models, tokenizers.
"""

import functools
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from epkit.checks import number

SHARE = 0.75

FUNCTION_WORDS = {
    "determiner": "the a an this that these those some any each every no all both another such",
    "preposition": "of in on at by for with from to into over under after before about between "
    "through during against without within upon across toward towards among",
    "pronoun": "i you he she it we they me him her us them my your his its our their who whom "
    "whose which what himself herself itself themselves",
    "auxiliary": "is are was were be been being am do does did have has had having will would can "
    "could shall should may might must not",
    "conjunction": "and or but nor so yet if because although though while when where as than "
    "since unless whether",
}
_KIND_OF = {word: kind for kind, words in FUNCTION_WORDS.items() for word in words.split()}
_PUNCTUATION = set(".,;:!?'\"()-…–—‘’“”")


class SharedPattern(NamedTuple):
    """What is shared, and by what share of the group; kind "none" where no trait is.

    With "none", `what` and `share` are those of the trait that came nearest.
    """

    kind: str
    what: str
    share: float

    def __str__(self) -> str:
        return f"{'after ' if self.kind == 'after' else ''}{self.what!r} ({self.share:.0%})"


def shared_pattern(
    tokens: Sequence[str], before: Sequence[str], share: float = SHARE
) -> SharedPattern:
    """What tokens share, by the rule of this module.

    Parameters
    ----------
    tokens : texts of the group's tokens, leading spaces included.
    before : of each one, the text of the token before it; "" at the start of a window.
    share : of the group that must have a trait.

    Raises
    ------
    TypeError : a share that is no number.
    ValueError : no tokens, lists of different lengths, or a share outside (0.5, 1], in which more
        than one trait could win.
    """
    if not tokens or len(tokens) != len(before):
        raise ValueError(
            f"need one preceding text per token and at least one token, got {len(tokens)} tokens "
            f"and {len(before)} preceding texts"
        )
    share = number("share", share, 0.5, 1, open_low=True)
    nearest = SharedPattern("none", "nothing", 0.0)
    for kind, trait_of in TRAITS.items():
        values = [trait_of(pair) for pair in zip(tokens, before, strict=True)]
        found = Counter(value for value in values if value)
        what, count = found.most_common(1)[0] if found else ("nothing", 0)
        if count >= share * len(tokens):
            return SharedPattern(kind, what, count / len(tokens))
        if count / len(tokens) > nearest.share:
            nearest = SharedPattern("none", what, count / len(tokens))
    return nearest


@functools.lru_cache(1 << 16)
def token_class(token: str) -> str | None:
    """The class of a token by its looks and, for English function words, by a list; else None."""
    text = token.strip()
    if not text:
        return "line end" if "\n" in token else "space" if token else None
    if "\ufffd" in text:
        return "part of a character"
    if text.casefold() in _KIND_OF:
        return _KIND_OF[text.casefold()]
    if all(c.isnumeric() for c in text):
        return "number"
    if all(unicodedata.category(c)[0] in "PS" for c in text):
        return "punctuation" if set(text) <= _PUNCTUATION and len(text) <= 2 else "code sign"
    return _class_of_word(token, text)


def _class_of_word(token: str, text: str) -> str | None:
    letters = [c for c in text if c.isalpha()]
    if letters and not any("LATIN" in unicodedata.name(c, "") for c in letters):
        return "other script"
    if len(letters) >= 2 and text.isupper():
        return "capitals"
    if text[0].isupper():
        return "capitalised word"
    if text.isalpha() and not token[0].isspace():
        return "piece of a word"
    return None


@functools.lru_cache(1 << 16)
def word_of(text: str) -> str | None:
    """A word or sign without case and outer spaces."""
    return text.strip().casefold() or None


@functools.lru_cache(1 << 16)
def _ending(text: str) -> str | None:
    word = word_of(text) or ""
    return f"-{word[-3:]}" if len(word) >= 5 and word.isalpha() else None


TRAITS: dict[str, Callable[[tuple[str, str]], str | None]] = {
    "token": lambda pair: pair[0] or None,
    "word": lambda pair: word_of(pair[0]),
    "ending": lambda pair: _ending(pair[0]),
    "after": lambda pair: word_of(pair[1]),
    "class": lambda pair: token_class(pair[0]),
}
"""Kinds of trait from narrow to broad; each gives the value of one (token, token before)."""
