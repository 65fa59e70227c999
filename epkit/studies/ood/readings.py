"""Every score of every text: what the comparison and the figures are made from.

Scores are {(method, layer, p): draws}: a draw is {corpus: (W, T) float32 on the CPU}, T tokens of W
texts, higher for stranger; layer or p is None where a score has none. The draws of EP are orders of
the stream, those of random exemplars seeds; other scores have one. `taken` is {corpus: its
activations}, an `ActivationSet` of W · T each.

Distances are computed where their dictionary is; what leaves that device is a number a token.

Does not know: texts, AUROC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import Calibration
from epkit.checks import compute_device
from epkit.controls import kmeans_dictionary, random_dictionary
from epkit.dictionary import Dictionary
from epkit.geometry import directions
from epkit.lm.models import LanguageModel
from epkit.lm.store import ActivationSet
from epkit.partition import partition
from epkit.studies.ood.scores import mahalanobis, neighbour_distance, next_token_scores

EP, RANDOM = "EP: nearest exemplar", "random exemplars, equal K"
REFINED, KMEANS = "EP refined, equal K", "k-means, equal K"

Draw = dict[str, Tensor]
Scores = dict[tuple[str, int | None, float | None], list[Draw]]
Taken = Mapping[str, ActivationSet]
Known = Mapping[int, Tensor]
Orders = dict[tuple[int, float], list[Dictionary]]


def build_orders(
    known: Known,
    calibrations: Mapping[int, Calibration],
    percentiles: Sequence[float],
    n_orders: int,
    seed: int = 0,
) -> Orders:
    """Dictionaries of every layer and percentile, one for every order of the stream.

    known : {layer: (N, D) activations of the build}. The first order is the stream's own, the
    others permute its rows.
    """
    atlas: Orders = {}
    for layer, x in known.items():
        for order in (None, *range(seed + 1, seed + n_orders)):
            options = {"calibration": calibrations[layer], "order": order, "recount": False}
            for p, d in partition(x, percentiles, **options).items():
                atlas.setdefault((layer, p), []).append(d)
    return atlas


def partition_scores(
    atlas: Orders, known: Known, taken: Taken, length: int, *, n_draws: int, seed: int = 0
) -> Scores:
    """Distance to the nearest exemplar, and to the nearest of as many random activations.

    atlas : {(layer, p): dictionaries} built on `known`. length : T. seed : of the first draw; the
    next has seed + 1.
    """
    scores: Scores = {}
    for (layer, p), orders in atlas.items():
        scores[EP, layer, p] = [_distances(d, taken, layer, length) for d in orders]
        scores[RANDOM, layer, p] = [
            _distances(
                random_dictionary(orders[0], known[layer], seed=seed + i, recount=False),
                taken, layer, length,
            )
            for i in range(n_draws)
        ]  # fmt: skip
    return scores


def centroid_scores(
    atlas: Orders,
    known: Known,
    taken: Taken,
    length: int,
    layer: int,
    *,
    rounds: int,
    seed: int = 0,
) -> Scores:
    """Distance to the nearest centroid at equal K, at one layer: EP refined, and k-means."""
    scores: Scores = {}
    for (at, p), (d, *_) in atlas.items():
        if at == layer:
            made = {
                REFINED: d.refine(known[layer], rounds=rounds),
                KMEANS: kmeans_dictionary(d, known[layer], seed=seed, rounds=rounds),
            }
            for method, other in made.items():
                scores[method, layer, p] = [_distances(other, taken, layer, length)]
    return scores


def baseline_scores(
    build: Known,
    calibrations: Mapping[int, Calibration],
    taken: Taken,
    length: int,
    *,
    n_baseline: int,
    seed: int = 0,
) -> Scores:
    """Scores of the same activations that know no partition, at every layer.

    They see `n_baseline` activations of the build, drawn at random. The covariance is fitted on
    the CPU (`mahalanobis`); all else is computed on CUDA where there is one.
    """
    device, scores = compute_device(None), {}
    generator = torch.Generator().manual_seed(seed)
    n = len(next(iter(build.values())))
    chosen = torch.randperm(n, generator=generator)[:n_baseline].sort().values
    sizes = {name: t.n for name, t in taken.items()}
    for layer, calibration in calibrations.items():
        x = torch.cat([t.layer(layer) for t in taken.values()]).float().to(device)
        known = build[layer][chosen].float().to(device)
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


def _distances(d: Dictionary, taken: Taken, layer: int, length: int) -> Draw:
    return {name: _shaped(d.assign(t.layer(layer))[1], length) for name, t in taken.items()}


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
