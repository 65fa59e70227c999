"""Figures of the comparison of dictionaries with SAE latents and with labels.

A kind of dictionary has one colour and marker in all of them. Bars are 95 % intervals.

Does not know: how the numbers came about.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epkit.stats import Interval, bootstrap_mean
from epkit.studies.sae_and_probes import EP, KINDS, RANDOM
from epkit.studies.sae_and_probes.comparison import LatentMatches
from epkit.studies.sae_and_probes.scores import RAW, ProbeScores, headline_readout

STYLES = dict(zip(KINDS, (f"C{i}" for i in (0, 2, 4, 5, 1, 3)), strict=True))
MARKERS = dict(zip(KINDS, "o^DvsP", strict=True))
SCALE_LINES = ("--", "-.", ":")


def plot_answer(
    matched: LatentMatches, scores: ProbeScores, percentiles: Sequence[float], p: float, title: str
) -> Figure:
    """Left: tokens whose region has a latent's tokens, by p; right: probes less random exemplars.

    p : of the right panel.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.2), layout="constrained")
    _matches(left, matched, sorted(percentiles))
    _differences(right, scores.headline(p)["against random"].dropna())
    right.set_title(f"labels, p = {p:g}: {len(scores.names)} sets")
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False
    )
    figure.suptitle(title)
    return figure


def plot_sets(scores: ProbeScores, p: float, kinds: Sequence[str], title: str) -> Figure:
    """AUROC of the raw probe and of kinds at p on every set, from the hardest in training up."""
    order = np.argsort(list(scores.trained.values()), kind="stable")
    figure, axis = plt.subplots(figsize=(8, 0.34 * len(order) + 1.6), layout="constrained")
    y = np.arange(len(order))
    axis.scatter(scores.raw(RAW)[order], y, marker="|", s=90, color="black", label="raw", zorder=3)
    for kind in kinds:
        values = scores.values(kind, p, headline_readout(kind))[order]
        axis.scatter(values, y, s=30, color=STYLES[kind], marker=MARKERS[kind], label=kind)
    names = [f"{scores.names[i]} ({scores.strata[i]})" for i in order]
    axis.set_yticks(y, names, fontsize=8)
    axis.grid(axis="y", alpha=0.3)
    axis.set(xlabel="AUROC on test texts", title=title)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    return figure


def _matches(axis: Axes, matched: LatentMatches, percentiles: list[float]) -> None:
    kinds = [kind for kind in KINDS if (kind, percentiles[0]) in matched.groups]
    for i, kind in enumerate(kinds):
        shares = [bootstrap_mean(matched.tokens((kind, p))) for p in percentiles]
        at = np.arange(len(percentiles)) + (i - (len(kinds) - 1) / 2) * 0.07
        _bars(axis, at, shares, kind)
    scale = [key for key in matched.groups if key[1] is None]
    for line, key in zip(SCALE_LINES, scale, strict=False):
        axis.axhline(matched.tokens(key).mean(), color="0.4", lw=1, ls=line, label=key[0])
    axis.set_xticks(range(len(percentiles)), [f"{p:g}" for p in percentiles])
    axis.set(
        title="members that are a latent's top tokens", xlabel="percentile p of the threshold (%)",
        ylabel="share of held-out tokens (F1 > .5)", ylim=(0, None),
    )  # fmt: skip


def _bars(axis: Axes, at: np.ndarray, intervals: Sequence[Interval], kind: str) -> None:
    value, low, high = np.array(intervals).T
    axis.errorbar(
        at, value, [value - low, high - value], color=STYLES[kind], marker=MARKERS[kind], ms=5,
        lw=1, capsize=2, label=kind,
    )  # fmt: skip


def _differences(axis: Axes, gaps: pd.Series) -> None:
    for y, (kind, gap) in enumerate(gaps.items()):
        sides = [[gap.value - gap.low], [gap.high - gap.value]]
        axis.errorbar(gap.value, y, xerr=sides, color=STYLES[kind], marker=MARKERS[kind], capsize=3)
    axis.set_yticks(range(len(gaps)), gaps.index)
    axis.invert_yaxis()
    axis.axvline(0, color="0.5", lw=1)
    axis.set_xlabel(f"mean AUROC less that of {RANDOM} (95 %)")


def shown_kinds(scores: ProbeScores, p: float) -> list[str]:
    """Kinds that `plot_sets` can tell apart: EP, random exemplars, and the SAE where it is read."""
    return [kind for kind in scores.kinds(p) if kind in (EP, RANDOM, KINDS[-1])]
