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


def growth_sentence(runs: pd.DataFrame, sizes: pd.DataFrame, p: float, n: int) -> str:
    """Verdicts of all streams at one p, and what their second halves added.

    runs : a row a build; sizes : `tables.stream_table`. n : activations in a stream.
    """
    said = runs[(runs.p == p) & (runs.domain != MIXED)].verdict
    counts = [f"{(said == state).sum()} {words}" for state, words in STATES.items()]
    gains = sizes.loc[p]["added by the second half"].drop(MIXED, level="domain")
    return (
        f"p = {p:g}: of {len(said)} streams of {n:,} activations, {', '.join(counts)}. "
        f"The second half added {gains.min():.0%} to {gains.max():.0%} of the regions of the first."
    )


def stopping_sentence(rule: pd.DataFrame, quiet_window: int) -> str:
    """What came of stopping at a quiet window; rule : `tables.stopping_rule`."""
    return (
        f"A quiet window of {quiet_window:,} activations came in {int(rule['quiet once'].sum())} "
        f"of {rule.streams.sum()} streams; they founded up to "
        f"{rule['founded after, most'].max():.0%} more regions afterwards."
    )


def estimate_sentence(errors: pd.DataFrame, p: float) -> str:
    """How far the estimators and the laws are off; errors : `tables.prediction_errors`."""
    mean, typical = errors[p]["mean error"], errors[p]["typical error"]
    return (
        f"K of all regions cannot be told from these streams. At p = {p:g} Chao1 from the first "
        f"half is {mean['Chao1']:.0%} off the K that the whole already has, Chao2 "
        f"{mean['Chao2']:.0%}, saying that K stays {mean['K stays']:.0%}. K at twice the length "
        "can be told better: between a log law and a power law, the typical error is "
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
