"""The verdict of notebook 06: its tables in sentences, worded as the numbers have it.

Does not know: dictionaries, models; it reads tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from epkit.studies.base_vs_tuned.matched import FLOOR, TUNED
from epkit.studies.base_vs_tuned.rows import WEB
from epkit.studies.base_vs_tuned.sought import ALPHA, Choice

NEAR = 0.1
"""Shares persisted that differ by less are called alike."""


@dataclass(frozen=True, eq=False)
class MembershipFindings:
    """What the verdict reads.

    choice : made on half A of the first habit. sought : `sought_table` of EP. random : the same
    with random exemplars, a table a draw. moved : `moved_table` at the chosen layer. places
    {habit: where it acts}. matched : `matched_orders`. embedded : the pair that is taught here.
    """

    choice: Choice
    sought: pd.DataFrame
    random: Sequence[pd.DataFrame]
    moved: pd.DataFrame
    places: Mapping[str, str]
    matched: pd.DataFrame
    embedded: bool

    def sentences(self) -> list[str]:
        """The sentences, one a line."""
        found = self.sought[self.sought.half == "B"]
        own = found[found.taught == found["looked for"]]
        other = found[found.taught != found["looked for"]]
        lines = [self._choice(), *(self._own(row) for _, row in own.iterrows())]
        lines += [self._other(row) for _, row in other.iterrows()]
        lines += [self._alarms(other)] if len(other) else []
        return [*lines, self._controls(own), self._matched(), self._published()]

    def _choice(self) -> str:
        layer, p, score = self.choice
        moved = "; ".join(
            f"taught {name}, {self.moved[name][self.places[name]]:.3f} where it acts, "
            f"{self.moved[name][WEB]:.4f} on web text"
            for name in self.moved
        )
        return (
            f"Chosen on half A of the first habit: layer {layer}, p {p:g}, {score}. Median "
            f"distance of the same token in base and tuned: {moved}."
        )

    def _own(self, row: pd.Series) -> str:
        where = (
            f"Taught {row.taught}, half B: the region that holds most of its place "
            f"({row.members} members, {row.share:.0%} of them there) is {row['rank']} of {row.n} "
            f"(p {row.p:.3f}, {1 / row.n:.3f} at least): "
        )
        if row.p <= ALPHA:
            return where + "found."
        return where + f"not found; it would have taken {row.needed:.3f}, it has {row.value:.3f}."

    def _other(self, row: pd.Series) -> str:
        place = self.places[row["looked for"]]
        own = self.moved[row["looked for"]][place] if row["looked for"] in self.moved else None
        return (
            f"Taught {row.taught}, the region of {row['looked for']}: {row['rank']} of {row.n} "
            f"(p {row.p:.3f}), "
            + ("which calls it changed: a false alarm" if row.p <= ALPHA else "not called changed")
            + ("" if own is None else
               f"; its place moved {self.moved[row.taught][place]:.3f} here, {own:.3f} where that "
               "habit was taught")
            + "."
        )  # fmt: skip

    def _alarms(self, other: pd.DataFrame) -> str:
        false = int((other.p <= ALPHA).sum())
        return (
            f"{false} of {len(other)} regions of a habit that was not taught are among the highest "
            "twentieth: "
            + ("displacement shows where a fine-tune acted, not what it taught."
               if false else "what moved is what was taught.")
        )  # fmt: skip

    def _controls(self, own: pd.DataFrame) -> str:
        said = []
        for name, row in own.set_index("taught").iterrows():
            draws = [
                t[(t.half == "B") & (t.taught == name) & (t["looked for"] == name)].p.iloc[0]
                for t in self.random
            ]
            hits = sum(p <= ALPHA for p in draws)
            said.append(
                f"{name} found in {hits} of {len(draws)} draws (p {min(draws):.3f} to "
                f"{max(draws):.3f}; EP {row.p:.3f})"
            )
        return f"Random exemplars at equal K: {'; '.join(said)}."

    def _matched(self) -> str:
        floor, tuned = (self.matched.loc[name] for name in (FLOOR, TUNED))
        kept = "persisted ≥ .7"
        near = abs(floor[kept].value - tuned[kept].value) < NEAR
        return (
            "The published match of exemplars, web text, two stream orders: "
            f"{tuned[kept].value:.0%} of regions persist between base and tuned, "
            f"{floor[kept].value:.0%} between base and base (median cosine "
            f"{tuned['median cosine'].value:.2f} and {floor['median cosine'].value:.2f}): "
            + ("what the fine-tune did cannot be told from what order does."
               if near else "the fine-tune costs more than order does.")
        )  # fmt: skip

    def _published(self) -> str:
        other = "another model, far more tuning, " if self.embedded else ""
        return (
            f"Published for Gemma-2-2B against -it ({other}one order each, no floor): layer 12, p "
            "10, 15 of 203 and 145 regions persisted at .7; layer 20, 5."
        )
