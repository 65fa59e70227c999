"""The facts of a region's card: its numbers, contexts, promoted tokens, near regions, competitors.

Contexts are coloured by cosine, and competitors counted, where activations are at hand: those the
dictionary was built from (at once), or those of the model (a few windows are run again).

Does not know: HTML, widgets; where activations come from (see `evidence`); which cards are kept.
"""

from collections.abc import Sequence

import numpy as np
import torch

from epkit.dictionary import Dictionary
from epkit.geometry import distances
from epkit.inspect.background import Background
from epkit.inspect.card import Card, Context, Link
from epkit.inspect.evidence import (
    NearestCounts,
    activations_of,
    context_cosines,
    context_regions,
    frequent,
)
from epkit.inspect.histogram import Histogram
from epkit.inspect.naming import NameBook
from epkit.inspect.promoted import PromotedTokens
from epkit.lm.lens import LogitLens
from epkit.lm.models import LanguageModel
from epkit.lm.store import ActivationSet
from epkit.lm.text import LONGEST, StreamText, TokenTexts, label_of, visible
from epkit.members import KEPT

WIDTH = 12
"""Tokens on either side of a member."""

EXEMPLAR_WIDTH = 32

WIDER = 60
"""Tokens on either side of a member that a context opens to."""

LINKS = 6
"""Nearest regions, and competitors, that a card names."""


