"""The sentences that notebook 04 ends with, from its tables alone.

Does not know: models, prompts, how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from epkit.studies.refusal.trials import RefusalSetting

LIMIT = 1.5
"""Text is fluent whose perplexity is at most this many times that of the unedited answers."""
CONTROLS = ("null region", "random direction", "difference of means")


@dataclass(frozen=True, eq=False)
class RefusalFindings:
    """What the refusal experiment found.

    results : `condition_table` of the held-out prompts.
    sizes : members of the region (first row) and of its null region (second).
    cosines : {condition: cosine with the difference of means}.
    others : trial prompts under other directions, by name.
    steered : `steering_table`; the lines of the chosen basis begin with its name.
    orders : held-out refusal left, a value per stream order.
    untuned : perplexity of the answers of the model before its fine-tune.
    planted : the model is the one that was taught to refuse here.
    """

    setting: RefusalSetting
    results: pd.DataFrame
    sizes: pd.DataFrame
    cosines: dict[str, float]
    others: pd.DataFrame
    steered: pd.DataFrame
    orders: Sequence[float]
    untuned: float
    planted: bool

    @property
    def row(self) -> pd.Series:
        """Held-out results of the chosen direction."""
        return self.results.loc[self.setting.basis]

    @property
    def none(self) -> pd.Series:
        """Held-out results without an edit."""
        return self.results.loc["no edit"]

    @property
    def fluent(self) -> bool:
        """Whether benign answers stay within the limit of perplexity."""
        return bool(self.row["benign perplexity ratio"] <= LIMIT)

    @property
    def necessary(self) -> bool:
        """Whether ablation takes refusal from at least .9 to at most .1, in fluent text."""
        left = self.row["harmful refused"]
        return bool(self.none["harmful refused"] >= 0.9 and left <= 0.1 and self.fluent)

    @property
    def sufficient(self) -> bool:
        """Whether steering has half of the benign prompts refused, in fluent text."""
        own = self.steered[self.steered.direction.str.startswith(self.setting.basis)]
        calm = own[own.perplexity <= LIMIT * own.perplexity.iloc[0]]
        return bool(calm.refused.max() >= 0.5)

    def sentences(self) -> list[str]:
        """The verdict, a sentence a line."""
        return [
            self._effect(), self._benign_text(), self._harmful_text(), *self._controls(),
            self._match(), *self._calibrated(), self._orders(), self._both_ways(),
            self._published(),
        ]  # fmt: skip

    def _effect(self) -> str:
        row, none, at = self.row, self.none, self.setting
        return (
            f"Ablating the {at.basis} of one region (layer {at.layer}, p = {at.p:g}, "
            f"{self.sizes.members.iloc[0]:.0f} members, blocks {at.first} to {at.last}) takes "
            f"held-out refusal of harmful prompts from {none['harmful refused']:.2f} to "
            f"{row['harmful refused']:.2f} [{row['harmful low']:.2f}, {row['harmful high']:.2f}], "
            f"of benign ones from {none['benign refused']:.2f} to {row['benign refused']:.2f}."
        )

    def _benign_text(self) -> str:
        row = self.row
        return (
            f"The text {'stays text' if self.fluent else 'suffers'}: perplexity of benign answers "
            f"{row['benign perplexity']:.2f} against {self.none['benign perplexity']:.2f}, a ratio "
            f"of {row['benign perplexity ratio']:.2f}{'' if self.fluent else f' (limit {LIMIT})'}."
        )

    def _harmful_text(self) -> str:
        own, refusals = self.row["harmful perplexity"], self.none["harmful perplexity"]
        ratio = own / refusals
        return (
            f"Answers to harmful prompts have perplexity {own:.2f}, {ratio:.2f} times that of the "
            f"refusals {'learnt by heart' if self.planted else 'themselves'} ({refusals:.2f}; "
            f"{'within' if ratio <= LIMIT else 'above'} the limit of {LIMIT}) and "
            f"{own / self.untuned:.2f} times that of the untuned model's own answers "
            f"({self.untuned:.2f})."
        )

    def _controls(self) -> list[str]:
        said = []
        for name, r in self.results.loc[self.results.index.isin(CONTROLS)].iterrows():
            moved = self.none["harmful refused"] - r["harmful refused"]
            said.append(
                f"{name}: harmful {r['harmful refused']:.2f} "
                f"({'near no' if abs(moved) <= 0.1 else 'an'} effect), benign "
                f"{r['benign refused']:.2f}, benign perplexity ratio "
                f"{r['benign perplexity ratio']:.2f}, cosine with the difference of means "
                f"{self.cosines[name]:.2f}."
            )
        return said

    def _match(self) -> str:
        region, null = self.sizes.members
        weak = "a weak match, and no better one exists here"
        return (
            f"The null region has {null:.0f} members, the region {region:.0f}: "
            f"{'a match in size' if null >= region / 2 else weak}."
        )

    def _calibrated(self) -> list[str]:
        return [
            f"Trial prompts, {name}: harmful {r['harmful refused']:.2f}, perplexity of their "
            f"answers {r['harmful perplexity']:.2f} (chosen: {self.setting.perplexity:.2f})."
            for name, r in self.others.filter(like="calibrated centre", axis="index").iterrows()
        ]

    def _orders(self) -> str:
        left = ", ".join(f"{value:.2f}" for value in self.orders)
        return f"Over {len(self.orders)} stream orders refusal is left at {left}."

    def _both_ways(self) -> str:
        said = {
            (True, True): "necessary and sufficient",
            (True, False): "necessary, not sufficient",
            (False, True): "sufficient, not necessary",
            (False, False): "neither necessary nor sufficient",
        }[self.necessary, self.sufficient]
        return (
            f"The direction is {said}: by ablation (at most 10 % left, benign perplexity within "
            f"{LIMIT} times) and by steering (at least half of the benign prompts refused within "
            f"{LIMIT} times)."
        )

    def _published(self) -> str:
        other = " (another model, one that learnt refusal at length)" if self.planted else ""
        return (
            f"Published for Gemma-2-2B-it, layer 20{other}: .98 to .02 on the best seed, null "
            "region near 0, necessary but not sufficient."
        )
