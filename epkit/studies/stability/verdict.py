"""What notebook 10 found, in sentences that follow from its tables.

Each function takes the tables of one part and gives its sentences; which wording is used depends on
intervals alone. `claims` are the facts that are checked on any machine, as yes or no.

Does not know: how the tables came about.
"""

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np
import pandas as pd

from epkit.stats import Interval, least_detectable, minimum_detectable, t_interval
from epkit.studies.stability.alternatives import (
    AGAIN,
    DRAWN,
    EP,
    KMEANS,
    OTHER,
    REFINED,
    REFOUND,
    gain_over,
)
from epkit.studies.stability.splits import Correlations


def tells(interval: Interval, better: str = "better", worse: str = "worse") -> str:
    """What a difference says: `better` above zero, `worse` below, else what would have shown."""
    would = least_detectable(interval, " ({:.3f} would have been)")
    return interval.side(better, worse, f"no difference shown{would}")


def refound_sentences(table: pd.DataFrame, compared: pd.DataFrame, where: str) -> list[str]:
    """Whose regions come again on other documents (`alternatives.stability_table`)."""
    found, again = table.loc[OTHER], table.loc[AGAIN]
    ranked = sorted(found.index, key=lambda kind: -found.loc[kind, REFOUND].value)
    values = " > ".join(f"{kind} {found.loc[kind, REFOUND].value:.0%}" for kind in ranked)
    told = "; ".join(
        f"{kind} {tells(gain, 'more', 'fewer')} ({gain})"
        for kind, gain in found["more refound"].items()
        if kind != DRAWN
    )
    against = [(EP, KMEANS), (REFINED, KMEANS), (REFINED, EP)]
    pairs = {(a, b): gain_over(compared, a, b) for a, b in against}
    return [
        f"Regions refound on other documents, {where}: {values}; shuffled memberships "
        f"{compared.chance.max():.1%} at most. Against as many random exemplars: {told}.",
        "One against another: "
        + "; ".join(f"{a} against {b} {tells(g, 'more', 'fewer')} ({g})"
                    for (a, b), g in pairs.items()) + ".",
        "With the same documents in another order, or from another seed: "
        + ", ".join(f"{kind} {again.loc[kind, REFOUND].value:.0%}" for kind in ranked) + ".",
    ]  # fmt: skip


def sensitivity_sentences(sensitivity: pd.DataFrame, percentile: float) -> list[str]:
    """Another order and other documents, against random exemplars (`splits.sensitivity_table`)."""
    row = sensitivity.loc[(percentile, "other documents")]
    order = sensitivity.loc[(percentile, "another order")]
    turned, moved = order["exemplars, difference"], row["exemplars, difference"]
    return [
        f"Sensitivity (p {percentile:g}, K about {row.K:.0f}): a match has a mean cosine of "
        f"{order.exemplars:.2f} (exemplars) and {order['means']:.2f} (means) in another order, "
        f"{row.exemplars:.2f} and {row['means']:.2f} on other documents, where "
        f"{row['≥ .7']:.0%} of exemplars reach .7. Region by region, exemplars against random "
        "ones: in another order "
        f"{tells(turned)} ({turned}), on other documents {tells(moved)} ({moved}). "
        f"As a partition: {tells(row['agreement, difference'])}; on held-out activations two "
        f"parts agree at {row.agreement:.2f}, with random exemplars at "
        f"{row['agreement, random']:.2f} ({row['agreement, difference']})."
    ]


def score_sentences(rho: Correlations) -> list[str]:
    """What D says of recurrence, beside its parts and random exemplars (`score_correlations`)."""
    key = ("mean", "other documents")
    d, n, c = (rho[*key, "regions", score] for score in ("D", "log N", "coherence c"))
    drawn = rho[*key, "random exemplars", "D"]
    most = (
        "Most of it, then, says that the mean of many activations comes again, whatever they were "
        "gathered around. "
    )
    exemplars = t_interval(rho["exemplar", "other documents", "regions", "D"])
    return [
        f"D against recurrence (means, other documents): ρ {t_interval(d)}, published ≈ .68 on "
        f"Gemma-2-2B; log N alone {t_interval(n)} (D − log N {_less(d, n)}), "
        f"coherence alone {t_interval(c)}. Among random exemplars D reaches "
        f"{t_interval(drawn)} (difference {_less(d, drawn)}). "
        + (most if np.mean(drawn) > np.mean(d) / 2 else "")
        + f"For exemplars it is {exemplars}."
    ]


def cut_sentences(cut: pd.DataFrame, whole: float, shares: Sequence[float]) -> list[str]:
    """What stable, and large, regions alone detect (`splits.cut_table`); whole : all regions."""
    by_share = {name: part.set_index("share") for name, part in cut.groupby("chosen by")}
    stable = by_share["most stable, measured"]
    gain, large = stable["against random"], by_share["largest"]["against random"]
    lost = [f"{share:.0%}" for share in shares if gain[share].high < 0]
    gained = [f"{share:.0%}" for share in shares if gain[share].low > 0]
    values = ", ".join(
        f"the most stable {share:.0%} at {stable.value[share]:.3f}" for share in shares
    )
    least = max(minimum_detectable(gain[share]) for share in shares)
    found = "At no share are stable regions better detectors than random ones"
    found += f" ({least:.3f} would have been shown at every share)" if isfinite(least) else ""
    if gained:
        found = "Stable regions are the better detectors at " + ", ".join(gained)
    return [
        f"Cut: all regions detect at a mean AUROC of {whole:.3f}, {values}; against as many at "
        "random " + ", ".join(f"{share:.0%} {gain[share]}" for share in shares) + f". {found}"
        + (f"; at {', '.join(lost)} they are worse." if lost else "."),
        "As many of the largest, against random: "
        + ", ".join(f"{share:.0%} {large[share]}" for share in shares) + ".",
    ]  # fmt: skip


