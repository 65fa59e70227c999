"""What the study says at its end, in sentences made of its tables.

Does not know: how the tables came about.
"""

from collections.abc import Sequence

import pandas as pd

from epkit.studies.saturation.claims import VERDICT_BY, Claim, ratio_text
from epkit.studies.saturation.pool import MIXED

STATES = {
    "saturated": "are saturated",
    "growing": "growing",
    "undecided": "undecided",
    "revisits": "refused",
}


def answer(runs: pd.DataFrame, percentiles: Sequence[float]) -> str:
    """The study's answer in a sentence or two; runs : a row a build."""
    own = runs[runs.domain != MIXED]
    said = []
    for p in percentiles:
        part = own[own.p == p]
        done = part.groupby("domain", sort=False).verdict.apply(lambda v: (v == "saturated").all())
        names = ", ".join(name for name, over in done.items() if over)
        said.append(f"p {p:g}: {names or 'no domain'}")
    return f"Saturated in every order, by the last doubling: {'; '.join(said)}."


def growth_sentence(runs: pd.DataFrame, p: float) -> str:
    """Verdicts of all streams at one p, and what the last doubling added; runs : a row a build."""
    part = runs[(runs.p == p) & (runs.domain != MIXED)]
    counts = [f"{(part.verdict == state).sum()} {words}" for state, words in STATES.items()]
    gains = (part.K / part.half - 1).groupby(part.domain, sort=False).mean()
    added = ", ".join(f"{name} {gain:.0%}" for name, gain in gains.items())
    return (
        f"p = {p:g}: of {len(part)} streams, {', '.join(counts)}. The last doubling added: {added}."
    )


def stopping_sentence(runs: pd.DataFrame, quiet_window: int) -> str:
    """What each stopping rule would have done, and what came after; runs : a row a build."""
    part = runs[runs.domain != MIXED]
    said = []
    for rule, words in (
        ("quiet", f"The published rule ({quiet_window:,} activations without a region) stops"),
        ("doubled", "Ours (a doubling that adds less than a tenth beyond doubt) stops"),
    ):
        at, missed = part[f"{rule} at"], part[f"{rule} missed"]
        later = f"; up to {missed.max():.0%} more regions came later" if at.notna().any() else ""
        said.append(f"{words} {at.notna().sum()} of {len(part)} streams{later}.")
    return " ".join(said)


def estimate_sentence(errors: pd.DataFrame, p: float) -> str:
    """How far the estimators and the laws are off; errors : `tables.prediction_errors`."""
    mean, typical = errors[p]["mean error"], errors[p]["typical error"]
    return (
        f"From the first half, at p = {p:g}: Chao1 is {mean['Chao1']:+.0%} off the K that the "
        f"whole already has, Chao2 {mean['Chao2']:+.0%}, saying that K stays "
        f"{mean['K stays']:+.0%}; between a log law and a power law the typical error is "
        f"{typical['between']:.0%}."
    )


def claim_sentences(table: pd.DataFrame) -> list[str]:
    """One sentence per published statement, with its ratios; table : `claims.claim_table`."""
    sentences = []
    for published, part in table.groupby("published", sort=False):
        found = [
            f"{row.measured} {ratio_text(row[VERDICT_BY])}: {row.verdict}"
            for _, row in part.iterrows()
        ]
        sentences.append(f"Published (Gemma-2-2B): {published}. Here {'; '.join(found)}.")
    return sentences


def change_sentence(table: pd.DataFrame, claims: Sequence[Claim], measurement: str) -> str:
    """Which verdicts would be others by another measurement, a column of the `claim_table`."""
    changed = [
        f"{claim.measured} {ratio_text(row[measurement])}"
        for claim, (_, row) in zip(claims, table.iterrows(), strict=True)
        if claim.verdict(row[measurement]) != row.verdict
    ]
    said = f"{len(changed)} of {len(table)} change ({'; '.join(changed)})."
    return f"These verdicts, {measurement}: {said if changed else 'the same.'}"


def lower_counts(mixed: pd.DataFrame) -> dict[str, int]:
    """{domain: layers whose whole interval of its ratio to the mixed stream is below 1}."""
    end = f" / {MIXED}"
    return {
        column.removesuffix(end): sum(ratio.high < 1 for ratio in mixed[column])
        for column in mixed.columns if column.endswith(end)
    }  # fmt: skip


def mixed_sentence(mixed: pd.DataFrame) -> str:
    """Where K is below the mixed stream's, and K against vocabulary; mixed : `mixed_table`."""
    lower = [f"{k} of {len(mixed)} layers for {name}" for name, k in lower_counts(mixed).items()]
    rho = mixed["ρ, all sets"]
    return (
        "Control: against equally long random subsets of the mixed stream, K is lower beyond doubt "
        f"at {', '.join(lower)}. The number of distinct tokens orders the sets of documents as K "
        f"does with ρ = {rho.iloc[0]:.2f} at layer {rho.index[0]} and {rho.iloc[-1]:.2f} at layer "
        f"{rho.index[-1]}."
    )
