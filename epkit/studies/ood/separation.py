"""How well scores tell corpora from a reference corpus: AUROC, paired differences, gaps.

`Separation` compares, each pair of scores once; the functions below make the notebook's tables of
it. Tables hold `Interval` cells. Differences are EP's value minus that of another score, paired
over texts, which are what is resampled.

Does not know: models, texts, how scores were made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.stats import Interval, bootstrap_mean, bootstrap_pairs, wins
from epkit.studies.ood.readings import EP, RANDOM, Orders, Scores

LEVELS = ("token", "text")
MEAN = "mean of corpora"


class Separation:
    """Comparisons of `scores` (see `readings`) with those of the corpus `reference`.

    level : "token" compares every token, "text" the mean over a text's tokens.
    """

    def __init__(self, scores: Scores, reference: str, seed: int = 0):
        self.scores, self.reference, self.seed = scores, reference, seed
        self.methods = list(dict.fromkeys(method for method, _, _ in scores))
        self._pairs: dict[tuple, np.ndarray] = {}
        self._intervals: dict[tuple, Interval] = {}

    def key(self, method: str, layer: int, p: float) -> tuple[str, int | None, float | None]:
        """Where a score stands, which may know no percentile, or no layer either."""
        for key in ((method, layer, p), (method, layer, None), (method, None, None)):
            if key in self.scores:
                return key
        raise ValueError(f"there is no score {method!r} of layer {layer} at p = {p}")

    def pairs(self, method: str, name: str, level: str, layer: int, p: float) -> np.ndarray:
        """(W, V) float64: how often text i of a corpus scores above text j of the reference,
        averaged over draws."""
        key = self.key(method, layer, p)
        if (key, name, level) not in self._pairs:
            as_is = {"token": lambda values: values, "text": text_means}[level]
            found = [wins(as_is(d[name]), as_is(d[self.reference])) for d in self.scores[key]]
            self._pairs[key, name, level] = np.mean(found, axis=0)
        return self._pairs[key, name, level]

    def auroc(
        self, method: str, names: Sequence[str], level: str, layer: int, p: float
    ) -> Interval:
        """AUROC, the mean of several corpora's."""
        key = self.key(method, layer, p), *names, level
        if key not in self._intervals:
            arrays = [self.pairs(method, name, level, layer, p) for name in names]
            self._intervals[key] = bootstrap_pairs(arrays, seed=self.seed)
        return self._intervals[key]

    def difference(
        self, method: str, names: Sequence[str], level: str, layer: int, p: float, **precision
    ) -> Interval:
        """AUROC of EP less that of another score, the mean of several corpora's.

        precision : `confidence` of the interval (.95) and bootstrap `draws`.
        """
        arrays = [
            self.pairs(EP, name, level, layer, p) - self.pairs(method, name, level, layer, p)
            for name in names
        ]
        level, draws = precision.get("confidence", 0.95), precision.get("draws", 1000)
        return bootstrap_pairs(arrays, level=level, draws=draws, seed=self.seed)

    def gap(self, name: str, layer: int, p: float) -> Interval:
        """Mean distance from the nearest exemplar, less that of the reference."""
        gaps = [self._gaps(draw, name) for draw in self.scores[EP, layer, p]]
        return bootstrap_pairs(torch.stack(gaps).mean(0), seed=self.seed)

    def random_gap(self, name: str, layer: int, p: float) -> float:
        """`gap` of random exemplars, averaged over draws."""
        draws = self.scores[RANDOM, layer, p]
        return float(torch.stack([self._gaps(draw, name) for draw in draws]).mean())

    def _gaps(self, draw: Mapping[str, Tensor], name: str) -> Tensor:
        return text_means(draw[name]) - text_means(draw[self.reference]).T


def text_means(values: Tensor) -> Tensor:
    """The mean score of every text: (W, T) → (W, 1) float64."""
    return values.double().mean(dim=1, keepdim=True)


def distance_table(found: Separation, atlas: Orders, corpora: Sequence[str]) -> pd.DataFrame:
    """A row per layer, percentile and corpus: distances, share within θ, and separation.

    Distances and shares are those of the stream's own order. Gap and AUROC stand in the rows of all
    corpora but the reference.
    """
    return pd.DataFrame([
        _distance_row(found, layer, p, name, d.threshold)
        for (layer, p), (d, *_) in atlas.items()
        for name in corpora
    ])  # fmt: skip


