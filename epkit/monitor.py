"""Out-of-distribution monitor: flags texts that lie far from a dictionary, one by one.

1. A token's distance is the cosine distance from its activation to the nearest exemplar.
2. A text's score is its mean distance, standardised for its length.
3. Texts of the usual kind that took no part in the build set a threshold on the score, such that
   a chosen share of further texts of that kind is flagged at most.

`AlarmRule` is steps 2 and 3 and sees distances alone; `OODMonitor` reads texts with a model.

Does not know: how dictionaries are made, what a region means. `ood_scores` compares scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from epkit import checks
from epkit.dictionary import Dictionary
from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import places
from epkit.lm.corpora import Document, check_document
from epkit.lm.models import LanguageModel, check_model
from epkit.lm.text import visible


@dataclass(frozen=True, eq=False)
class AlarmRule:
    """From the token distances of in-distribution texts to a threshold on the score of a text.

    Score of a text of T tokens: (m − mean) / √(between² + within² / T), m its mean distance. The
    mean does not drift with T as a maximum does, but scatters less in longer texts; the divisor is
    its standard deviation in the one-way random-effects model. What is lost: a short strange
    passage in a long text is averaged away, and a short text must be stranger to be flagged.

    The first quarter of the texts gives mean, between and within, the rest the threshold: the
    ⌈(n + 1)(1 − α)⌉-th smallest of their n scores, and a text is flagged above it (split conformal
    prediction, Vovk et al. 2005). *Guarantee*, for any model, dictionary and n: a text that is
    exchangeable with those n (drawn like them, lengths included) is flagged with probability at
    most α, averaged over what the n texts happen to be. For one given set, if no scores tie, the
    rate follows Beta(j, n + 1 − j), j = ⌊(n + 1) α⌋. No guarantee holds for text of another kind.

    Attributes
    ----------
    mean, between, within : of token distances, and their standard deviations between and within
        texts.
    scores : (n,) float64, ascending, of the texts that set the threshold.
    false_alarm : α.
    """

    mean: float
    between: float
    within: float
    scores: Tensor
    false_alarm: float

    @classmethod
    def fit(cls, texts: Sequence[Tensor], false_alarm: float = 0.05) -> AlarmRule:
        """Fit on the token distances (T_i,) of texts, in an order that does not depend on them.

        Raises
        ------
        TypeError : texts that are no tensors, a rate that is no number.
        ValueError : a rate outside (0, 1), too few texts for it, a text without a token or with a
            distance that is not finite, or texts that are all alike.
        """
        texts = checks.several("texts", texts)
        check_enough(len(texts), false_alarm)
        for i, text in enumerate(texts):
            _check_distances(text, f"text {i} of those to fit on")
            if not len(text):
                raise ValueError(f"text {i} of those to fit on holds no token: leave it out")
        texts = [text.double().cpu() for text in texts]
        quarter = len(texts) // 4
        first = texts[:quarter]
        lengths = torch.tensor([len(text) for text in first], dtype=torch.float64)
        means = torch.stack([text.mean() for text in first])
        squares = sum(float((text - text.mean()).square().sum()) for text in first)
        within = squares / max(float((lengths - 1).sum()), 1.0)
        between = max(float(means.var() - (within / lengths).mean()), 0.0)
        if within + between < 1e-12:
            raise ValueError("the texts to fit on are all at the same distance: give other texts")
        rule = cls(float(means.mean()), between**0.5, within**0.5, torch.empty(0), false_alarm)
        scores = torch.tensor([rule.score(text) for text in texts[quarter:]], dtype=torch.float64)
        return replace(rule, scores=scores.sort().values)

    @property
    def threshold(self) -> float:
        """Scores above it are flagged."""
        n = len(self.scores)
        return float(self.scores[n - _allowed(n, self.false_alarm)])

    def score(self, text: Tensor) -> float:
        """Score of a text from its (T,) token distances; ValueError without a token."""
        _check_distances(text, "the text")
        if not len(text):
            raise ValueError("the text is empty: there is no token to score")
        spread = math.sqrt(self.between**2 + self.within**2 / len(text))
        return (float(text.double().mean()) - self.mean) / spread

    def p_value(self, score: float) -> float:
        """(1 + texts that score at least as high) / (n + 1); at most α where it is flagged."""
        return (1 + int((self.scores >= score).sum())) / (len(self.scores) + 1)


def _allowed(n: int, false_alarm: float) -> int:
    """j = ⌊(n + 1) α⌋, with α the decimal number that was written."""
    return math.floor((n + 1) * Fraction(false_alarm).limit_denominator(10**9))


def check_enough(n: int, false_alarm: float) -> None:
    """ValueError where n texts cannot give a threshold for this false-alarm rate."""
    checks.number("false_alarm", false_alarm, 0, 1, open_low=True, open_high=True)
    needed = max(8, math.ceil(1 / false_alarm))
    while not _allowed(needed - needed // 4, false_alarm):
        needed += 1
    if n < needed:
        raise ValueError(
            f"a false-alarm rate of {false_alarm:g} needs at least {needed} texts to fit on, "
            f"got {n}: give more, or allow a higher rate"
        )


def _check_distances(text: object, label: str) -> None:
    if not isinstance(text, Tensor) or text.ndim != 1:
        what = tuple(text.shape) if isinstance(text, Tensor) else type(text).__name__
        raise TypeError(f"{label} must be a (T,) tensor of token distances, got {what}")
    if not torch.isfinite(text).all():
        raise ValueError(f"{label} has a token distance that is not finite: leave it out")


@dataclass(frozen=True)
class FarToken:
    """A token far from every exemplar: its place in the text (BOS not counted), and its context."""

    position: int
    distance: float
    text: str
    context: str


@dataclass(frozen=True)
class Verdict:
    """What the monitor says of one text; `tokens` are those farthest from any exemplar."""

    flagged: bool
    score: float
    threshold: float
    p_value: float
    n_tokens: int
    tokens: list[FarToken]

    def __str__(self) -> str:
        far = "; ".join(f"{t.distance:.2f} {t.context}" for t in self.tokens)
        return (
            f"{'FLAGGED' if self.flagged else 'passed'}: score {self.score:.2f}, threshold "
            f"{self.threshold:.2f}, p {self.p_value:.3f}, {self.n_tokens} tokens; farthest: {far}"
        )


@dataclass(frozen=True, eq=False)
class OODMonitor:
    """Flags texts that lie far from a dictionary, one by one, at a chosen false-alarm rate.

    `rule` holds the score, the threshold and what is guaranteed of it.
    """

    dictionary: Dictionary
    rule: AlarmRule
    model: LanguageModel
    layer: int
    context: int = 128

    @classmethod
    def fit(
        cls, dictionary: Dictionary, model: LanguageModel, texts: Iterable[Document], *,
        layer: int, false_alarm: float = 0.05, context: int = 128,
    ) -> OODMonitor:  # fmt: skip
        """Fit on in-distribution texts that took no part in the build of the dictionary.

        Parameters
        ----------
        texts : documents like those to come, in lengths too, in random order (as `load_corpus`
            gives them).
        layer : the block whose output the dictionary partitions.
        false_alarm : highest share of in-distribution texts to flag.

        Raises
        ------
        TypeError : an argument of the wrong type.
        ValueError : too few texts for the rate (says how many are needed), a text without a token,
            or a dictionary of another layer or model.
        """
        checks.number("false_alarm", false_alarm, 0, 1, open_low=True, open_high=True)
        stream = _stream(dictionary, model, texts, layer, context)
        n = sum(1 for _ in stream.corpus)
        check_enough(n, false_alarm)
        found, document = [], []
        for chunk in stream.chunks():
            found.append(dictionary.assign(chunk.activations[layer])[1].cpu())
            document.append(places(chunk).document)
        sizes = torch.cat(document).bincount(minlength=n)
        rule = AlarmRule.fit(torch.cat(found).split(sizes.tolist()), false_alarm)
        return cls(dictionary, rule, model, int(layer), int(context))

    def check(self, text: Document, *, worst: int = 5) -> Verdict:
        """Score one text and name its `worst` farthest tokens, the farthest first.

        Raises ValueError for a text without a token, TypeError for what is no text.
        """
        worst = checks.whole("worst", worst, 0)
        check_document(text, "the text")
        stream = _stream(self.dictionary, self.model, [text], self.layer, self.context)
        if next(stream.windows(), None) is None:
            raise ValueError("the text is empty: there is no token to check")
        chunks = list(stream.chunks())
        ids = torch.cat([chunk.tokens[chunk.clustered] for chunk in chunks])
        far = torch.cat(
            [self.dictionary.assign(c.activations[self.layer])[1].cpu() for c in chunks]
        )
        score, threshold = self.rule.score(far), self.rule.threshold
        order = far.sort(descending=True, stable=True).indices[:worst].tolist()
        tokens = [self._token(ids, i, float(far[i])) for i in order]
        p_value = self.rule.p_value(score)
        return Verdict(score > threshold, score, threshold, p_value, len(far), tokens)

    def _token(self, ids: Tensor, i: int, distance: float, width: int = 6) -> FarToken:
        parts = ids[max(i - width, 0) : i], ids[i : i + 1], ids[i + 1 : i + 1 + width]
        left, own, right = (
            visible(self.model.tokenizer.decode(p)) if len(p) else "" for p in parts
        )
        return FarToken(i, distance, own, f"{left}⟦{own}⟧{right}")


def _stream(
    dictionary: Dictionary, model: LanguageModel, texts: Iterable, layer: int, context: int
) -> ActivationStream:
    check_model(model)
    if not isinstance(dictionary, Dictionary):
        raise TypeError(f"dictionary must be a Dictionary, got {type(dictionary).__name__}")
    layer = checks.whole("layer", layer, 0, model.n_layers - 1)
    context = checks.whole("context", context, 2)
    if len(dictionary.centre) != model.d_model or dictionary.metadata.get("layer", layer) != layer:
        raise ValueError(
            f"the dictionary (layer {dictionary.metadata.get('layer', 'unknown')}, "
            f"{len(dictionary.centre)} dimensions) is not of layer {layer} of {model.name}"
        )
    return ActivationStream(model, texts, [layer], context=context)
