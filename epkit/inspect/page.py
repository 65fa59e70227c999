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
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
import torch

from epkit import files
from epkit.dictionary import Dictionary
from epkit.geometry import distances
from epkit.inspect.card import SHADE_NOTES, STYLE, TITLES
from epkit.inspect.facts import EXEMPLAR_WIDTH, LINKS
from epkit.inspect.regions import Regions, inspect
from epkit.inspect.shading import context_cosines
from epkit.lm.lens import LogitLens
from epkit.lm.store import ActivationSet
from epkit.lm.text import label_of, visible
from epkit.members import KEPT
from epkit.progress import progress

ASSETS = Path(__file__).parent / "assets"

WIDTH = 10
"""Tokens on either side of a member; fewer than on a card in a notebook, for the file's size."""

SPANS = 2000
"""Contexts that are shaded at a time."""

SHADES = "0123456789abcdefghijklmnopqrstuvwxyz"
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
    dictionary, model_or_tokenizer, lens, activations : as in `inspect`. Given a model and no
        activations, every window that holds a shown member is run through the model once; given
        only a tokenizer, the page has no shade.
    path : of the file, which is written beside and moved into place.
    contexts : members of each kind shown for a region, 1 … 8.

    Raises
    ------
    ValueError : contexts out of range, or whatever `inspect` raises.
    """
    if not isinstance(contexts, int) or not 1 <= contexts <= KEPT:
        raise ValueError(f"contexts must lie in 1 … {KEPT}, the members kept, not {contexts!r}")
    regions = inspect(dictionary, model_or_tokenizer, lens=lens, activations=activations)
    page = _page(_data(regions, contexts, show_progress), regions)
    path = Path(path)
    files.write_text(path, page)
    return path


# ---- the page -----------------------------------------------------------------------------------


def _page(data: dict, regions: Regions) -> str:
    script = (ASSETS / "regions.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "title": escape(_title(regions.dictionary)),
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
        self.texts = [visible(t) for t in regions.texts(ids)]
        self._number = np.zeros(int(ids.max()) + 1, dtype=np.int64)
        self._number[ids] = np.arange(len(ids))

    def of(self, ids: np.ndarray) -> np.ndarray:
        return self._number[ids]


def _data(regions: Regions, contexts: int, show: bool) -> dict:
    d = regions.dictionary
    spans = _Spans(regions, contexts)
    shade = list(_shades(regions, spans, show))
    if regions.census is not None:
        _count(regions, show)
    texts = _Texts(regions, [regions.text.tokens])
    shown = [
        _context(regions, texts, a, at, b, gap, s)
        for a, at, b, gap, s in zip(*spans.columns(), shade, strict=True)
    ]
    rows = [[] for _ in range(len(regions))]
    for region, kind, context in zip(spans.region, spans.kind, shown, strict=True):
        rows[region].append([kind, *context])
    lens = regions.lens(np.arange(len(regions)))
    gap, near = _nearest(d)
    return {
        "title": _title(d),
        "n": d.n,
        "threshold": d.threshold,
        "texts": texts.texts,
        "labels": regions.labels,
        "counts": d.counts.tolist(),
        "coherence": _rounded(d.coherence),
        "mean": _rounded(d.distance_mean),
        "std": _rounded(d.distance_std),
        "position": d.exemplar_index.tolist(),
        "contexts": rows,
        "nearest": near.tolist(),
        "gaps": _rounded(gap),
        "competitors": _runners_up(regions),
        "bars": regions.census.histogram.tolist() if regions.census else None,
        "sample": [_rounded(x[~x.isnan()]) for x in d.members.random_distance],
        "promoted": _lens_rows(regions, lens, "promoted"),
        "suppressed": _lens_rows(regions, lens, "suppressed"),
        "kinds": ["exemplar", *TITLES],
        "titles": TITLES,
        "shades": SHADES,
        "note": SHADE_NOTES["plain" if regions.source is None else "shaded"],
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

    def columns(self) -> tuple[np.ndarray, ...]:
        return self.low, self.at, self.high, self.distance


def _shades(regions: Regions, spans: _Spans, show: bool) -> Iterator[str | None]:
    """One string per context, a character per token; None without activations."""
    if regions.source is None:
        yield from [None] * len(spans.low)
        return
    levels, shades = np.array([*SHADES, "-"]), [""] * len(spans.low)
    order = np.argsort(spans.low, kind="stable")
    with progress(len(order), "contexts", "shade", show=show) as update:
        for first in range(0, len(order), SPANS):
            rows = order[first : first + SPANS]
            cosines = context_cosines(
                regions.dictionary, regions.source,
                spans.region[rows], spans.low[rows], spans.high[rows],
            )  # fmt: skip
            regions.source.forget()
            for i, cosine in zip(rows, cosines, strict=True):
                level = np.rint(35 * np.nan_to_num(cosine).clip(0, 1)).astype(np.int64)
                shades[i] = "".join(levels[np.where(np.isnan(cosine), len(SHADES), level)])
            update(first + len(rows))
    yield from shades


def _context(regions, texts: _Texts, low, at, high, gap, shade) -> list:
    tokens = texts.of(regions.text.tokens[low:high]).tolist()
    return [int(at - low), round(float(gap), 4), tokens, *([] if shade is None else [shade])]


def _count(regions: Regions, show: bool) -> None:
    with progress(len(regions.source.x), "activations", "count", show=show) as update:
        for done, _ in enumerate(regions.census.steps(), start=1):
            update(min(done * regions.census.block, len(regions.source.x)))


def _nearest(d: Dictionary) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances and indices of the nearest other exemplars: (K, L) each, L = min(LINKS, K - 1)."""
    most, parts = min(LINKS, len(d) - 1), []
    for first in range(0, len(d), 512):
        gap = distances(d.exemplars[first : first + 512], d.exemplars)
        own = torch.arange(len(gap), device=gap.device)
        gap[own, own + first] = torch.inf
        parts.append(gap.topk(most, dim=1, largest=False))
    return torch.cat([p.values for p in parts]).cpu(), torch.cat([p.indices for p in parts]).cpu()


def _runners_up(regions: Regions) -> list | None:
    if regions.census is None:
        return None
    return [regions.census.runners_up(k, LINKS) for k in range(len(regions))]


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
