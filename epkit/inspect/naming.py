"""Readable names of regions, made of their members' tokens.

A region is named by what its random members evidently share (`names.shared_pattern`): the token or
word as it is, `-ing` for an ending, `after 'to'`, `[number]` for a class; where a word is shared
and the word before it as well, `the, after 'of'`. Where nothing is shared, or too few members are
there to share anything, it is the two commonest words after ≈, those of near members before others.

A user may rename, by hand or by a function of the region's card. Names are kept in a JSON beside
the dictionary, which they name by a SHA-256 of its exemplars.

Does not know: models, cards, HTML.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from epkit.checks import whole
from epkit.dictionary import Dictionary
from epkit.files import write_text
from epkit.inspect.names import SHARE, shared_pattern, word_of
from epkit.lm.text import StreamText, label_of, visible

FEWEST = 3
"""Members that can share something evidently."""

LONGEST_NAME = 80
"""Characters of a name; a longer one ends in …."""


def group_name(tokens: Sequence[str], before: Sequence[str]) -> str:
    """A readable name of a group of tokens, visible and of one line.

    Of words that are as common, the first are named.

    tokens, before : texts of the tokens, and of the token before each of them, "" where none is.
    """
    found = shared_pattern(tokens, before)
    if found.kind == "none" or len(tokens) < FEWEST:
        common = Counter(t.strip(" ").casefold() or t for t in tokens).most_common(2)
        return "≈ " + " | ".join(visible(label_of(word), 12) for word, _ in common)
    what = visible(label_of(found.what), 18)
    if found.kind == "after":
        return f"after '{what}'"
    if found.kind == "class":
        return f"[{what}]"
    led = Counter(word for word in map(word_of, before) if word).most_common(1)
    if led and led[0][1] >= SHARE * len(tokens):
        return f"{what}, after '{visible(label_of(led[0][0]), 12)}'"
    return what


def region_names(dictionary: Dictionary, text: StreamText) -> list[str]:
    """The names of all K regions, each by its kept random members."""
    members = dictionary.members
    order = members.random_distance.argsort(dim=1, stable=True)  # nan, where none is, comes last
    index = members.random_index.gather(1, order).cpu().numpy()
    there = index >= 0
    tokens, before = text.with_before(index[there])
    ends = there.sum(axis=1).cumsum()
    starts = [0, *ends[:-1]]
    return [
        group_name(tokens[a:b], before[a:b]) if b > a else "(no members kept)"
        for a, b in zip(starts, ends, strict=True)
    ]


class NameBook:
    """The names of a dictionary's regions: made by the rule when first asked for, or given.

    Attributes
    ----------
    given : {region: name} that a user, a function or a file gave.
    """

    def __init__(self, dictionary: Dictionary, text: StreamText) -> None:
        self.given: dict[int, str] = {}
        self._dictionary, self._text = dictionary, text
        self._names: list[str] | None = None

    @property
    def names(self) -> list[str]:
        """K names."""
        if self._names is None:
            names = region_names(self._dictionary, self._text)
            for region, name in self.given.items():
                names[region] = name
            self._names = names
        return self._names

    def give(self, region: int, name: str) -> None:
        """Call a region otherwise. Raises TypeError and ValueError for what is no name."""
        region = whole("region", region, 0, len(self._dictionary) - 1)
        if not isinstance(name, str):
            raise TypeError(f"a region's name must be text, got a {type(name).__name__}")
        name = visible(" ".join(name.split()), LONGEST_NAME)
        if not name:
            raise ValueError(f"the name of region {region} is empty; give it some letters")
        self.given[region] = name
        if self._names is not None:
            self._names[region] = name

    def save(self, path: str | Path) -> None:
        """All names to a JSON file, and which of them were given."""
        about = {
            "dictionary": dictionary_digest(self._dictionary),
            "names": self.names,
            "given": sorted(self.given),
        }
        write_text(Path(path), json.dumps(about, ensure_ascii=False, indent=0) + "\n")

    def load(self, path: str | Path) -> None:
        """Take the names of a file that `save` wrote, those that were given as given.

        Raises
        ------
        FileNotFoundError : there is no such file.
        ValueError : it is no such file, or names the regions of another dictionary.
        """
        try:
            about = json.loads(Path(path).read_text(encoding="utf-8"))
            of, names, given = (about[key] for key in ("dictionary", "names", "given"))
            given = {whole("region", k, 0, len(names) - 1): names[k] for k in given}
            sound = all(isinstance(name, str) and name for name in names)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} holds no names of regions; save_names writes them") from error
        if of != dictionary_digest(self._dictionary):
            raise ValueError(
                f"{path} names the regions of another dictionary; "
                "load the one that it was saved beside, or make names anew"
            )
        if not sound or len(names) != len(self._dictionary):
            raise ValueError(f"{path} is damaged: it has not one name for every region")
        self.given = {k: visible(name, LONGEST_NAME) for k, name in given.items()}
        self._names = [visible(name, LONGEST_NAME) for name in names]


def dictionary_digest(dictionary: Dictionary) -> str:
    """SHA-256 of what makes a dictionary's regions: its centre, exemplars and members' counts."""
    digest = hashlib.sha256()
    for part in (dictionary.centre, dictionary.exemplars, dictionary.counts):
        digest.update(part.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
