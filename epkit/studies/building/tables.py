"""Tables of a built atlas, and what they say: sizes, memberships, coverage of new text.

Functions take an atlas {(layer, percentile): Dictionary}, its dictionaries on any device, and give
pandas frames with one row per dictionary: activations are compared where the dictionary is, and
only numbers leave it.

Does not know: models, corpora, how a dictionary was built.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch

from epkit.calibration import calibrate
from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.lm.chunks import means_by_document, places
from epkit.lm.store import ActivationSet
from epkit.stats import bootstrap_difference, minimum_detectable

Atlas = Mapping[tuple[int, float], Dictionary]

INDEX = ["layer", "percentile p"]
BLOCK = 4096
"""Activations recounted at once."""


def size_table(atlas: Atlas, window: int) -> pd.DataFrame:
    """Threshold, regions, sizes and coherence; saturated after `window` activations without a new
    region."""
    rows = []
    for (layer, p), d in atlas.items():
        rows.append({
            "layer": layer, "percentile p": p, "threshold θ": d.threshold,
            "‖c‖": d.centre.norm().item(), "regions K": len(d),
            "singletons": f"{(d.counts == 1).float().mean().item():.0%}",
            "largest region": f"{d.counts.max().item() / d.n:.1%}",
            "median coherence (N ≥ 5)": d.coherence[d.counts >= 5].median().item(),
            f"saturated ({window:,} quiet)": d.saturated_at(window) or "no",
        })  # fmt: skip
    return pd.DataFrame(rows).set_index(INDEX)


def membership_table(atlas: Atlas, stream: ActivationSet) -> pd.DataFrame:
    """Membership in stream order against the final Voronoi partition of the same stream.

    stream : the activations the atlas was built from. Of the members that moved only the net change
        of counts is known, so the share is a lower bound.
    """
    rows = []
    for (layer, p), d in atlas.items():
        again = d.recount(stream.layer(layer).split(BLOCK))
        moved = (again.counts - d.counts).abs().sum().item() / 2 / d.n
        joining, nearest = ((x.distance_mean * x.counts).sum().item() / x.n for x in (d, again))
        rows.append({
            "layer": layer, "percentile p": p, "net members moved, at least": f"{moved:.1%}",
            "mean distance when joining": joining, "mean distance to the nearest": nearest,
            "regions left empty": int((again.counts == 0).sum()),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index(INDEX)


def coverage_table(
    atlas: Atlas, stream: ActivationSet, fresh: ActivationSet, n_draws: int = 5
) -> pd.DataFrame:
    """How new text is covered, beside as many random activations as exemplars.

    Covered is what lies within θ of an exemplar. "more covered" and "nearer by" are `Interval`s of
    the paired difference over documents.

    Parameters
    ----------
    stream : what the atlas was built from; the random exemplars are drawn from it.
    fresh : activations of documents that took no part in the build, of the atlas's layers.
    n_draws : of random exemplars, seeded 0 … n_draws − 1; their mean is compared.

    "joined at the end" is the share of the last tenth of the build that founded no region: what the
    construction alone makes one expect of "within θ". "detectable" is the least difference in
    coverage that would have been shown (power .8).
    """
    document, rows = places(fresh).document, []
    for (layer, p), d in atlas.items():
        x = fresh.layer(layer)
        own = d.assign(x)[1]
        random = torch.stack([
            random_dictionary(d, stream.layer(layer), seed=seed, recount=False).assign(x)[1]
            for seed in range(n_draws)
        ])  # fmt: skip
        within, near = (random <= d.threshold).float().mean(0), random.mean(0)
        covered = [means_by_document(v, document) for v in (own <= d.threshold, within)]
        distance = [means_by_document(v, document) for v in (near, own)]
        rows.append({
            "layer": layer, "percentile p": p, "K": len(d),
            "joined at the end": joined_at_the_end(d),
            "within θ": (own <= d.threshold).float().mean().item(),
            "within θ, random": within.mean().item(),
            "more covered": (more := bootstrap_difference(*covered)),
            "detectable": minimum_detectable(more), "mean distance": own.mean().item(),
            "mean distance, random": near.mean().item(),
            "nearer by": bootstrap_difference(*distance),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index(INDEX)


def joined_at_the_end(d: Dictionary) -> float:
    """Share of the last tenth of the stream that founded no region."""
    tenth = d.n // 10
    return 1 - int((d.exemplar_index >= d.n - tenth).sum()) / tenth


def threshold_table(
    stream: ActivationSet,
    layers: Sequence[int],
    percentiles: Sequence[float],
    *,
    n: int,
    samples: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """θ over disjoint stretches of the stream, so of other documents: mean, least and greatest.

    n : activations in a stretch. Raises ValueError for a stream shorter than all of them.
    """
    if samples * n > stream.n:
        raise ValueError(f"{samples} stretches of {n:,} need more than {stream.n:,} activations")
    rows = []
    for layer in layers:
        parts = stream.layer(layer)[: samples * n].split(n)
        found = [calibrate(x.float(), percentiles, seed=seed).thresholds for x in parts]
        for p in percentiles:
            values = [thresholds[p] for thresholds in found]
            rows.append({
                "layer": layer, "percentile p": p, "θ": sum(values) / samples,
                "least": min(values), "greatest": max(values),
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(INDEX)


def coverage_verdict(atlas: Atlas, control: pd.DataFrame, window: int) -> list[str]:
    """The answer in two sentences: how many regions, and what they cover.

    control : of `coverage_table`. window : activations without a new region that count as quiet.
    """
    deepest = max(layer for layer, _ in atlas)
    percentiles = [p for layer, p in atlas if layer == deepest]
    fine, coarse = min(percentiles), max(percentiles)
    finest, coarsest = atlas[deepest, fine], atlas[deepest, coarse]
    quiet = sum(d.saturated_at(window) is not None for d in atlas.values())
    better = sum(row.low > 0 for row in control["more covered"])
    worse = sum(row.high < 0 for row in control["nearer by"])
    nearer = sum(row.low > 0 for row in control["nearer by"])
    bulk = "they describe the bulk more closely as well."
    if worse > nearer:
        bulk = (
            "random exemplars sit where activations are dense, and describe the bulk more closely."
        )
    return [
        f"{finest.n:,} activations of layer {deepest} fall into {len(finest):,} regions at "
        f"p = {fine:g} and {len(coarsest):,} at p = {coarse:g}. "
        f"{quiet} of {len(atlas)} dictionaries went {window:,} activations without a new region; "
        "the size of the others still depends on the length of the stream.",
        f"On unseen documents the exemplars have more activations within θ than as many random "
        f"ones in {better} of {len(atlas)} dictionaries (95 % intervals): the rare directions get "
        f"exemplars. They are nearer on average in {nearer} and further in {worse}: {bulk}",
    ]
