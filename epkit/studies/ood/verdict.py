"""The sentences that notebook 05 ends with, from its tables alone.

Does not know: models, texts, how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from epkit.stats import Interval, minimum_detectable
from epkit.studies.ood.alarms import FreshAlarms
from epkit.studies.ood.readings import EP, RANDOM
from epkit.studies.ood.separation import MEAN
from epkit.studies.ood.tables import signed_interval


@dataclass(frozen=True, eq=False)
class OODFindings:
    """What the out-of-distribution notebook found.

    layer, p : the headline's, by the published depth. corpora : the foreign ones. reference : the
    other. methods : `method_rows`. minus : {level: `difference_table`}. against, strict : {level:
    `random_table`}, at 95 % and at the level that allows for the number of settings. caught :
    `caught_table`, whole texts of `text_tokens` last. alarms : among fresh texts, of a monitor
    asked for `asked`. cyrillic : `clean_and_not` by (corpus, level), and `left_out` = (documents,
    activations) that the build did not read. published : claims.
    """

    layer: int
    p: float
    corpora: Sequence[str]
    reference: str
    methods: pd.DataFrame
    minus: Mapping[str, pd.DataFrame]
    against: Mapping[str, pd.DataFrame]
    strict: Mapping[str, pd.DataFrame]
    cyrillic: pd.DataFrame
    left_out: tuple[int, int]
    published: pd.DataFrame
    caught: pd.DataFrame
    alarms: FreshAlarms
    asked: float
    text_tokens: int

    def sentences(self) -> list[str]:
        """The verdict, a sentence a line."""
        return [
            self._separation(), *self._minus(), *self._against(), self._unflagged(),
            *self._cyrillic(), *self._published(), self._monitor(),
        ]  # fmt: skip

    def _separation(self) -> str:
        ep = self.methods[self.methods.method == EP].set_index("corpus")
        found = [f"{n} {ep.token[n].value:.2f} ({ep.text[n].value:.2f})" for n in self.corpora]
        return (
            f"Layer {self.layer}, p = {self.p:g}, AUROC of tokens (texts) against unseen "
            f"{self.reference}: {', '.join(found)}."
        )

    def _unflagged(self) -> str:
        whole = self.caught.iloc[:, -1]
        names = [name for name in self.corpora if whole[name].high < 0.5]
        return f"Hardly ever flagged by the monitor: {', '.join(names) or 'none'}."

    def _minus(self) -> list[str]:
        token, text = self.minus["token"][MEAN], self.minus["text"][MEAN]
        return [
            f"  EP − {method}, mean over corpora: tokens {signed_interval(token[method])}, EP is "
            f"{says(token[method])}{detectable(token[method])}; texts "
            f"{signed_interval(text[method])}, {says(text[method])}{detectable(text[method])}."
            for method in token.index
        ]

    def _against(self) -> list[str]:
        said = []
        for level, table in self.against.items():
            cells, strict = table.to_numpy().ravel(), self.strict[level].to_numpy().ravel()
            counts = [sum(says(c) == word for c in cells) for word in (HIGHER, LOWER)]
            sure = [sum(says(c) == word for c in strict) for word in (HIGHER, LOWER)]
            said.append(
                f"Against random exemplars at equal K, {level}s, {len(cells)} settings: EP higher "
                f"in {counts[0]}, lower in {counts[1]}; allowing for their number (Bonferroni), "
                f"higher in {sure[0]}, lower in {sure[1]}; median difference "
                f"{np.median([c.value for c in cells]):+.3f}."
            )
        return said

    def _cyrillic(self) -> list[str]:
        documents, n = self.left_out
        if not n or "bulgarian" not in self.corpora:
            return []
        own = [self.cyrillic.loc[("bulgarian", level)] for level in ("token", "text")]
        went = [f"{r['as built'].value:.2f} to {r['with them'].value:.2f}" for r in own]
        random = [f"{r['with them, random exemplars'].value:.2f}" for r in own]
        return [
            f"Aside: with the {documents} Cyrillic document(s) of the corpus in the build ({n:,} "
            f"activations) Bulgarian goes from AUROC {went[0]} over tokens and {went[1]} over "
            f"texts (random exemplars {random[0]} and {random[1]})."
        ]

    def _published(self) -> list[str]:
        claims = [
            f"  {row.claim}: published {row.published}; here {row.here}"
            for row in self.published.itertuples()
        ]
        return [*claims, "  (A later version of the paper no longer makes the claim.)"]

    def _monitor(self) -> str:
        whole, found = self.caught.iloc[:, -1], self.alarms
        shares = ", ".join(f"{name} {whole[name].value:.0%}" for name in self.corpora)
        return (
            f"The monitor, asked for {self.asked:g}, flags {found.count} of {found.n} fresh texts "
            f"({found.rate:.3f}) and, of texts "
            f"of {self.text_tokens} tokens, {shares}."
        )

    def answer(self) -> str:
        """The study's answer in a sentence."""
        cell = self.minus["token"].loc[RANDOM, MEAN]
        than = "from" if says(cell) == OPEN else "than"
        return (
            f"Layer {self.layer} (nearest to the published depth), p {self.p:g}: AUROC of tokens "
            f"of {len(self.corpora)} strange kinds is {says(cell)} {than} that of random exemplars "
            f"at equal K: {signed_interval(cell)}."
        )


def detectable(cell: Interval) -> str:
    """What an open difference could have shown, in brackets; nothing where it is shown."""
    if says(cell) != OPEN:
        return ""
    return f" (detectable: {minimum_detectable(cell):.3f})"


HIGHER, LOWER, OPEN = "higher", "lower", "not shown to differ"


def says(cell: Interval) -> str:
    """What a difference shows, by whether its interval holds zero."""
    return cell.side(HIGHER, LOWER, OPEN)