def _distance_row(found: Separation, layer: int, p: float, name: str, threshold: float) -> dict:
    values = found.scores[EP, layer, p][0][name]
    p90, p99 = values.flatten().quantile(torch.tensor([0.9, 0.99])).tolist()
    within = (values <= threshold).float().mean(1)
    random = [(d[name] <= threshold).float().mean() for d in found.scores[RANDOM, layer, p]]
    row = {
        "layer": layer, "p": p, "corpus": name, "mean": values.mean().item(),
        "median": values.median().item(), "p90": p90, "p99": p99,
        "within θ": bootstrap_mean(within, draws=1000, seed=found.seed),
        "within θ, random": np.mean(random),
    }  # fmt: skip
    if name == found.reference:
        return row
    row |= {"gap": found.gap(name, layer, p), "random gap": found.random_gap(name, layer, p)}
    for level, title in (("token", "auroc"), ("text", "text auroc")):
        row[title] = found.auroc(EP, [name], level, layer, p)
        row[f"random {title}"] = found.auroc(RANDOM, [name], level, layer, p).value
    return row


def method_rows(found: Separation, corpora: Sequence[str], layer: int, p: float) -> pd.DataFrame:
    """A row per corpus and method: AUROC of tokens and of texts."""
    return pd.DataFrame([
        {"method": method, "corpus": name}
        | {level: found.auroc(method, [name], level, layer, p) for level in LEVELS}
        for name in corpora
        for method in found.methods
    ])  # fmt: skip


def at_every_level(
    table: Callable[..., pd.DataFrame], found: Separation, corpora: Sequence[str], *at
) -> dict[str, pd.DataFrame]:
    """A table below at each of `LEVELS`; at : what it takes after the level."""
    return {level: table(found, corpora, level, *at) for level in LEVELS}


def method_table(
    found: Separation, corpora: Sequence[str], level: str, layer: int, p: float
) -> pd.DataFrame:
    """AUROC of every method (rows) and corpus (columns), the mean of the corpora last."""
    rows = {m: _by_group(found.auroc, m, corpora, level, layer, p) for m in found.methods}
    return pd.DataFrame(rows).T.rename_axis(index="method", columns="corpus")


def difference_table(
    found: Separation, corpora: Sequence[str], level: str, layer: int, p: float
) -> pd.DataFrame:
    """EP less every other method (rows), by corpus (columns), the mean of the corpora last."""
    others = [method for method in found.methods if method != EP]
    rows = {m: _by_group(found.difference, m, corpora, level, layer, p) for m in others}
    return pd.DataFrame(rows).T


def _by_group(compare, method: str, corpora: Sequence[str], *at) -> dict[str, Interval]:
    return {name: compare(method, names, *at) for name, names in groups(corpora).items()}


def groups(corpora: Sequence[str]) -> dict[str, list[str]]:
    """Every corpus by itself, and all of them."""
    return {name: [name] for name in corpora} | {MEAN: [*corpora]}


def random_table(
    found: Separation,
    corpora: Sequence[str],
    level: str,
    layers: Sequence[int],
    percentiles: Sequence[float],
    **precision,
) -> pd.DataFrame:
    """EP less random exemplars at equal K, mean of the corpora, by layer (rows) and p (columns).

    precision : of `Separation.difference`.
    """
    return pd.DataFrame({
        p: {
            layer: found.difference(RANDOM, corpora, level, layer, p, **precision)
            for layer in layers
        }
        for p in percentiles
    }).rename_axis("layer")  # fmt: skip


def clean_and_not(
    clean: Separation,
    other: Separation,
    cases: Mapping[object, tuple[Sequence[str], str]],
    layer: int,
    p: float,
) -> pd.DataFrame:
    """AUROC with dictionaries of the clean build and with those of a build that holds more.

    cases : {row: (corpora, level)}.
    """
    rows = {}
    for row, (names, level) in cases.items():
        at = names, level, layer, p
        rows[row] = {
            "as built": clean.auroc(EP, *at), "with them": other.auroc(EP, *at),
            "with them, random exemplars": other.auroc(RANDOM, *at),
        }  # fmt: skip
    return pd.DataFrame(rows).T
