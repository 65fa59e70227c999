"""Regions to look at: a dictionary with the texts, tokens and activations that explain it.

    regions = Regions(dictionary, model)
    regions[12]                    # a card in a notebook; .to_html() as text
    regions.names[12]              # "≈ mother | husband"
    regions.rename(12, "family")

A card is facts first (`Card`, plain data; `facts` gathers them), drawn by `card_html` or by an
exported page. It is made once, at once or in short steps, by one thread at a time.

Does not know: HTML, widgets; what a card says.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from epkit.checks import whole
from epkit.dictionary import Dictionary
from epkit.inspect.card import Card, Link, card_html
from epkit.inspect.evidence import FromModel
from epkit.inspect.facts import RegionFacts
from epkit.lm.lens import LogitLens
from epkit.lm.store import ActivationSet


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
        return f"Region({k}, {self.regions.names[k]!r}, {int(d.counts[k]):,} members)"


class Regions(RegionFacts):
    """The regions of a dictionary as a list of things to look at.

    Parameters
    ----------
    dictionary : of `build`, with its members.
    model_or_tokenizer : the model it was built on (colours contexts, gives the logit lens), or only
        the tokenizer (texts without colour).
    lens : `logit_lens` of the dictionary's means; by default asked of the model when needed.
    activations : the `cached` set it was built from: colours without running the model, and gives
        true histograms and competitors.

    Attributes are those of `RegionFacts`.

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
        super().__init__(dictionary, model_or_tokenizer, lens=lens, activations=activations)
        self._cards: dict[int, Card] = {}
        self._lock = threading.RLock()

    def __getitem__(self, region: int) -> Region:
        region = whole("region", region, -(2**63))
        if not -len(self) <= region < len(self):
            raise IndexError(f"region {region} is outside 0 … {len(self) - 1}")
        return Region(self, region % len(self))

    def __iter__(self) -> Iterator[Region]:
        return (Region(self, k) for k in range(len(self)))

    def __repr__(self) -> str:
        return f"Regions({self.dictionary!r})"

    # ---- names

    def rename(self, region: int, name: str) -> None:
        """Call a region otherwise, wherever it is mentioned.

        Raises TypeError for a region or name of another type, ValueError for no such region or an
        empty name.
        """
        with self._lock:
            self.book.give(region, name)
            self._names_changed()

    def name_by(
        self, function: Callable[[Card], str], regions: Iterable[int] | None = None
    ) -> None:
        """Name regions by a function of their cards: a language model, say.

        function : from a `Card` to a name. regions : by default all.
        """
        with self._lock:
            for region in range(len(self)) if regions is None else regions:
                self.book.give(region, function(self.card(region)))
            self._names_changed()

    def save_names(self, path: str | Path) -> None:
        """Keep the names in a JSON file beside the dictionary; OSError where it cannot be."""
        self.book.save(path)

    def load_names(self, path: str | Path) -> None:
        """Take names from such a file; see `NameBook.load` for what is refused."""
        with self._lock:
            self.book.load(path)
            self._names_changed()

    def _names_changed(self) -> None:
        """Cards that are kept say the names that hold now."""

        def named(links: list[Link]) -> list[Link]:
            return [replace(link, label=self.names[link.region]) for link in links]

        for k, card in self._cards.items():
            self._cards[k] = replace(
                card, name=self.names[k], nearest=named(card.nearest),
                competitors=named(card.competitors),
            )  # fmt: skip

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
                return self.gathered(region, with_source=not isinstance(self.source, FromModel))
            for _ in self._steps(region):
                pass
            self._cards[region] = card = self.gathered(region)
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
        yield from self.background.steps()
        if isinstance(self.source, FromModel):
            places = self.places_on_card(region)
            window = self.text.window(places)
            for w in np.unique(window):
                self.source.fetch(np.unique(places[window == w]))
                yield
