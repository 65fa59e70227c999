"""Regions to look at: a dictionary with the texts, tokens and activations that explain it.

    regions = Regions(dictionary, model)
    regions[12]                    # a card in a notebook; .to_html() as text

A card is facts first (`Card`, plain data), drawn by `card_html` or by an exported page. Its
contexts are coloured by cosine, and its competitors counted, where activations are at hand: those
the dictionary was built from (at once), or those of the model (a few windows are run again).

Does not know: HTML, widgets; where activations come from (see `evidence`).
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from epkit.checks import whole
from epkit.dictionary import Dictionary
from epkit.geometry import distances
from epkit.inspect.card import Card, Context, Histogram, Link, card_html
from epkit.inspect.evidence import (
    FromModel,
    NearestCounts,
    PromotedTokens,
    activations_of,
    context_cosines,
    frequent,
)
from epkit.lm.lens import LogitLens
from epkit.lm.models import LanguageModel
from epkit.lm.store import ActivationSet
from epkit.lm.text import LONGEST, StreamText, TokenTexts, label_of, visible
from epkit.members import KEPT

WIDTH = 12
"""Tokens on either side of a member."""

EXEMPLAR_WIDTH = 32

LINKS = 6
"""Nearest regions, and competitors, that a card names."""


@dataclass(frozen=True, eq=False)
class Region:
    """One region; shows itself as a card in a notebook."""

    regions: "Regions"
    index: int

    @property
    def card(self) -> Card:
        """What the card says, as plain data."""
        return self.regions.card(self.index)

    def to_html(self) -> str:
        """The card as HTML that needs no kernel, script or network."""
        return card_html(self.card)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        d, k = self.regions.dictionary, self.index
        return f"Region({k}, {self.regions.labels[k]!r}, {int(d.counts[k]):,} members)"


class Regions:
    """The regions of a dictionary as a list of things to look at.

    Parameters
    ----------
    dictionary : of `build`, with its members.
    model_or_tokenizer : the model it was built on (colours contexts, gives the logit lens), or only
        the tokenizer (texts without colour).
    lens : `logit_lens` of the dictionary's means; by default asked of the model when needed.
    activations : the `cached` set it was built from: colours without running the model, and gives
        true histograms and competitors.

    Attributes
    ----------
    dictionary : the dictionary.
    labels : K strings, the token of every exemplar.
    texts, text : texts of token ids; the tokens of the stream.
    promoted : promoted and suppressed tokens of regions.
    source : where activations come from, None for nowhere.
    counts : all activations by nearest exemplar, None without activations.

    Raises
    ------
    TypeError : no dictionary, neither a model nor a tokenizer, no lens, no activations.
    ValueError : no members; another model than the dictionary's; a lens of another K; activations
        of another stream.
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
        self.promoted = PromotedTokens(dictionary, model, lens)
        self.source = activations_of(dictionary, self.text, model, activations)
        self.counts = None
        if activations is not None:
            self.counts = NearestCounts(dictionary, self.source.x)
        self._cards: dict[int, Card] = {}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self.dictionary)

    def __getitem__(self, region: int) -> Region:
        region = whole("region", region, -(2**63))
        if not -len(self) <= region < len(self):
            raise IndexError(f"region {region} is outside 0 … {len(self) - 1}")
        return Region(self, region % len(self))

    def __iter__(self) -> Iterator[Region]:
        return (Region(self, k) for k in range(len(self)))

    def __repr__(self) -> str:
        return f"Regions({self.dictionary!r})"

    def nearest(self, region: int) -> np.ndarray:
        """Cosine distance of every exemplar to a region's: (K,) float32."""
        e = self.dictionary.exemplars
        return distances(e[region : region + 1], e)[0].cpu().numpy()

    # ---- a card, at once or in steps

    def card(self, region: int, refined: bool = True) -> Card:
        """What a region's card says.

        refined : False leaves out what takes longer than a click, unless it is known already.
        """
        region = whole("region", region, 0, len(self) - 1)
        with self._lock:
            if region in self._cards:
                return self._cards[region]
            if not refined and self.pending(region):
                return self._make_card(region, with_source=not isinstance(self.source, FromModel))
            for _ in self._steps(region):
                pass
            self._cards[region] = card = self._make_card(region)
            if self.source is not None:
                self.source.forget()
            return card

    def pending(self, region: int) -> bool:
        """Whether `refine` has anything to do for a region."""
        if region in self._cards:
            return False
        counting = self.counts is not None and not self.counts.done
        return counting or isinstance(self.source, FromModel)

    def refine(self, region: int) -> Iterator[None]:
        """Do, in short steps, what `card(region)` would otherwise do at once."""
        steps, more = self._steps(region), True
        while more:
            with self._lock:
                more = next(steps, self) is not self
            if more:
                yield

    def _steps(self, region: int) -> Iterator[None]:
        if region in self._cards:
            return
        if self.counts is not None:
            yield from self.counts.steps()
        if isinstance(self.source, FromModel):
            places = self._places_on_card(region)
            window = self.text.window(places)
            for w in np.unique(window):
                self.source.fetch(np.unique(places[window == w]))
                yield

    # ---- the facts of a card

    def _make_card(self, region: int, with_source: bool = True) -> Card:
        d = self.dictionary
        kept = self._kept(region)
        source = self.source if with_source else None
        exemplar = d.exemplar_index[region : region + 1].cpu().numpy()
        competitors, of = self._competitors(region, kept, source)
        return Card(
            region=region,
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

    def _places_on_card(self, region: int) -> np.ndarray:
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
        if source is not None and len(low):
            whose = np.full(len(low), region)
            found = context_cosines(self.dictionary, source, whose, low, high)
            cosines = [c.tolist() for c in found]
        said = [self.texts(self.text.tokens[a:b]) for a, b in zip(low, high, strict=True)]
        return [
            Context([visible(t, LONGEST) for t in texts], int(own - a), float(gap), c)
            for texts, a, own, gap, c in zip(said, low, at, distance, cosines, strict=True)
        ]

    def _lens_pairs(self, region: int, kind: str) -> list[tuple[str, float]] | None:
        lens = self.promoted.of(np.array([region]))
        if lens is None:
            return None
        texts = [label_of(t) for t in self.texts(getattr(lens, kind)[0])]
        return list(zip(texts, getattr(lens, f"{kind}_logits")[0].tolist(), strict=True))

    def _histogram(self, region: int, kept: dict) -> Histogram:
        """Of all activations where they are counted, else of the kept members, one by one."""
        if self.counts is not None and self.counts.done:
            bars = self.counts.histogram[region].tolist()
            return Histogram(bars, [], f"{sum(bars):,} activations nearest to this exemplar")
        if "all" in kept:
            gaps = kept["all"][1].tolist()
            return Histogram([], gaps, f"all {len(gaps)} members")
        gaps = kept["random"][1].tolist()
        n = int(self.dictionary.counts[region])
        return Histogram([], gaps, f"{len(gaps)} members drawn at random of {n:,}")

    def _nearest_links(self, region: int) -> list[Link]:
        gap = self.nearest(region)
        near = np.argsort(gap, kind="stable")[: LINKS + 1]
        near = near[near != region][:LINKS]
        return [Link(int(k), self.labels[k], f"{gap[k]:.3f}") for k in near]

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
        return [Link(k, self.labels[k], f"{n}×") for k, n in pairs], of


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
