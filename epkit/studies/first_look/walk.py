"""Which regions are looked at first: a clear one, a surprising one, a bad one, each by a rule.

Of the regions with at least `FEWEST` members:

- clear        the most coherent of those whose random members share a word, an ending or the
               word before them
- surprising   the most coherent of those whose random members share no token, word, ending, class
               nor word before them: the model has put together what does not look alike
- bad          the least coherent

Does not know: models, HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from epkit.inspect.names import SharedPattern, shared_pattern
from epkit.inspect.regions import Regions

FEWEST = 20

RULES = {
    "A clear one": "the most coherent region whose members share a word or an ending",
    "A surprising one": "the most coherent region whose members share no form that a rule can see",
    "A bad one": "the least coherent region",
}


@dataclass(frozen=True)
class Stop:
    """A region of the walk, and why it is on it."""

    region: int
    title: str
    why: str


def group_patterns(regions: Regions, groups: Sequence[np.ndarray]) -> list[SharedPattern]:
    """What the tokens at every group of stream positions share."""
    return [shared_pattern(*regions.text.with_before(index)) for index in groups]


def walk(regions: Regions) -> list[Stop]:
    """The three stops; fewer where no region is of a kind.

    Where no region has `FEWEST` members, all regions count.
    """
    d = regions.dictionary
    large = (d.counts >= FEWEST).nonzero()[:, 0].tolist() or list(range(len(d)))
    groups = [d.members.of(k, "random")[0].numpy() for k in large]
    patterns = dict(zip(large, group_patterns(regions, groups), strict=True))
    by_coherence = sorted(large, key=lambda k: -float(d.coherence[k]))
    candidates = {
        "A clear one": [k for k in by_coherence if _is_clear(patterns[k])],
        "A surprising one": [k for k in by_coherence if patterns[k].kind == "none"],
        "A bad one": by_coherence[::-1],
    }
    return [Stop(ks[0], title, RULES[title]) for title, ks in candidates.items() if ks]


def _is_clear(found: SharedPattern) -> bool:
    """A trait narrower than a class, with a letter in it."""
    return found.kind not in ("none", "class") and any(c.isalpha() for c in found.what)
