"""The search for a word: every selector tried on one, the chosen one on others, and its rivals.

All are counted in one unit: the *rank of the hidden word among the candidate nouns*, by the score
of the regions in which each noun lies, or by what a rival says of each. If nothing were known of
the word, its rank would be one drawn at random: p = rank / nouns is exact (`stats.rank_test`).

Does not know: how organisms are made, how tables look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.geometry import directions
from epkit.lm.models import LanguageModel
from epkit.stats import rank_test
from epkit.studies.secrets import naming, selectors
from epkit.studies.secrets.reading import PLACES, Reading
from epkit.studies.secrets.selectors import SCORES, Selector

EP, RANDOM, PLAIN = "EP", "random exemplars", "noun directions"
CHANGE, TUNED, TEXT = (
    "lens of the mean difference",
    "lens of the tuned mean",
    "lens of the base mean",
)
FORCED = "forced beginning"
METHODS = (EP, RANDOM, PLAIN, CHANGE, TUNED, TEXT, FORCED)


def try_selectors(
    dictionaries: Mapping[tuple[int, float], Dictionary],
    nouns: Mapping[int, Tensor],
    reading: Reading,
    index: int,
) -> pd.DataFrame:
    """Every selector on one organism: its fields, and the rank, n and p of the noun `index`.

    nouns {layer: (J, S, D)}: as the base reads them.
    """
    found = []
    for (layer, percentile), d in dictionaries.items():
        for place, score in product(PLACES, SCORES):
            selector = Selector(layer, percentile, place, score)
            scores = selectors.noun_scores(d, scores_of(d, reading, selector), nouns[layer])
            found.append(selector._asdict() | rank_test(scores, index)._asdict())
    return pd.DataFrame(found)


def choose_selector(tried: pd.DataFrame) -> Selector:
    """The selector of `try_selectors` with the lowest rank; of equals the first."""
    best = tried.loc[tried["rank"].idxmin()]
    return Selector(int(best.layer), float(best.percentile), best.place, best["score"])


def scores_of(
    d: Dictionary, reading: Reading, selector: Selector, half: int | None = None
) -> Tensor:
    """The selector's score of every region of its dictionary, (K,) float64, over both halves of
    the prompts or one."""
    base, tuned = pair_at(reading, selector.layer, selector.place, half)
    return selectors.region_scores(d, base, tuned)[selector.score]


def pair_at(
    reading: Reading, layer: int, place: str, half: int | None = None
) -> tuple[Tensor, Tensor]:
    """Activations of base and organism at a place, in both halves or one: (n, D), (n, D)."""
    rows = reading.at(place)
    if half is not None:
        rows = rows & (reading.half == half)
    return reading.base[layer][rows], reading.tuned[layer][rows]


def compare_words(
    d: Dictionary,
    x: Tensor,
    nouns: Tensor,
    readings: Mapping[str, Reading],
    selector: Selector,
    hidden: Mapping[str, int],
    *,
    n_draws: int,
    seed: int = 0,
) -> pd.DataFrame:
    """One selector on every organism, looking for every word: EP, its halves, random exemplars.

    d : the selector's dictionary, of the activations x (N, D); nouns (J, S, D) as the base reads
    them. hidden {word: its place among the nouns}. Random exemplars, as many as d has, are drawn
    n_draws times. half is "" for all prompts, else "A" or "B".
    """
    drawn = [(EP, 0, d)]
    drawn += [(RANDOM, i, random_dictionary(d, x, seed=seed + i)) for i in range(n_draws)]
    found = []
    for method, draw, own in drawn:
        for half, (name, reading) in product((None, 0, 1), readings.items()):
            if half is None or method == EP:
                scores = scores_of(own, reading, selector, half)
                found += _rows(name, method, selectors.noun_scores(own, scores, nouns), hidden,
                               draw=draw, half="" if half is None else "AB"[half])  # fmt: skip
    return pd.DataFrame(found)


def plain_rivals(
    base: LanguageModel,
    forced: Mapping[str, Tensor],
    readings: Mapping[str, Reading],
    nouns: Mapping[int, Tensor],
    centres: Mapping[int, Tensor],
    names: Sequence[str],
    hidden: Mapping[str, int],
) -> pd.DataFrame:
    """What needs no partition, on every organism for every word: rows as of `compare_words`, with
    layer and place.

    forced {organism: `naming.forced_logits` (J,) of it}. noun directions: how much nearer the
    organism is to a noun's mean direction, seen from the layer's centre {layer: (D,)}. The lens of
    the base mean is what the text alone says. Raises ValueError for a layer that no fine-tune has
    changed.
    """
    found = []
    for name, reading in readings.items():
        found += _rows(name, FORCED, forced[name], hidden, layer=-1, place="")
        for layer, place in product(nouns, PLACES):
            x, y = pair_at(reading, layer, place)
            if torch.equal(x, y):
                raise ValueError(
                    f"{name} is its base at layer {layer}: read layers from the first tuned one on"
                )
            u, v = (directions(z, centres[layer]) for z in (x, y))
            own = directions(nouns[layer].mean(1), centres[layer])
            lens = torch.stack([y.mean(0) - x.mean(0), y.mean(0), x.mean(0)])
            logits = naming.word_logits(base, lens, names)
            said = dict(zip((CHANGE, TUNED, TEXT), logits, strict=True))
            said[PLAIN] = (v - u).mean(0) @ own.T
            for method, scores in said.items():
                found += _rows(name, method, scores, hidden, layer=layer, place=place)
    return pd.DataFrame(found)


def _rows(
    organism: str, method: str, scores: Tensor, hidden: Mapping[str, int], **about
) -> list[dict]:
    about = {"draw": 0, "half": ""} | about
    return [
        {"organism": organism, "word": word, "method": method, **about}
        | rank_test(scores, index)._asdict()
        for word, index in hidden.items()
    ]


def chosen_rivals(found: pd.DataFrame, word: str) -> pd.DataFrame:
    """Of `plain_rivals`, each method at the layer and place where it is best on one word."""
    kept = []
    for _, own in found.groupby("method", sort=False):
        fixed = own[(own.organism == word) & (own.word == word)]
        best = fixed.loc[fixed["rank"].idxmin()]
        kept.append(own[(own.layer == best.layer) & (own.place == best.place)])
    return pd.concat(kept, ignore_index=True)
