"""The sentences that notebook 05 ends with, from its tables alone.

Does not know: models, texts, how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from epkit.stats import Interval
from epkit.studies.ood.alarms import FreshAlarms
from epkit.studies.ood.readings import EP
from epkit.studies.ood.separation import MEAN
from epkit.studies.ood.tables import signed_interval


@dataclass(frozen=True, eq=False)
class OODFindings:
    """What the out-of-distribution notebook found.

    layer, p : of the dictionary that is shown. corpora : the foreign ones. reference : the other.
    methods : `method_rows`. minus : {level: `difference_table`}. against : {level: `random_table`}.
    caught : `caught_table`, whole texts of `text_tokens` last. alarms : among fresh texts, of a
    monitor asked for `asked`. cleaned : `before_and_after` by (corpus, level), and `left_out` =
    (documents, activations, of all activations), the Cyrillic ones. published : claims.
    """

    layer: int
    p: float
    corpora: Sequence[str]
    reference: str
    methods: pd.DataFrame
    minus: Mapping[str, pd.DataFrame]
    against: Mapping[str, pd.DataFrame]
    cleaned: pd.DataFrame
    left_out: tuple[int, int, int]
    published: pd.DataFrame
    caught: pd.DataFrame
    alarms: FreshAlarms
    asked: float
    text_tokens: int

    def sentences(self) -> list[str]:
        """The verdict, a sentence a line."""
        return [
            self._separation(), self._unflagged(), *self._minus(), *self._against(),
            *self._cleaned(), *self._published(), self._monitor(),
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
            f"{says(token[method])}; texts {signed_interval(text[method])}, {says(text[method])}."
            for method in token.index
        ]

    def _against(self) -> list[str]:
        said = []
        for level, table in self.against.items():
            cells = table.to_numpy().ravel()
            counts = [sum(says(c) == word for c in cells) for word in (HIGHER, LOWER, OPEN)]
            said.append(
                f"Against random exemplars at equal K, {level}s, {len(cells)} settings: EP higher "
                f"in {counts[0]}, lower in {counts[1]}, no difference shown in {counts[2]}; median "
                f"difference {np.median([c.value for c in cells]):+.3f}."
            )
        return said

    def _cleaned(self) -> list[str]:
        documents, n, n_all = self.left_out
        if not n or "bulgarian" not in self.corpora:
            return []
        levels = ("token", "text")
        own = [self.cleaned.loc[("bulgarian", level)] for level in levels]
        went = [f"{r['as built'].value:.2f} to {r['without'].value:.2f}" for r in own]
        random = [f"{r['without, random exemplars'].value:.2f}" for r in own]
        mean = [self.cleaned.loc[(MEAN, x), "without, EP − random"] for x in levels]
        return [
            f"{n:,} of {n_all:,} build activations come from {documents} Cyrillic document(s). "
            f"Without them Bulgarian goes from AUROC {went[0]} over tokens and {went[1]} over "
            f"texts (random exemplars {random[0]} and {random[1]}). A nearest exemplar asks "
            "whether anything alike was ever seen, so a single document can count. "
            "EP − random exemplars without it, mean over corpora: "
            f"tokens {signed_interval(mean[0])}, texts {signed_interval(mean[1])}."
        ]

    def _published(self) -> list[str]:
        return [
            f"  {row.claim}: published {row.published}; here {row.here}"
            for row in self.published.itertuples()
        ]

    def _monitor(self) -> str:
        whole, found = self.caught.iloc[:, -1], self.alarms
        shares = ", ".join(f"{name} {whole[name].value:.0%}" for name in self.corpora)
        return (
            f"The monitor, asked for {self.asked:g}, flags {found.count} of {found.n} fresh texts "
            f"({found.rate.value:.3f} [{found.rate.low:.3f}, {found.rate.high:.3f}]) and, of texts "
            f"of {self.text_tokens} tokens, {shares}."
        )


HIGHER, LOWER, OPEN = "higher", "lower", "not shown to differ"


def says(cell: Interval) -> str:
    """What a difference shows, by whether its interval holds zero."""
    return HIGHER if cell.low > 0 else LOWER if cell.high < 0 else OPEN
