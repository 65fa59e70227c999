"""What notebook 12 found, in sentences, from its tables alone.

Does not know: models, words, how the numbers came about.
"""

import numpy as np
import pandas as pd

from epkit.stats import Interval, least_detectable, proportion
from epkit.studies.across_models.tables import (
    ANY,
    CEILING,
    CONTEXT,
    DRAWN,
    OTHER,
    TEXTS,
    WITHIN,
    WORDS,
)

RIVALS = (WITHIN, CONTEXT, WORDS, TEXTS, DRAWN)


def across_verdict(
    table: pd.DataFrame,
    minus: pd.DataFrame,
    against_random: dict[float, Interval],
    beyond: np.ndarray,
    models: tuple[str, str],
    where: str,
) -> list[str]:
    """The answer first, then every rival, then the pairs.

    Parameters
    ----------
    table, minus : of `ModelComparison.table` and `ModelComparison.differences`.
    against_random : {percentile: AMI less that of random exemplars}.
    beyond : (R,) of `beyond_chance`, against permutations within words.
    models : the two names. where : the percentile and the number of words, as a sentence says them.
    """
    ep, top = table.loc[OTHER], table.loc[CEILING, "AMI"].value
    better = [name for name in RIVALS if minus.loc[name, "AMI"].low > 0]
    worse = [name for name in RIVALS if minus.loc[name, "AMI"].high < 0]
    lines = [
        f"{models[0]} and {models[1]}, {where}: AMI {ep['AMI']:.3f}, round trip "
        f"{ep['round trip']:.0%} of {ep['regions']} regions; the same model in another order has "
        f"AMI {top:.3f}. More than {listed_rivals(better)}; less than {listed_rivals(worse)}."
    ]
    for name in (*RIVALS, ANY):
        row = minus.loc[name]
        lines.append(
            f"  less {name}: AMI {row['AMI']:+.3f}, {difference(row['AMI'])}; overlap "
            f"{row['overlap']:+.3f}, {difference(row['overlap'])}; round trip "
            f"{row['round trip']:+.0%}, {difference(row['round trip'], '.0%')}."
        )
    each = (f"p {p:g} {x:+.3f}, {difference(x)}" for p, x in against_random.items())
    lines.append(f"AMI less that of random exemplars at every percentile: {'; '.join(each)}.")
    share = proportion(beyond)
    lines.append(
        f"{share:.0%} of {len(beyond)} regions overlap with their partner more than in 95 % of "
        f"permutations within words; by luck about 5 %: {beyond_words(share)}."
    )
    return lines


def listed_rivals(names: list[str]) -> str:
    """Names as a list in a sentence, "none of the rivals" of none."""
    return ", ".join(names) if names else "none of the rivals"


def difference(minus: Interval, spec: str = ".3f") -> str:
    """Whether a difference is shown, and which one would have been."""
    least = least_detectable(minus, f" (detectable {{:{spec}}})")
    return minus.side("more", "less", f"not shown{least}")


def beyond_words(share: Interval) -> str:
    """What the share says of correspondence beyond the words that regions hold."""
    if share.low > 0.5:
        return "most pairs share more than the words they hold"
    if share.low > 0.05:
        return "some pairs share more than the words they hold"
    return "that pairs share more than the words they hold is not shown"
