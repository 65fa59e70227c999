"""All regions of a dictionary as one page: a searchable table and a card for each, in one file.

The page fetches nothing. Its data are one block of JSON in which no character can end the block;
its script puts texts on the page as text, never as HTML; a content security policy allows that one
script (by its hash) and no connection.

Does not know: what the script does with the data (`assets/regions.js`).
"""

import base64
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch

from epkit import files
from epkit.checks import whole
from epkit.dictionary import Dictionary
from epkit.inspect.card import COLOUR_NOTES, STYLE, TITLES
from epkit.inspect.evidence import context_cosines, nearest_exemplars
from epkit.inspect.facts import EXEMPLAR_WIDTH, LINKS
from epkit.inspect.regions import Regions
from epkit.lm.lens import LogitLens
from epkit.lm.store import ActivationSet
from epkit.lm.text import LONGEST, as_html, label_of, visible
from epkit.members import KEPT
from epkit.progress import progress

ASSETS = Path(__file__).parent / "assets"

WIDTH = 10
"""Tokens on either side of a member; fewer than on a card in a notebook, for the file's size."""

SPANS = 2000
"""Contexts that are coloured at a time."""

LEVELS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""A cosine is one character: that of round(35 · cosine), "0" below 0, "-" where there is none."""


def export_html(
    dictionary: Dictionary,
    path: str | os.PathLike,
    model_or_tokenizer,
    *,
    lens: LogitLens | None = None,
    activations: ActivationSet | None = None,
    contexts: int = 5,
    show_progress: bool = True,
) -> Path:
    """Write a page with all regions of a dictionary. Returns its path.

    Parameters
    ----------
    dictionary, model_or_tokenizer, lens, activations : as for `Regions`. Given a model and no
        activations, every window that holds a shown member is run through the model once; given
        only a tokenizer, the page has no colour.
    path : of the file, which is written beside and moved into place.
    contexts : members of each kind shown for a region, 1 … 8.

    Raises
    ------
    ValueError : contexts out of range, or whatever `Regions` raises.
    """
    contexts = whole("contexts", contexts, 1, KEPT)
    regions = Regions(dictionary, model_or_tokenizer, lens=lens, activations=activations)
    page = _page(_data(regions, contexts, show_progress), regions)
    path = Path(path)
    files.write_text(path, page)
    return path


# ---- the page -----------------------------------------------------------------------------------


def _page(data: dict, regions: Regions) -> str:
    script = (ASSETS / "regions.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "title": as_html(_title(regions.dictionary), LONGEST),
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        "style": STYLE + (ASSETS / "regions.css").read_text(encoding="utf-8"),
        "data": _inert(json.dumps(data, separators=(",", ":"), ensure_ascii=False)),
        "script": script,
    }
    before, *rest = (ASSETS / "regions.html").read_text(encoding="utf-8").split("{{")
    # In one pass, so that nothing inside a part is taken for a place to fill.
    filled = [f"{parts[name]}{tail}" for name, tail in (piece.split("}}", 1) for piece in rest)]
    return before + "".join(filled)


def _inert(text: str) -> str:
    """JSON that cannot end a script element or open a comment in it."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _title(d: Dictionary) -> str:
    about = d.metadata
    named = [f"{k} {about[k]}" for k in ("layer", "percentile", "corpus") if k in about]
    return ", ".join([str(about.get("model", "dictionary")), *named])


# ---- its data -----------------------------------------------------------------------------------


class _Texts:
    """The page's table of texts: token ids to numbers, the frequent ones small."""

    def __init__(self, regions: Regions, tokens: list[np.ndarray]) -> None:
        ids, n = np.unique(np.concatenate(tokens), return_counts=True)
        ids = ids[np.argsort(-n, kind="stable")]
        self.texts = [visible(t, LONGEST) for t in regions.texts(ids)]
        self._number = np.zeros(int(ids.max()) + 1, dtype=np.int64)
        self._number[ids] = np.arange(len(ids))

    def of(self, ids: np.ndarray) -> np.ndarray:
        return self._number[ids]