def remedy_sentences(gains: pd.DataFrame) -> list[str]:
    """What every remedy gains over the plain rule at equal K (`remedies.gain_table`)."""
    return [
        f"{_capital(rule)}, against {g.against}: exemplars {g.exemplars}, "
        f"{tells(g.exemplars, 'more stable', 'less stable')}; agreement {g.agreement}, "
        f"{tells(g.agreement, 'more stable', 'less stable')}; AUROC {g.AUROC}, {tells(g.AUROC)}."
        for rule, g in gains.iterrows()
        if not rule.startswith("random")
    ]


def distance_sentences(distance: pd.DataFrame) -> list[str]:
    """What every other distance changes (indexed by distance, centred cosine the first)."""
    sentences = []
    for name, row in distance.iloc[1:].iterrows():
        stable, detects = row["agreement, against centred"], row["AUROC, against centred"]
        sentences.append(
            f"{_capital(name)}, against centred cosine: agreement {stable}, "
            f"{tells(stable, 'more stable', 'less stable')}; AUROC {detects}, {tells(detects)}."
        )
    return sentences


def trajectory_sentences(
    together: Interval, apart: Interval, half: Mapping[str, int | None]
) -> list[str]:
    """One layer on, against the shuffled, and how long pairs stay; half : {start: layers}."""
    passed = ", ".join(f"{v} ({k})" for k, v in half.items() if "shuffled" not in k)
    return [
        f"Trajectories: of pairs of tokens in one region, {together} are together one layer on "
        f"(shuffled {apart}); more than half have parted at least once after {passed} layers."
    ]


def merging_sentences(curves: Mapping[str, pd.DataFrame], merges: pd.DataFrame) -> list[str]:
    """Whether positions that end alike merge, or start together and part (`merging`)."""
    first = {kind.replace("\n", " "): rows.value.iloc[0] for kind, rows in curves.items()}
    layers = next(iter(curves.values())).layer
    bottom, top = layers.iloc[0], layers.iloc[-1]
    last = merges["share at the last layer"]
    alike = [kind for kind in first if kind.startswith("last")]
    parting = all(first[kind] > last[kind].high for kind in alike)
    way = "share a region: "
    if parting:
        way = "do not merge on their way up, they start together and part: "
    kinds = "; ".join(
        f"{kind} {first[kind]:.2f} at layer {bottom}, {last[kind]} at {top}" for kind in alike
    )
    said = next((kind for kind in first if kind.startswith("same prediction")), None)
    return [
        f"Positions that end alike {way}{kinds}; random pairs {last['random pairs']}."
        + (
            f" Same prediction after another last token: {first[said]:.2f} at layer {bottom}, "
            f"{last[said]} at {top}."
            if said
            else ""
        )
    ]


def claims(
    sizes: pd.Series,
    sensitivity: pd.DataFrame,
    rho: Correlations,
    whole: float,
    k_of: pd.Series,
    distance: pd.DataFrame,
    steps: tuple[Interval, Interval],
) -> list[str]:
    """What must hold on any machine, a line each with yes or no.

    sizes : K of every run. k_of : median K of every rule. whole : mean AUROC of all regions.
    steps : share of pairs together one layer on, and that of the shuffled.
    """
    by_p = sizes.groupby(level=0)
    d, c = (rho["mean", "other documents", "regions", score] for score in ("D", "coherence c"))
    uncentred, scaled = distance.agreement[["uncentred cosine", "Euclidean, norm-scaled"]]
    equal = abs(k_of["plain, equal K as merged"] / k_of["merged"] - 1) < 0.2
    near = abs(distance.K / distance.K["centred cosine"] - 1).max() < 0.2
    found = {
        "K differs by less than half between orders and documents": (
            by_p.max() < 1.5 * by_p.min()
        ).all(),
        "means come again better than exemplars": (
            sensitivity["means"] > sensitivity.exemplars
        ).all(),
        "partitions agree better than those of random exemplars": (
            sensitivity.agreement > sensitivity["agreement, random"]
        ).all(),
        "D says more than coherence": np.mean(d) > np.mean(c),
        "regions detect above .6": whole > 0.6,
        "K made equal within a fifth": equal and near,
        "uncentred cosine and norm-scaled Euclidean make one partition": (
            abs(uncentred - scaled) < 0.05
        ),
        "co-membership persists above chance": steps[0].low > steps[1].high,
    }
    return [f"{claim}: {'yes' if true else 'no'}" for claim, true in found.items()]


def _less(a: Sequence[float], b: Sequence[float]) -> Interval:
    return t_interval(np.subtract(a, b))


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