class RegionFacts:
    """What is known of the regions of a dictionary.

    Made like `regions.Regions`, which says what is given and what is refused.

    Attributes
    ----------
    dictionary : the dictionary.
    labels : K strings, the token of every exemplar.
    names : K strings, what the members of every region share, or what it was called (`naming`).
    texts, text : texts of token ids; the tokens of the stream.
    promoted : promoted and suppressed tokens of regions.
    source : where activations come from, None for nowhere.
    counts : all activations by nearest exemplar, None without activations.
    background : activations drawn at random.
    """

    def __init__(
        self,
        dictionary: Dictionary,
        model_or_tokenizer: object,
        *,
        lens: LogitLens | None = None,
        activations: ActivationSet | None = None,
    ) -> None:
        model = model_or_tokenizer if isinstance(model_or_tokenizer, LanguageModel) else None
        tokenizer = model.tokenizer if model else model_or_tokenizer
        _check(dictionary, model, tokenizer, lens, activations)
        self.dictionary = dictionary
        self.texts = TokenTexts(tokenizer)
        self.text = StreamText(dictionary.members, self.texts)
        exemplar = dictionary.exemplar_index.cpu().numpy()
        self.labels = [label_of(t) for t in self.text.token_texts(exemplar)]
        self.book = NameBook(dictionary, self.text)
        self.promoted = PromotedTokens(dictionary, model, lens)
        self.source = activations_of(dictionary, self.text, model, activations)
        self.counts = None
        self.background = Background(dictionary, self.source, self.text)
        if activations is not None:
            self.counts = NearestCounts(dictionary, self.source.x)

    def __len__(self) -> int:
        return len(self.dictionary)

    @property
    def names(self) -> list[str]:
        """K readable names; made when first asked for."""
        return self.book.names

    def nearest(self, region: int) -> np.ndarray:
        """Cosine distance of every exemplar to a region's: (K,) float32."""
        e = self.dictionary.exemplars
        return distances(e[region : region + 1], e)[0].cpu().numpy()

    def gathered(self, region: int, with_source: bool = True) -> Card:
        """A card as far as its facts are at hand; without a source it has no colour."""
        d = self.dictionary
        kept = self._kept(region)
        source = self.source if with_source else None
        exemplar = d.exemplar_index[region : region + 1].cpu().numpy()
        competitors, of = self._competitors(region, kept, source)
        return Card(
            region=region,
            name=self.names[region],
            label=self.labels[region],
            count=int(d.counts[region]),
            share=int(d.counts[region]) / d.n,
            coherence=float(d.coherence[region]),
            threshold=d.threshold,
            distance_mean=float(d.distance_mean[region]),
            distance_std=float(d.distance_std[region]),
            position=int(exemplar[0]),
            exemplar=self._contexts(region, exemplar, [0.0], EXEMPLAR_WIDTH, source)[0],
            members={
                kind: self._contexts(region, index, distance, WIDTH, source)
                for kind, (index, distance) in kept.items()
            },
            colour="coloured" if source else "plain" if with_source else "pending",
            promoted=self._lens_pairs(region, "promoted"),
            suppressed=self._lens_pairs(region, "suppressed"),
            foretold=self.foretold(region),
            histogram=self._histogram(region, kept),
            nearest=self._nearest_links(region),
            competitors=competitors,
            competitors_of=of,
        )

    def _kept(self, region: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Stream positions (M,) and distances (M,) by kind of kept members; "all" if all are."""
        members = self.dictionary.members
        if int(self.dictionary.counts[region]) <= KEPT:
            index, distance = members.of(region, "closest")
            return {"all": (index.numpy(), distance.numpy())}
        parts = {kind: members.of(region, kind) for kind in ("closest", "random", "farthest")}
        return {kind: (index.numpy(), gap.numpy()) for kind, (index, gap) in parts.items()}

    def places_on_card(self, region: int) -> np.ndarray:
        """Places of the tokens of all contexts on a card."""
        index = np.concatenate([index for index, _ in self._kept(region).values()])
        exemplar = self.dictionary.exemplar_index[region : region + 1].cpu().numpy()
        spans = ((index, WIDTH), (exemplar, EXEMPLAR_WIDTH))
        low, _, high = np.concatenate([self.text.spans(*span) for span in spans], axis=1)
        return np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])

    def _contexts(
        self, region: int, index: np.ndarray, distance: Sequence[float], width: int, source
    ) -> list[Context]:
        low, at, high = self.text.spans(index, width)
        cosines: list = [None] * len(low)
        whose_regions: list | None = None
        if source is not None and len(low):
            whose = np.full(len(low), region)
            found = context_cosines(self.dictionary, source, whose, low, high)
            cosines = [c.tolist() for c in found]
            whose_regions = context_regions(self.dictionary, source, self.counts, low, high)
        first, _, last = self.text.spans(index, WIDER)
        return [
            Context(
                [visible(t, LONGEST) for t in self.texts(self.text.tokens[low[i] : high[i]])],
                int(at[i] - low[i]),
                float(distance[i]),
                cosines[i],
                None if whose_regions is None else whose_regions[i].tolist(),
                self._said(first[i], low[i]),
                self._said(high[i], last[i]),
            )
            for i in range(len(low))
        ]

    def _said(self, low: int, high: int) -> str:
        """Visible text of the tokens of places [low, high), which may be none."""
        return "".join(visible(t, LONGEST) for t in self.texts(self.text.tokens[low:high]))

    def _lens_pairs(self, region: int, kind: str) -> list[tuple[str, float]] | None:
        lens = self.promoted.of(np.array([region]))
        if lens is None:
            return None
        texts = [label_of(t) for t in self.texts(getattr(lens, kind)[0])]
        return list(zip(texts, getattr(lens, f"{kind}_logits")[0].tolist(), strict=True))

    def foretold(self, region: int) -> tuple[int, int] | None:
        """How many kept members are followed by a promoted token, of how many that one follows."""
        lens = self.promoted.of(np.array([region]))
        if lens is None:
            return None
        kept = self._kept(region).values()
        index = np.unique(np.concatenate([index for index, _ in kept]))
        _, at, end = self.text.spans(index, 1)
        follows = self.text.tokens[at[end > at + 1] + 1]
        return int(np.isin(follows, lens.promoted[0].numpy()).sum()), len(follows)

    def _histogram(self, region: int, kept: dict) -> Histogram:
        """Of all activations where they are counted, else of the kept members, one by one."""
        drawn = self.background.bars(region), self.background.said(region)
        if self.counts is not None and self.counts.done:
            bars = self.counts.histogram[region].tolist()
            of = f"{sum(bars):,} activations nearest to this exemplar"
            return Histogram(bars, [], of, *drawn)
        if "all" in kept:
            gaps = kept["all"][1].tolist()
            return Histogram([], gaps, f"all {len(gaps)} members", *drawn)
        gaps = kept["random"][1].tolist()
        n = int(self.dictionary.counts[region])
        return Histogram([], gaps, f"{len(gaps)} members drawn at random of {n:,}", *drawn)

    def _nearest_links(self, region: int) -> list[Link]:
        gap = self.nearest(region)
        near = np.argsort(gap, kind="stable")[: LINKS + 1]
        near = near[near != region][:LINKS]
        return [Link(int(k), self.names[k], f"{gap[k]:.3f}") for k in near]

    def _competitors(self, region: int, kept: dict, source) -> tuple[list[Link], str]:
        """Which regions come second for the members, and for what members that was counted."""
        if len(self) == 1:
            return [], "no region: there is no other"
        if source is None:
            return [], "its members: not known without activations"
        if self.counts is not None and self.counts.done:
            pairs = self.counts.second(region, LINKS)
            of = f"{int(self.counts.histogram[region].sum()):,} activations"
        else:
            index = np.unique(np.concatenate([index for index, _ in kept.values()]))
            x = source.fetch(self.text.places[index])
            gap = self.dictionary.distances(x[x.isfinite().all(dim=1)])
            gap[:, region] = torch.inf
            pairs, of = frequent(gap.argmin(dim=1).cpu(), LINKS), f"{len(gap)} kept members"
        return [Link(k, self.names[k], f"{n}×") for k, n in pairs], of


def _check(dictionary, model: LanguageModel | None, tokenizer, lens, activations) -> None:
    """Whether these are what they should be, and belong together."""
    for given, kind in ((dictionary, Dictionary), (lens, LogitLens), (activations, ActivationSet)):
        optional = kind is not Dictionary
        if not isinstance(given, kind) and not (optional and given is None):
            raise TypeError(f"expected a {kind.__name__}, got a {type(given).__name__}")
    if dictionary.members is None:
        raise ValueError(
            "this dictionary keeps no members, so there is nothing to read; "
            "inspect the one that build made (recount drops them)"
        )
    if not callable(getattr(tokenizer, "convert_ids_to_tokens", None)):
        raise TypeError(f"expected a model or a tokenizer, got a {type(tokenizer).__name__}")
    made_on = dictionary.metadata.get("revision")
    if model and (len(dictionary.centre) != model.d_model or made_on not in (None, model.revision)):
        raise ValueError(
            f"the dictionary was built on {dictionary.metadata.get('model', 'another model')}, "
            f"not on these weights of {model.name}; load that model, or give only the tokenizer"
        )
    if lens is not None and len(lens) != len(dictionary):
        raise ValueError(
            f"the logit lens has {len(lens)} rows for {len(dictionary)} regions; "
            "make it with logit_lens(model, dictionary.means)"
        )