def _data(regions: Regions, contexts: int, show: bool) -> dict:
    d, counts = regions.dictionary, regions.counts
    if counts is not None:
        counts.finish(show)
    gap, near = nearest_exemplars(d, LINKS)
    lens = regions.promoted.of(np.arange(len(regions)))
    texts = _Texts(regions, [regions.text.tokens])
    return {
        "n": d.n,
        "threshold": d.threshold,
        "texts": texts.texts,
        "labels": regions.labels,
        "counts": d.counts.tolist(),
        "coherence": _rounded(d.coherence),
        "mean": _rounded(d.distance_mean),
        "std": _rounded(d.distance_std),
        "position": d.exemplar_index.tolist(),
        "contexts": _contexts(regions, texts, contexts, show),
        "nearest": near.tolist(),
        "gaps": _rounded(gap),
        "competitors": counts and [counts.second(k, LINKS) for k in range(len(regions))],
        "bars": counts and counts.histogram.tolist(),
        "sample": [_rounded(x[~x.isnan()]) for x in d.members.random_distance],
        "promoted": _lens_rows(regions, lens, "promoted"),
        "suppressed": _lens_rows(regions, lens, "suppressed"),
        "kinds": ["exemplar", *TITLES],
        "titles": TITLES,
        "levels": LEVELS,
        "note": COLOUR_NOTES["plain" if regions.source is None else "coloured"],
    }


class _Spans:
    """What is shown of every region: its exemplar and kept members, with their contexts.

    region, kind (its number in `["exemplar", *TITLES]`), low, at, high, distance: (S,) arrays,
    region by region.
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
        self.region, self.kind, self.distance = region[order], kind[order].tolist(), gap[order]
        narrow = regions.text.spans(index[order], WIDTH)
        wide = regions.text.spans(index[order], EXEMPLAR_WIDTH)
        first = kind[order] == 0
        self.low, self.at, self.high = (
            np.where(first, b, a) for a, b in zip(narrow, wide, strict=True)
        )


def _contexts(regions: Regions, texts: _Texts, contexts: int, show: bool) -> list[list]:
    """Of every region, its contexts: [kind, place of the member, distance, texts, levels]."""
    spans = _Spans(regions, contexts)
    rows = [[] for _ in range(len(regions))]
    for i, levels in enumerate(_levels(regions, spans, show)):
        low, at, high = int(spans.low[i]), int(spans.at[i]), int(spans.high[i])
        said = texts.of(regions.text.tokens[low:high]).tolist()
        context = [spans.kind[i], at - low, round(float(spans.distance[i]), 4), said]
        rows[spans.region[i]].append(context if levels is None else [*context, levels])
    return rows


def _levels(regions: Regions, spans: _Spans, show: bool) -> list[str | None]:
    """Cosines of every context, a character per token; None without activations."""
    if regions.source is None:
        return [None] * len(spans.low)
    signs, levels = np.array([*LEVELS, "-"]), [""] * len(spans.low)
    order = np.argsort(spans.low, kind="stable")
    with progress(len(order), "contexts", "colour", show=show) as update:
        for first in range(0, len(order), SPANS):
            rows = order[first : first + SPANS]
            cosines = context_cosines(
                regions.dictionary, regions.source,
                spans.region[rows], spans.low[rows], spans.high[rows],
            )  # fmt: skip
            regions.source.forget()
            for i, cosine in zip(rows, cosines, strict=True):
                level = np.rint(35 * np.nan_to_num(cosine).clip(0, 1)).astype(np.int64)
                levels[i] = "".join(signs[np.where(np.isnan(cosine), len(LEVELS), level)])
            update(first + len(rows))
    return levels


def _lens_rows(regions: Regions, lens: LogitLens | None, kind: str) -> list | None:
    """[texts, logits] of every region."""
    if lens is None:
        return None
    ids, logits = getattr(lens, kind), getattr(lens, f"{kind}_logits")
    said = {i: label_of(t) for i in ids.unique().tolist() for t in regions.texts([i])}
    return [
        [[said[i] for i in row], values]
        for row, values in zip(ids.tolist(), _rounded(logits, 1), strict=True)
    ]


def _rounded(x: torch.Tensor, digits: int = 4) -> list:
    return np.round(x.cpu().double().numpy(), digits).tolist()
