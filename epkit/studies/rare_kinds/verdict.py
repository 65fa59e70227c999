"""The sentences that notebook 13 ends with, from its tables alone.

Does not know: activations, texts, how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from epkit.stats import Interval
from epkit.studies.rare_kinds.kinds import NO_KIND
from epkit.studies.rare_kinds.readers import EP, RANDOM
from epkit.studies.rare_kinds.tables import (
    BUDGET,
    found_table,
    kind_differences,
    least_shown,
    power,
    reading_table,
    setting_of,
)


@dataclass(frozen=True, eq=False)
class RareFindings:
    """What the notebook found.

    table : `by_kind`, its rules chosen on kind `chosen_on`. prevalence, p : the headline's.
    planted, n : activations of a kind and of the stream there.
    """

    table: pd.DataFrame
    chosen_on: str
    prevalence: float
    p: float
    planted: int
    n: int

    @property
    def kinds(self) -> list[str]:
        return [kind for kind in self.table.kind.unique() if kind != NO_KIND]

    @property
    def tested(self) -> list[str]:
        """Kinds on which no rule was chosen."""
        return [kind for kind in self.kinds if kind != self.chosen_on]

    def sentences(self) -> list[str]:
        """The verdict, a sentence a line."""
        own = setting_of(self.table, self.prevalence, self.p)
        minus = kind_differences(own, ["found", "recall", "false_share"], self.kinds)
        return [
            self._found(own), *self._minus(minus), self._none(own), *self.elsewhere(),
            *self._reading(own), self.answer(),
        ]  # fmt: skip

    def _found(self, own: pd.DataFrame) -> str:
        shown = found_table(own)
        runs = "; ".join(f"{m} {row.found}, recall {row.recall:.2f}" for m, row in shown.iterrows())
        return (
            f"{self.planted} of {self.n:,} activations ({self.prevalence:g} %), p {self.p:g}, "
            f"K ≈ {own.K.mean():,.0f}, {len(self.kinds)} kinds: runs with a region of the kind: "
            f"{runs}."
        )

    def _minus(self, minus: pd.DataFrame) -> list[str]:
        return [
            f"  EP less {method}: found {row.found:+.2f}{least_shown(row.found)}, EP is "
            f"{stands(row.found)}; recall {row.recall:+.3f}{least_shown(row.recall)}, "
            f"{stands(row.recall)}; false share {row.false_share.value:+.4f}."
            for method, row in minus.iterrows()
        ]

    def _none(self, own: pd.DataFrame) -> str:
        ep = own[own.method == EP].set_index("kind").found
        more = sum(ep[kind] > ep[NO_KIND] for kind in self.kinds)
        return (
            f"Passages of web text that are no kind have a region of EP in {ep[NO_KIND]:.0%} of "
            f"runs; {more} of {len(self.kinds)} kinds have one more often, never: "
            f"{listed(kind for kind in self.kinds if not ep[kind])}."
        )

    def elsewhere(self) -> list[str]:
        """At every other prevalence and percentile, what EP finds and whom it is ahead of."""
        measured = dict.fromkeys(zip(self.table.prevalence, self.table.p, strict=True))
        said = []
        for prevalence, p in sorted(set(measured) - {(self.prevalence, self.p)}):
            at = setting_of(self.table, prevalence, p)
            cells = kind_differences(at, ["found"], self.kinds).found
            said.append(
                f"At {prevalence:g} %, p {p:g} (K ≈ {at.K.mean():,.0f}): "
                f"EP {found_table(at).found[EP]}; ahead of "
                f"{listed(m for m, c in cells.items() if stands(c) == MORE)}; behind "
                f"{listed(m for m, c in cells.items() if stands(c) == FEWER)}."
            )
        return said

    def _reading(self, own: pd.DataFrame) -> list[str]:
        if len(self.tested) < 2:
            return []
        reading = reading_table(own, self.tested)
        said = [
            f"Without knowing the kinds, rules chosen on {self.chosen_on}, tested on "
            f"{len(self.tested)} others: "
            + "; ".join(
                f"{m} ({row.rule}) {row.read:.0f} regions until a kind is seen, "
                f"{row['of random order']:.2f} of what random order takes, within {BUDGET} in "
                f"{row[f'seen within {BUDGET}']:.0%}"
                for m, row in reading.iterrows()
            )
            + "."
        ]
        minus = kind_differences(own, ["log2_read"], self.tested).log2_read
        for method, cell in minus.items():
            said.append(f"  EP's reading is {power(cell):.2f} of that of {method}: {reads(cell)}.")
        return said

    def ahead(self) -> tuple[list[str], list[str]]:
        """Readers that EP finds kinds in more runs than, and the others."""
        own = setting_of(self.table, self.prevalence, self.p)
        cells = kind_differences(own, ["found"], self.kinds).found
        more = [m for m, cell in cells.items() if stands(cell) == MORE]
        return more, [m for m in cells.index if m not in more]

    def unlike_holds(self) -> bool:
        """Whether reading EP's most unlike regions first takes fewer than random order and than
        random exemplars' most unlike."""
        own = setting_of(self.table, self.prevalence, self.p)
        if len(self.tested) < 2:
            return False
        cell = reading_table(own, self.tested).loc[EP, "of random order"]
        minus = kind_differences(own, ["log2_read"], self.tested).log2_read
        return cell.high < 1 and minus[RANDOM].high < 0

    def answer(self) -> str:
        """The study's answer in a sentence or two."""
        more, others = self.ahead()
        found = (
            f"At {self.prevalence:g} % EP has a region of a rare kind in more runs than "
            f"{listed(more)}; not shown for {listed(others)}."
        )
        shown = (
            "Read most unlike first, its regions show a kind sooner than in random order and than "
            "random exemplars do."
            if self.unlike_holds()
            else "That reading its most unlike regions first shows a kind sooner than random order "
            "and random exemplars do is not shown."
        )
        return f"{found} {shown}"


MORE, FEWER, OPEN = "ahead", "behind", "not shown to differ"


def stands(cell: Interval) -> str:
    """What a difference shows, by whether its interval holds zero."""
    return cell.side(MORE, FEWER, OPEN)


def reads(cell: Interval) -> str:
    """The same of regions read, where fewer is better."""
    return {MORE: "more", FEWER: "fewer", OPEN: OPEN}[stands(cell)]


def listed(names: Iterable[str]) -> str:
    """Names in a row; "none" for none."""
    return ", ".join(names) or "none"
