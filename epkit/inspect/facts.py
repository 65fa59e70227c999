"""The facts of a region's card, gathered from dictionary, texts, logit lens and activations.

Does not know: HTML; how long a step may take (see `Regions.refine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from epkit.inspect.card import Card, Context, Histogram, Link
from epkit.inspect.shading import FromModel, FromSet, context_cosines, frequent
from epkit.lm.text import label_of, visible
from epkit.members import KEPT

if TYPE_CHECKING:
    from epkit.inspect.regions import Regions

WIDTH = 12
"""Tokens on either side of a member."""

EXEMPLAR_WIDTH = 32

LINKS = 6
"""Nearest regions, and competitors, that a card names."""

Source = FromSet | FromModel


def make_card(regions: Regions, region: int, source: Source | None, shade: str) -> Card:
    """The card of a region; activations come from `source`, `shade` says what became of them."""
    d = regions.dictionary
    kept = kept_members(regions, region)
    exemplar = d.exemplar_index[region : region + 1].cpu().numpy()
    competitors, of = _competitors(regions, region, kept, source)
    return Card(
        region=region,
        label=regions.labels[region],
        n_regions=len(regions),
        count=int(d.counts[region]),
        share=int(d.counts[region]) / d.n,
        coherence=float(d.coherence[region]),
        threshold=d.threshold,
        distance_mean=float(d.distance_mean[region]),
        distance_std=float(d.distance_std[region]),
        position=int(exemplar[0]),
        exemplar=_contexts(regions, region, exemplar, [0.0], EXEMPLAR_WIDTH, source)[0],
        members={
            kind: _contexts(regions, region, index, distance, WIDTH, source)
            for kind, (index, distance) in kept.items()
        },
        shade=shade,
        promoted=_lens_pairs(regions, region, "promoted"),
        suppressed=_lens_pairs(regions, region, "suppressed"),
        histogram=_histogram(regions, region, kept),
        nearest=_nearest_links(regions, region),
        competitors=competitors,
        competitors_of=of,
    )


def kept_members(regions: Regions, region: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Stream positions (M,) and distances (M,) by kind of kept members; "all" if all are kept."""
    members = regions.dictionary.members
    if int(regions.dictionary.counts[region]) <= KEPT:
        index, distance = members.of(region, "closest")
        return {"all": (index.numpy(), distance.numpy())}
    parts = {kind: members.of(region, kind) for kind in ("closest", "random", "farthest")}
    return {kind: (index.numpy(), gap.numpy()) for kind, (index, gap) in parts.items()}


def context_spans(regions: Regions, region: int) -> list[tuple[int, int]]:
    """Places [low, high) of all contexts on the card."""
    index = np.concatenate([index for index, _ in kept_members(regions, region).values()])
    low, _, high = regions.text.spans(index, WIDTH)
    exemplar = regions.dictionary.exemplar_index[region : region + 1].cpu().numpy()
    first, _, last = regions.text.spans(exemplar, EXEMPLAR_WIDTH)
    return list(zip([*low, *first], [*high, *last], strict=True))


def nearest_links(regions: Regions, region: int, gap: np.ndarray) -> list[Link]:
    """The regions nearest to one, given the distances of all exemplars to its own: (K,)."""
    near = np.argsort(gap, kind="stable")[: LINKS + 1]
    near = near[near != region][:LINKS]
    return [Link(int(k), regions.labels[k], f"{gap[k]:.3f}") for k in near]


def _contexts(
    regions: Regions,
    region: int,
    index: np.ndarray,
    distance: Sequence[float],
    width: int,
    source: Source | None,
) -> list[Context]:
    text = regions.text
    low, at, high = text.spans(index, width)
    cosines: list = [None] * len(low)
    if source is not None and len(low):
        whose = np.full(len(low), region)
        found = context_cosines(regions.dictionary, source, whose, low, high)
        cosines = [c.tolist() for c in found]
    return [
        Context([visible(t) for t in regions.texts(text.tokens[a:b])], int(own - a), float(gap), c)
        for a, own, b, gap, c in zip(low, at, high, distance, cosines, strict=True)
    ]


def _lens_pairs(regions: Regions, region: int, kind: str) -> list[tuple[str, float]] | None:
    lens = regions.lens(np.array([region]))
    if lens is None:
        return None
    texts = [label_of(t) for t in regions.texts(getattr(lens, kind)[0])]
    return list(zip(texts, getattr(lens, f"{kind}_logits")[0].tolist(), strict=True))


def _histogram(regions: Regions, region: int, kept: dict) -> Histogram:
    """Of all activations where they are counted, else of the kept members, one by one."""
    if regions.census is not None and regions.census.done:
        bars = regions.census.histogram[region].tolist()
        return Histogram(bars, [], f"{sum(bars):,} activations nearest to this exemplar")
    if "all" in kept:
        gaps = kept["all"][1].tolist()
        return Histogram([], gaps, f"all {len(gaps)} members")
    gaps = kept["random"][1].tolist()
    n = int(regions.dictionary.counts[region])
    return Histogram([], gaps, f"{len(gaps)} members drawn at random of {n:,}")


def _nearest_links(regions: Regions, region: int) -> list[Link]:
    return nearest_links(regions, region, regions.nearest(region))


def _competitors(
    regions: Regions, region: int, kept: dict, source: Source | None
) -> tuple[list[Link], str]:
    """Which regions come second for the members, and for what members that was counted."""
    if len(regions) == 1:
        return [], "no region: there is no other"
    if source is None:
        return [], "its members: not known without activations"
    if regions.census is not None and regions.census.done:
        pairs = regions.census.runners_up(region, LINKS)
        of = f"{int(regions.census.histogram[region].sum()):,} activations"
    else:
        index = np.unique(np.concatenate([index for index, _ in kept.values()]))
        x = source.fetch(regions.text.places[index])
        gap = regions.dictionary.distances(x[x.isfinite().all(dim=1)])
        gap[:, region] = torch.inf
        pairs, of = frequent(gap.argmin(dim=1).cpu(), LINKS), f"{len(gap)} kept members"
    return [Link(k, regions.labels[k], f"{n}×") for k, n in pairs], of
