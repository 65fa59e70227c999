"""What an exported page holds: regions of a dictionary as plain lists, as small as can be.

The tokens of all that is shown stand once, in one list of places ("stream"), and a context is a few
numbers that point into it. Texts stand once in tables. A cosine is a letter, that of
round(25 · cosine): a capital for a member of the region that is shown, "-" where there is none.

Does not know: HTML, what the page does with it (`assets/page`).
"""

import numpy as np
import torch

from epkit.inspect.background import REACH
from epkit.inspect.card import COLOUR_NOTES, TITLES
from epkit.inspect.evidence import context_cosines, context_regions, nearest_exemplars
from epkit.inspect.facts import EXEMPLAR_WIDTH, LINKS
from epkit.inspect.interest import MIN_MEMBERS, interest, most_interesting
from epkit.inspect.positions import map_places
from epkit.inspect.regions import Regions
from epkit.lm.lens import LogitLens
from epkit.lm.text import LONGEST, label_of, visible
from epkit.members import KEPT
from epkit.progress import progress

WIDTH, OPENED = 10, 40
"""Tokens on either side of a member, and of one whose line is opened; fewer than on a card in a
notebook, for the file's size."""

SPANS = 2000
"""Contexts that are coloured at a time."""

LEVELS = "abcdefghijklmnopqrstuvwxyz"

SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""Heights of the background's bars, each a character."""


def page_data(regions: Regions, contexts: int, show: bool) -> dict:
    """All that a page shows; `contexts` members of each kind of a region."""
    d, counts = regions.dictionary, regions.counts
    if counts is not None:
        counts.finish(show)
    for _ in regions.background.steps():
        pass
    gap, near = nearest_exemplars(d, LINKS)
    spans = _Spans(regions, contexts)
    packed = _Packed(regions, spans)
    lens = regions.promoted.of(np.arange(len(regions)))
    words: dict[str, int] = {}
    score = interest(regions)
    return {
        "about": {k: d.metadata[k] for k in ("model", "layer", "percentile") if k in d.metadata},
        "n": d.n,
        "threshold": d.threshold,
        "least": MIN_MEMBERS,
        "first": most_interesting(d.counts.cpu().numpy(), score, MIN_MEMBERS),
        "texts": packed.texts,
        "stream": packed.tokens,
        "positions": packed.positions,
        "names": regions.names,
        "counts": d.counts.tolist(),
        "interest": np.round(score.astype(float), 3).tolist(),
        "coherence": _rounded(d.coherence, 3),
        "mean": _rounded(d.distance_mean),
        "std": _rounded(d.distance_std),
        "position": d.exemplar_index.tolist(),
        "contexts": _contexts(regions, spans, packed, show),
        "nearest": near.tolist(),
        "gaps": _rounded(gap, 3),
        "competitors": counts and [counts.second(k, LINKS) for k in range(len(regions))],
        "bars": counts and counts.histogram.tolist(),
        "background": _background(regions),
        "sample": [] if counts else [_rounded(x[~x.isnan()]) for x in d.members.random_distance],
        "drawn": (~d.members.random_distance.isnan()).sum(1).tolist(),
        "promoted": _lens_rows(regions, lens, "promoted", words),
        "suppressed": _lens_rows(regions, lens, "suppressed", words),
        "foretold": lens and [regions.foretold(k) for k in range(len(regions))],
        "words": list(words),
        "map": np.rint(999 * map_places(d)).astype(int).ravel().tolist(),
        "kinds": ["exemplar", *TITLES],
        "titles": TITLES,
        "membership": regions.source is not None,
        "note": COLOUR_NOTES["plain" if regions.source is None else "coloured"],
    }


class _Spans:
    """What is shown of every region: its exemplar and kept members, with their contexts.

    region, kind (its number in `["exemplar", *TITLES]`), distance, index (stream position), low,
    at, high, and first, last of an opened line: (S,) arrays, region by region.
    """

    def __init__(self, regions: Regions, contexts: int) -> None:
        d, members = regions.dictionary, regions.dictionary.members
        few = (d.counts <= KEPT).cpu().numpy()
        exemplar = d.exemplar_index.cpu().numpy()[:, None]
        kinds = [(exemplar, np.zeros(exemplar.shape), np.full(len(d), True), 1)]
        for kind in TITLES:
            own = "closest" if kind == "all" else kind
            index = getattr(members, f"{own}_index").numpy()
            gap = getattr(members, f"{own}_distance").numpy()
            wanted, most = (few, KEPT) if kind == "all" else (~few, contexts)
            kinds.append((index, gap, wanted, most))
        found = []
        for number, (index, gap, wanted, most) in enumerate(kinds):
            region, slot = ((index[:, :most] >= 0) & wanted[:, None]).nonzero()
            kind = np.full(len(region), number)
            found.append((region, kind, index[region, slot], gap[region, slot]))
        region, kind, index, gap = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.argsort(region, kind="stable")
        self.region, self.kind, self.distance = region[order], kind[order], gap[order]
        self.index = index[order]
        narrow = regions.text.spans(self.index, WIDTH)
        wide = regions.text.spans(self.index, EXEMPLAR_WIDTH)
        self.low, self.at, self.high = (
            np.where(self.kind == 0, b, a) for a, b in zip(narrow, wide, strict=True)
        )
        first, _, last = regions.text.spans(self.index, OPENED)
        self.first, self.last = np.minimum(first, self.low), np.maximum(last, self.high)


