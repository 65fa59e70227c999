"""Every score of every text: what the comparison and the figures are made from.

Scores are {(method, layer, p): draws}: a draw is {corpus: (W, T) float32 on the CPU}, T tokens of W
texts, higher for stranger; layer or p is None where a score has none. Only random exemplars have
more than one draw. `taken` is {corpus: its activations}, an `ActivationSet` of W · T each.

Distances are computed where their dictionary is; what leaves that device is a number a token.

Does not know: texts, AUROC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import Calibration
from epkit.checks import compute_device
from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.geometry import directions
from epkit.lm.models import LanguageModel
from epkit.lm.store import ActivationSet
from epkit.partition import partition
from epkit.studies.ood.scores import mahalanobis, neighbour_distance, next_token_scores

EP, RANDOM = "EP: nearest exemplar", "random exemplars, equal K"

Draw = dict[str, Tensor]
Scores = dict[tuple[str, int | None, float | None], list[Draw]]
Taken = Mapping[str, ActivationSet]


def partition_scores(
    atlas: Mapping[tuple[int, float], Dictionary],
    stream: ActivationSet,
    taken: Taken,
    length: int,
    *,
    n_draws: int,
    seed: int = 0,
) -> Scores:
    """Distance to the nearest exemplar, and to the nearest of as many random activations.

    atlas : {(layer, p): Dictionary} built on `stream`. length : T. seed : of the first draw; the
    next has seed + 1.
    """
    scores: Scores = {}
    for (layer, p), d in atlas.items():
        known = stream.layer(layer)
        scores[EP, layer, p] = [_distances(d, taken, layer, taken, length)]
        scores[RANDOM, layer, p] = [
            _distances(drawn, taken, layer, taken, length)
            for drawn in _drawn(d, known, n_draws, seed)
        ]
    return scores


def scores_without(
    keep: Tensor,
    stream: ActivationSet,
    calibrations: Mapping[int, Calibration],
    percentiles: Iterable[float],
    taken: Taken,
    length: int,
    *,
    shown: tuple[int, float],
    compared: Iterable[str],
    n_draws: int,
    seed: int = 0,
) -> Scores:
    """`partition_scores` of dictionaries of a part of the stream, at the same thresholds.

    keep : (n,) bool, on the CPU. shown : the layer and p at which all corpora are scored; elsewhere
    those `compared`. Random exemplars are drawn at the p of `shown` alone.
    """
    scores: Scores = {}
    for layer, calibration in calibrations.items():
        known = stream.layer(layer)[keep]
        made = partition(known, [*percentiles], calibration=calibration, recount=False)
        for p, d in made.items():
            names = taken if (layer, p) == shown else compared
            scores[EP, layer, p] = [_distances(d, taken, layer, names, length)]
        names = taken if layer == shown[0] else compared
        scores[RANDOM, layer, shown[1]] = [
            _distances(drawn, taken, layer, names, length)
            for drawn in _drawn(made[shown[1]], known, n_draws, seed)
        ]
    return scores


def baseline_scores(
    stream: ActivationSet,
    calibrations: Mapping[int, Calibration],
    taken: Taken,
    length: int,
    *,
    n_baseline: int,
    seed: int = 0,
) -> Scores:
    """Scores of the same activations that know no partition, at every layer.

    They see `n_baseline` activations of the stream, drawn at random. The covariance is fitted on
    the CPU (`mahalanobis`); all else is computed on CUDA where there is one.
    """
    device, scores = compute_device(None), {}
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(stream.n, generator=generator)[:n_baseline].sort().values
    sizes = {name: t.n for name, t in taken.items()}
    for layer, calibration in calibrations.items():
        x = torch.cat([t.layer(layer) for t in taken.values()]).float().to(device)
        known = stream.layer(layer)[chosen].float().to(device)
        centre = calibration.centre.to(device)
        u, known_u = directions(x, centre), directions(known, centre)
        for method, values in {
            "nearest neighbours, k = 10": neighbour_distance(u, known_u),
            "Mahalanobis": mahalanobis(x, known),
            "Mahalanobis of directions": mahalanobis(u, known_u),
            "norm": x.norm(dim=1),
        }.items():
            parts = zip(sizes, values.split([*sizes.values()]), strict=True)
            scores[method, layer, None] = [{name: _shaped(v, length) for name, v in parts}]
    return scores


def token_scores(
    model: LanguageModel, count: Tensor, taken: Taken, tokens: Mapping[str, Tensor], last: int
) -> Scores:
    """Scores of the tokens themselves and of the model's own uncertainty.

    count : (vocabulary,) how often the build stream held a token. tokens : {corpus: (W, T) ids}.
    last : the last layer, which `taken` has. Surprisal has T − 1 columns (`next_token_scores`).
    """
    own = {
        name: next_token_scores(model, t.layer(last).view(*tokens[name].shape, -1), tokens[name])
        for name, t in taken.items()
    }
    return {
        ("token rarity", None, None): [
            {name: -(count[ids] + 1.0).log() for name, ids in tokens.items()}
        ],
        ("next-token entropy", None, None): [{name: pair[0] for name, pair in own.items()}],
        ("token surprisal", None, None): [{name: pair[1] for name, pair in own.items()}],
    }


def _drawn(like: Dictionary, known: Tensor, n_draws: int, seed: int) -> list[Dictionary]:
    return [random_dictionary(like, known, seed=seed + i, recount=False) for i in range(n_draws)]


def _distances(d: Dictionary, taken: Taken, layer: int, names: Iterable[str], length: int) -> Draw:
    return {name: _shaped(d.assign(taken[name].layer(layer))[1], length) for name in names}


def _shaped(values: Tensor, length: int) -> Tensor:
    return values.float().cpu().view(-1, length)


def familiarity(count: Tensor, tokens: Mapping[str, Tensor]) -> pd.DataFrame:
    """How familiar the tokens of a corpus are, whatever the activations; arguments as above."""
    held = "share of tokens whose id the build stream held"
    different = "different ids per 1,000 tokens"
    rows = {
        name: {
            held: (count[ids] > 0).float().mean().item(),
            different: 1000 * len(ids.unique()) / ids.numel(),
        }
        for name, ids in tokens.items()
    }
    return pd.DataFrame(rows).T
