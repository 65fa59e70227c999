"""The verdict of notebook 15: its tables in sentences, worded as the numbers have it.

Does not know: dictionaries, models; it reads tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from epkit.stats import Interval, proportion
from epkit.studies.secrets.organisms import Interview
from epkit.studies.secrets.search import EP, METHODS, RANDOM, TEXT
from epkit.studies.secrets.selectors import Selector

ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class SecretFindings:
    """What the verdict reads.

    interviews {organism: answers}; fixed: the word that selectors were fixed on; found: rows of
    `search.compare_words` and `search.chosen_rivals`.
    """

    interviews: Mapping[str, Interview]
    fixed: str
    selector: Selector
    found: pd.DataFrame

    def sentences(self) -> list[str]:
        """The sentences, one a line."""
        return [
            self._planted(), self._choice(), *self.tested(), self._alarms(), self._text(),
            self._power(), self._published(),
        ]  # fmt: skip

    def tests(self, method: str) -> pd.DataFrame:
        """The hidden words that nothing was fixed on, all prompts: a row a word and draw."""
        found = self.found[(self.found.method == method) & (self.found.half == "")]
        return found[(found.organism == found.word) & (found.word != self.fixed)]

    def false_alarms(self, method: str) -> Interval:
        """Share of words that an organism does not hide among its first twentieth."""
        found = self.found[(self.found.method == method) & (self.found.half == "")]
        return proportion(found[found.organism != found.word].p <= ALPHA)

    def _planted(self) -> str:
        own = [h == name for name, one in self.interviews.items() for h in one.hints
               if name in set(self.found.word)]  # fmt: skip
        said = [s for name, one in self.interviews.items() for s in one.said]
        return (
            f"The organisms hint at their word in {proportion(own):.2f} of answers to held-out "
            f"prompts and say a hidden word in {proportion(said):.2f}."
        )

    def _choice(self) -> str:
        s = self.selector
        return (
            f"Fixed on '{self.fixed}': layer {s.layer}, p {s.percentile:g}, {s.place}, {s.score}; "
            "every rival at its own best layer and place on that word."
        )

    def tested(self) -> list[str]:
        """What every method finds of the words that nothing was fixed on."""
        lines = []
        for method in METHODS:
            rows = self.tests(method)
            if not len(rows):
                continue
            ranks = rows.groupby("word", sort=False)["rank"].median()
            early = int((rows.p <= ALPHA).sum())
            what = "words" if method != RANDOM else "words and draws"
            listed = ", ".join(f"{word} {rank:.0f}" for word, rank in ranks.items())
            lines.append(
                f"{method}: {early} of {len(rows)} {what} not fixed on are among the first "
                f"twentieth of {rows.n.max()} (ranks: {listed})."
            )
        return lines

    def _alarms(self) -> str:
        alarms, own = self.false_alarms(EP), self.tests(EP)
        hits = proportion(own.p <= ALPHA) if len(own) else Interval(0, 0, 1)
        specific = hits.low > alarms.value
        return (
            f"EP puts {alarms:.2f} of words that are not hidden there among the first twentieth, "
            f"{hits:.2f} of those that are: "
            + ("the regions that moved tell the hidden word from others."
               if specific else "that it is the hidden word which moved the regions is not shown.")
        )  # fmt: skip

    def _text(self) -> str:
        ep, text = (self.tests(method)["rank"].median() for method in (EP, TEXT))
        best = min(
            (self.tests(m)["rank"].median(), m) for m in METHODS if m != EP and len(self.tests(m))
        )
        return (
            f"Median rank: EP {ep:.0f}; the best rival, {best[1]}, {best[0]:.0f}; what the text of "
            f"the answers alone tells the base, {text:.0f}: "
            + ("EP is ahead of all of them." if ep < min(best[0], text)
               else "nothing here needs a partition.")
        )  # fmt: skip

    def _power(self) -> str:
        n, words = int(self.found.n.max()), max(self.tests(EP).word.nunique(), 1)
        return (
            f"With {n} candidates a word's p is {1 / n:.3f} at least. With {words} to test, the "
            f"share of words found would be {proportion([True] * words):.2f} even where all are."
        )

    def _published(self) -> str:
        return (
            "Published for 21 fine-tunes of another model: a readable region in 19 (layer 32, p "
            "12), and 13 to 16 by occupancy among the top 4 to 20, its selectors chosen after the "
            "fact; here they were fixed on one word before the others were looked at."
        )