class _Packed:
    """The tokens that are shown, in the order of the stream, without those that are not.

    tokens : numbers in `texts`; the frequent ones small. positions : {place in tokens: stream
    position} of the members shown.
    """

    def __init__(self, regions: Regions, spans: _Spans) -> None:
        text = regions.text
        edges = np.zeros(len(text.tokens) + 1, dtype=np.int64)
        np.add.at(edges, spans.first, 1)
        np.add.at(edges, spans.last, -1)
        shown = edges[:-1].cumsum() > 0
        self.place = shown.cumsum() - 1  # of every token, where it is shown
        tokens = text.tokens[shown]
        ids, n = np.unique(tokens, return_counts=True)
        ids = ids[np.argsort(-n, kind="stable")]
        self.texts = [visible(t, LONGEST) for t in regions.texts(ids)]
        number = np.zeros(int(ids.max()) + 1, dtype=np.int64)
        number[ids] = np.arange(len(ids))
        self.tokens = number[tokens].tolist()
        at = self.place[spans.at].tolist()
        self.positions = dict(zip(at, spans.index.tolist(), strict=True))


def _contexts(regions: Regions, spans: _Spans, packed: _Packed, show: bool) -> list[list]:
    """Of every region, its contexts: [kind, distance, place, tokens left and right, and of an
    opened line left and right, levels]."""
    rows: list[list] = [[] for _ in range(len(regions))]
    numbers = np.column_stack([
        packed.place[spans.at], spans.at - spans.low, spans.high - spans.at - 1,
        spans.at - spans.first, spans.last - spans.at - 1,
    ]).tolist()  # fmt: skip
    kinds, gaps = spans.kind.tolist(), np.round(spans.distance.astype(float), 4).tolist()
    for i, levels in enumerate(_levels(regions, spans, show)):
        context = [kinds[i], gaps[i], *numbers[i]]
        rows[spans.region[i]].append(context if levels is None else [*context, levels])
    return rows


def _levels(regions: Regions, spans: _Spans, show: bool) -> list[str | None]:
    """Cosines of every context, a character per token; None without activations."""
    d, source = regions.dictionary, regions.source
    if source is None:
        return [None] * len(spans.low)
    signs, levels = np.array([*LEVELS, *LEVELS.upper(), "-"]), [""] * len(spans.low)
    order = np.argsort(spans.low, kind="stable")
    with progress(len(order), "contexts", "colour", show=show) as update:
        for first in range(0, len(order), SPANS):
            rows = order[first : first + SPANS]
            whose, low, high = spans.region[rows], spans.low[rows], spans.high[rows]
            cosines = context_cosines(d, source, whose, low, high)
            lies = context_regions(d, source, regions.counts, low, high)
            source.forget()
            for i, cosine, region in zip(rows, cosines, lies, strict=True):
                top = len(LEVELS) - 1
                level = np.rint(top * np.nan_to_num(cosine).clip(0, 1)).astype(np.int64)
                level += np.where(region == spans.region[i], len(LEVELS), 0)
                level[np.isnan(cosine)] = 2 * len(LEVELS)
                levels[i] = "".join(signs[level])
            update(first + len(rows))
    return levels


def _background(regions: Regions) -> dict | None:
    """Random activations: bars of every region as signs, their median, the share within θ."""
    background, d = regions.background, regions.dictionary
    if background.directions is None:
        return None
    drawn = [background.of(k) for k in range(len(d))]
    heights = [np.rint(35 * np.array(x.bars) / max(*x.bars, 1)).astype(int) for x in drawn]
    return {
        "bars": ["".join(SIGNS[h] for h in height) for height in heights],
        "reach": REACH,
        "n": len(background.directions),
        "median": np.round([x.median for x in drawn], 3).tolist(),
        "inside": np.round([x.inside for x in drawn], 4).tolist(),
    }


def _lens_rows(
    regions: Regions, lens: LogitLens | None, kind: str, words: dict[str, int]
) -> list | None:
    """[numbers of words, logits] of every region; `words` takes in those that are new."""
    if lens is None:
        return None
    ids, logits = getattr(lens, kind), getattr(lens, f"{kind}_logits")
    known = ids.unique().tolist()
    said = dict(zip(known, map(label_of, regions.texts(known)), strict=True))
    number = {i: words.setdefault(text, len(words)) for i, text in said.items()}
    return [
        [[number[i] for i in row], values]
        for row, values in zip(ids.tolist(), _rounded(logits, 1), strict=True)
    ]


def _rounded(x: torch.Tensor, digits: int = 4) -> list:
    return np.round(x.cpu().double().numpy(), digits).tolist()
