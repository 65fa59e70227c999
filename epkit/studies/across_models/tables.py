"""Tables of what corresponds: every comparison side by side, the pairs by name.

Intervals: of AMI a jackknife over groups of documents, of shares Wilson's, of overlaps a bootstrap
over regions. Does not know: models, how partitions were made.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from epkit.stats import (
    Interval,
    bootstrap_difference,
    bootstrap_mean,
    jackknife,
    minimum_detectable,
    proportion,
)
from epkit.studies.across_models.correspondence import Pairs, ami, ami_left_out, pairs_of

OTHER = "EP of the other model"
DRAWN = "random exemplars, both models"
TEXTS = "k-means of the texts' TF-IDF"
CONTEXT = "k-means of the last words' TF-IDF"
WORDS = "the word itself"
WITHIN = "EP of the other, permuted within words"
ANY = "EP of the other, permuted"
CEILING = "EP of the same model, another order"

Partitions = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""{comparison: two partitions (W,) of the words}, the first the model's."""


class ModelComparison:
    """Every comparison on one set of words: its pairs, and its AMI with groups left out.

    second : (W,) bool, the words that test. least : words in a half that a region must have.
    """

    def __init__(
        self,
        partitions: Partitions,
        document: np.ndarray,
        second: np.ndarray,
        least: int,
        seed: int,
    ):
        self.sizes = {name: len(np.unique(b)) for name, (_, b) in partitions.items()}
        self.pairs = {n: pairs_of(a, b, second, least) for n, (a, b) in partitions.items()}
        self.ami = {name: ami(a, b, second) for name, (a, b) in partitions.items()}
        self.left_out = {
            name: ami_left_out(a, b, second, document, seed) for name, (a, b) in partitions.items()
        }

    def table(self) -> pd.DataFrame:
        """A row a comparison: K of the other side, AMI, overlap, round trip, regions asked."""
        return pd.DataFrame.from_dict({
            name: {
                "K": self.sizes[name], "AMI": jackknife(self.ami[name], self.left_out[name]),
                "overlap": bootstrap_mean(pairs.overlap), "round trip": proportion(pairs.returns),
                "regions": len(pairs.region),
            }
            for name, pairs in self.pairs.items()
        }, orient="index").rename_axis("compared with")  # fmt: skip

    def ami_less(self, name: str) -> Interval:
        """AMI with the other model's EP, less that of another comparison."""
        left_out = self.left_out[OTHER] - self.left_out[name]
        return jackknife(self.ami[OTHER] - self.ami[name], left_out)

    def differences(self) -> pd.DataFrame:
        """The other model's EP less every other comparison, and what would have been shown.

        Overlaps are paired over regions, but for random exemplars, which are other regions.
        """
        rows = {}
        for name, pairs in self.pairs.items():
            if name == OTHER:
                continue
            own = self.pairs[OTHER]
            same = np.array_equal(own.region, pairs.region)
            by_ami = self.ami_less(name)
            overlap = bootstrap_difference(own.overlap, pairs.overlap, paired=same)
            returns = bootstrap_difference(own.returns, pairs.returns, paired=same)
            rows[name] = {
                "AMI": by_ami, "AMI detectable": minimum_detectable(by_ami), "overlap": overlap,
                "overlap detectable": minimum_detectable(overlap), "round trip": returns,
                "round trip detectable": minimum_detectable(returns),
            }  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("less")


def by_percentile(compared: Mapping[float, ModelComparison]) -> pd.DataFrame:
    """AMI of every comparison, a column a percentile."""
    return pd.DataFrame({
        f"p {p:g}": {n: jackknife(c.ami[n], c.left_out[n]) for n in c.ami}
        for p, c in compared.items()
    }).rename_axis("compared with")  # fmt: skip


def named_pairs(
    pairs: Pairs,
    names: tuple[Sequence[str], Sequence[str]],
    partitions: tuple[np.ndarray, np.ndarray],
    word: np.ndarray,
    second: np.ndarray,
    chance: np.ndarray,
    rival: Pairs,
    n: int,
) -> pd.DataFrame:
    """The n pairs that the first half likes best, with what the second half says: a row each.

    names : of all regions of either side. partitions : of the words. chance : (draws, R) overlaps
    with the other side permuted. rival : the pairs of the same regions with a rival.
    """
    a, b = partitions
    rows = []
    for i in np.argsort(-pairs.chosen_by, kind="stable")[:n]:
        one, two = pairs.region[i], pairs.partner[i]
        common = Counter(word[second & (a == one) & (b == two)]).most_common(4)
        rows.append({
            "region": f"{one} {names[0][one]}", "partner": f"{two} {names[1][two]}",
            "common words": ", ".join(w for w, _ in common),
            "overlap": pairs.overlap[i], "permuted": chance[:, i].mean(),
            "TF-IDF": rival.overlap[i], "returns": "yes" if pairs.returns[i] else "no",
        })  # fmt: skip
    return pd.DataFrame(rows)


def as_decimals(cell: object, digits: int = 3) -> str:
    """A cell of a comparison: an interval or a number with decimals, a count, or text."""
    if isinstance(cell, Interval | float):
        return format(cell, f".{digits}f")
    return f"{cell:,}" if isinstance(cell, int | np.integer) else str(cell)
