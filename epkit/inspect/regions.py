"""Regions to look at: a dictionary with the texts, tokens and activations that explain it.

    regions = inspect(dictionary, model)
    regions[12]                    # a card in a notebook; .to_html() as text

A card is facts first (`Card`, plain data), drawn by `cards` or by an exported page. Its contexts
are shaded, and its competitors counted, where activations are at hand: those the dictionary was
built from (at once), or those of the model (a few windows are run again).

Does not know: HTML, widgets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from epkit.dictionary import Dictionary
from epkit.geometry import distances
from epkit.inspect.card import Card, card_html
from epkit.inspect.facts import context_spans, make_card
from epkit.inspect.shading import Census, FromModel, FromSet
from epkit.lm.lens import LogitLens, logit_lens
from epkit.lm.models import LanguageModel
from epkit.lm.store import ActivationSet
from epkit.lm.text import StreamText, TokenTexts, label_of

LENS_TOKENS = 10
"""Tokens of either kind that are told of a region."""


def inspect(
    dictionary: Dictionary,
    model_or_tokenizer,
    *,
    lens: LogitLens | None = None,
    activations: ActivationSet | None = None,
) -> Regions:
    """The regions of a dictionary as a list of things to look at.

    Parameters
    ----------
    dictionary : of `build`, with its members.
    model_or_tokenizer : the model it was built on (shades contexts, gives the logit lens), or only
        the tokenizer (texts without shade).
    lens : `logit_lens` of the dictionary's means; by default asked of the model when needed.
    activations : the `cached` set it was built from: shades without running the model, and gives
        true histograms and competitors.

    Raises
    ------
    ValueError : no members; another model than the dictionary's; a lens of another K; activations
        of another stream.
    """
    model = model_or_tokenizer if isinstance(model_or_tokenizer, LanguageModel) else None
    tokenizer = model.tokenizer if model else model_or_tokenizer
    if dictionary.members is None:
        raise ValueError(
            "this dictionary keeps no members, so there is nothing to read; "
            "inspect the one that build made (recount drops them)"
        )
    if not callable(getattr(tokenizer, "convert_ids_to_tokens", None)):
        raise ValueError(f"expected a model or a tokenizer, got a {type(tokenizer).__name__}")
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
    return Regions(dictionary, tokenizer, model, lens, activations)


@dataclass(frozen=True, eq=False)
class Region:
    """One region; shows itself as a card in a notebook."""

    regions: Regions
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
    """All regions of a dictionary. Made by `inspect`.

    Attributes
    ----------
    dictionary : the dictionary.
    labels : K strings, the token of every exemplar.
    """

    def __init__(
        self,
        dictionary: Dictionary,
        tokenizer,
        model: LanguageModel | None,
        lens: LogitLens | None,
        activations: ActivationSet | None,
    ) -> None:
        self.dictionary = dictionary
        self.model = model
        self.texts = TokenTexts(tokenizer)
        self.text = StreamText(dictionary.members, self.texts)
        exemplar = dictionary.exemplar_index.cpu().numpy()
        self.labels = [label_of(t) for t in self.text.token_texts(exemplar)]
        self._lens = _LensRows(dictionary, model, lens)
        self.source: FromSet | FromModel | None = None
        self.census: Census | None = None
        if activations is not None:
            self.source = FromSet(dictionary, activations, self.text)
            self.census = Census(dictionary, self.source.x)
        elif model is not None and "layer" in dictionary.metadata:
            self.source = FromModel(dictionary, model, self.text)
        self._cards: dict[int, Card] = {}

    def __len__(self) -> int:
        return len(self.dictionary)

    def __getitem__(self, region: int) -> Region:
        if not -len(self) <= region < len(self):
            raise IndexError(f"region {region} is outside 0 … {len(self) - 1}")
        return Region(self, int(region) % len(self))

    def __iter__(self) -> Iterator[Region]:
        return (Region(self, k) for k in range(len(self)))

    def __repr__(self) -> str:
        return f"Regions({self.dictionary!r})"

    @property
    def has_lens(self) -> bool:
        """Whether promoted tokens can be told."""
        return self._lens.known

    @property
    def lens_complete(self) -> bool:
        """Whether promoted tokens of all regions are at hand."""
        return self._lens.complete

    def lens(self, rows: np.ndarray) -> LogitLens | None:
        """Promoted and suppressed tokens of some regions: (R,) -> a lens of R rows."""
        return self._lens.of(rows) if self._lens.known else None

    def nearest(self, region: int) -> np.ndarray:
        """Cosine distance of every exemplar to a region's: (K,) float32."""
        e = self.dictionary.exemplars
        return distances(e[region : region + 1], e)[0].cpu().numpy()

    def refine(self, region: int) -> Iterator[None]:
        """Do, in short steps, what `card(region)` would otherwise do at once."""
        if region in self._cards:
            return
        if self.census is not None:
            yield from self.census.steps()
        if isinstance(self.source, FromModel):
            places = np.concatenate([np.arange(a, b) for a, b in context_spans(self, region)])
            window = self.text.window(places)
            for w in np.unique(window):
                self.source.fetch(np.unique(places[window == w]))
                yield

    def card(self, region: int, refined: bool = True) -> Card:
        """What a region's card says.

        refined : False leaves out what takes longer than a click, unless it is known already.
        """
        if region in self._cards:
            return self._cards[region]
        if not refined and self.pending(region):
            if isinstance(self.source, FromModel):
                return make_card(self, region, None, "pending")
            return make_card(self, region, self.source, "shaded")
        for _ in self.refine(region):
            pass
        shade = "plain" if self.source is None else "shaded"
        self._cards[region] = card = make_card(self, region, self.source, shade)
        if self.source is not None:
            self.source.forget()
        return card

    def pending(self, region: int) -> bool:
        """Whether `refine` has anything to do for a region."""
        if region in self._cards:
            return False
        counting = self.census is not None and not self.census.done
        return counting or isinstance(self.source, FromModel)


class _LensRows:
    """Rows of a logit lens, given or asked of the model as they are needed."""

    def __init__(self, dictionary: Dictionary, model: LanguageModel | None, lens: LogitLens | None):
        self.known = lens is not None or model is not None
        self._means, self._model = dictionary.means, model
        self._lens = lens
        self._filled: torch.Tensor | None = None

    @property
    def complete(self) -> bool:
        if self._filled is None:
            return self._lens is not None
        return bool(self._filled.all())

    def of(self, rows: np.ndarray) -> LogitLens:
        rows = torch.as_tensor(np.asarray(rows, dtype=np.int64))
        if self._lens is None:
            self._lens, self._filled = self._empty(), torch.zeros(len(self._means)).bool()
        if self._filled is not None:
            missing = rows[~self._filled[rows]].unique()
            if len(missing):
                new = logit_lens(self._model, self._means[missing], k=self._lens.promoted.shape[1])
                for name, value in vars(self._lens).items():
                    value[missing] = getattr(new, name)
                self._filled[missing] = True
        return LogitLens(**{name: value[rows] for name, value in vars(self._lens).items()})

    def _empty(self) -> LogitLens:
        shape = (len(self._means), min(LENS_TOKENS, self._model.vocab_size))
        ids, logits = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape)
        return LogitLens(ids, logits, ids.clone(), logits.clone())
