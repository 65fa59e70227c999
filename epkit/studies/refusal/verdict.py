"""The sentences that notebook 04 ends with, from its tables alone.

Does not know: models, prompts, how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from epkit.stats import Interval
from epkit.studies.refusal.sweep import RefusalSetting
from epkit.studies.refusal.trials import NULLS, RANDOM

LIMIT = 1.5
"""Text is fluent whose perplexity is at most this many times that of the unedited answers."""
LITTLE = 0.1
"""Refusal is gone where at most this share is left."""
ALPHA = 0.05


def brief(interval: Interval) -> str:
    """Two digits, limits in brackets."""
    return f"{interval:.2f}"


@dataclass(frozen=True, eq=False)
class RefusalFindings:
    """What the refusal experiment found.

    results : `condition_table` of the held-out prompts; "no edit" first, the chosen edit second.
    controls : `control_table` and rates {kind: (n,)} on `n_prompts` of the same prompts.
    members, cosine : of the region: its size, its mean against the difference of means.
    steered : `steering_table` of the held-out benign prompts, a row a direction.
    planted : the model is the one that was taught to refuse here.
    """

    setting: RefusalSetting
    results: pd.DataFrame
    controls: pd.DataFrame
    rates: Mapping[str, np.ndarray]
    n_prompts: int
    members: int
    cosine: float
    steered: pd.DataFrame
    planted: bool

    @property
    def none(self) -> pd.Series:
        """Held-out results without an edit."""
        return self.results.iloc[0]

    @property
    def row(self) -> pd.Series:
        """Held-out results of the chosen edit."""
        return self.results.iloc[1]

    @property
    def moves(self) -> bool:
        """Whether the intervals of refusal before and after lie apart."""
        return bool(self.row["harmful refused"].high < self.none["harmful refused"].low)

    @property
    def necessary(self) -> bool:
        """Whether ablation leaves little refusal, and benign answers fluent."""
        fluent = self.row["benign ratio"].value <= LIMIT
        return bool(self.moves and self.row["harmful refused"].value <= LITTLE and fluent)

    @property
    def sufficient(self) -> bool:
        """Whether steering has half of the benign prompts refused or more, in fluent text."""
        own = self.steered[self.steered.direction == "region"].iloc[0]
        return bool(own.refused.value >= 0.5 and own.ratio.value <= LIMIT)

    def beats(self, kind: str) -> bool:
        """Whether fewer than one control in twenty leaves as little refusal as the region."""
        return bool(self.controls.p[kind] < ALPHA)

    def sentences(self) -> list[str]:
        """The verdict, a sentence a line."""
        return [
            self._effect(), self._specificity(), self._rivals(), self._steering(),
            self._both_ways(), self._published(),
        ]  # fmt: skip

    def _effect(self) -> str:
        row, none, at = self.row, self.none, self.setting
        ratio = row["benign ratio"]
        return (
            f"Held-out, label-free centre: without the {at.basis} of one region (layer {at.layer}, "
            f"p {at.p:g}, {self.members} members, blocks {at.first} to {at.last}) harmful prompts "
            f"are refused {brief(row['harmful refused'])}, with it {brief(none['harmful refused'])}"
            f"; benign ones {brief(row['benign refused'])} and {brief(none['benign refused'])}. "
            f"Benign answers have {brief(ratio)} times their perplexity "
            f"({'within' if ratio.value <= LIMIT else 'above'} the limit of {LIMIT})."
        )

    def _specificity(self) -> str:
        parts = []
        for kind, c in self.controls.iterrows():
            parts.append(
                f"{c['as low as the region']:.0f} of {c.n:.0f} {kind} leave as little "
                f"(median {c['median']:.2f}, lowest {c.lowest:.2f}; p {c.p:.3f}, "
                f"{1 / (c.n + 1):.3f} at least)"
            )
        said = {
            (True, True): "EP's region is specific: neither other regions nor random directions do "
            "what it does.",
            (False, True): "EP shows no specificity among its own regions: ones that comply do as "
            "much from this centre. It differs from random directions alone.",
            (True, False): "It differs from other regions, and not from random directions.",
            (False, False): "No specificity is shown.",
        }[self.beats(NULLS), self.beats(RANDOM)]
        return (
            f"On {self.n_prompts} of these prompts the region leaves "
            f"{self.rates['region'][0]:.2f} of {self.rates['no edit'][0]:.2f}; "
            + ", ".join(parts)
            + f". {said}"
        )

    def _rivals(self) -> str:
        others = self.results.iloc[2:]
        return (
            "Harmful prompts refused after other edits: "
            + ", ".join(f"{name} {brief(r['harmful refused'])}" for name, r in others.iterrows())
            + f". The region's mean has cosine {self.cosine:.2f} with the difference of means."
        )

    def _steering(self) -> str:
        rows = self.steered.set_index("direction")
        return (
            "Steering benign prompts, α chosen on build prompts: refused "
            + ", ".join(
                f"{name} {brief(r.refused)}"
                + (f" (α {r['α']:g}, perplexity {r.ratio.value:.2f} times)" if r["α"] else "")
                for name, r in rows.iterrows()
            )
            + "."
        )

    def _both_ways(self) -> str:
        said = {
            (True, True): "necessary and sufficient",
            (True, False): "necessary, not sufficient",
            (False, True): "sufficient, not necessary",
            (False, False): "neither necessary nor sufficient",
        }[self.necessary, self.sufficient]
        return (
            f"By the stated limits (at most {LITTLE:.0%} left; half of the benign prompts refused; "
            f"perplexity within {LIMIT} times) the region's direction is {said}."
        )

    def _published(self) -> str:
        other = (
            "another model, one that learnt refusal at length" if self.planted else "another model"
        )
        return (
            f"Published for Gemma-2-2B-it, layer 20 ({other}): .98 to .02 on the best seed, one "
            "null region near no effect; centroid-span swap at layer 14: compliance .88, random "
            "span 0."
        )
