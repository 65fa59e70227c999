"""A prompt typed into a notebook, its tokens as buttons coloured by region and distance.

Does not know: what choosing a token does.
"""

import threading
from collections.abc import Callable

import ipywidgets as w
import torch

from epkit.inspect.controls import Choices
from epkit.inspect.regions import Regions
from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import Chunk
from epkit.lm.models import LanguageModel
from epkit.lm.text import label_of

LONGEST = 128
"""Tokens of a prompt that are read."""


class PromptTokens(w.VBox):
    """A text box and, once a prompt is typed, one button per token.

    A token's hue is its region's; the fuller the colour, the nearer it is to the exemplar; a
    dashed border means that it lies outside the threshold of every region.

    one_at_a_time : held while anything is shown or chosen.
    """

    def __init__(self, model, one_at_a_time: threading.RLock) -> None:
        self._one_at_a_time = one_at_a_time
        self._model = model if isinstance(model, LanguageModel) else None
        self._regions: Regions | None = None
        self._found: torch.Tensor | None = None
        self._name = f"epkit-prompt-{id(self)}"
        self.text = w.Text(
            placeholder="type a prompt, press Enter, then choose one of its tokens",
            description="Prompt",
            continuous_update=False,
            disabled=self._model is None,
            layout={"width": "min(812px, 96%)"},
            style={"description_width": "70px"},
        )
        if self._model is None:
            self.text.placeholder = "a prompt needs the model; only its tokenizer was given"
        names = ("epkit-prompt", self._name)
        self.tokens = Choices(one_at_a_time, *names, layout={"display": "none"})
        self.colours = w.HTML(layout={"display": "none"})
        super().__init__([self.text, self.tokens, self.colours])
        self.text.observe(lambda _: self._show(), "value")

    def on_choose(self, act: Callable[[int], None]) -> None:
        """Call `act(region)` when a token is chosen."""
        self.tokens.on_choose(lambda i: act(int(self._found[i])))

    def assign_to(self, regions: Regions) -> None:
        """Show the prompt's tokens in the regions of another dictionary."""
        self._regions = regions
        self._show()

    def _show(self) -> None:
        with self._one_at_a_time:
            self._read_and_fill()

    def _read_and_fill(self) -> None:
        chunk = self._read(self.text.value) if self.text.value else None
        with self.tokens.unheard():
            if chunk is None:
                self.tokens.layout.display = "none"
            else:
                self._fill(chunk)
                self.tokens.layout.display = ""

    def _read(self, prompt: str) -> Chunk:
        layer = self._regions.dictionary.metadata["layer"]
        stream = ActivationStream(self._model, [prompt], [layer], context=LONGEST)
        return next(stream.chunks())

    def _fill(self, chunk: Chunk) -> None:
        d = self._regions.dictionary
        own = int(chunk.clustered[: int(chunk.lengths[0])].sum())
        (x,) = chunk.activations.values()
        region, distance = (part[:own].tolist() for part in d.assign(x[:own]))
        self._found = region
        texts = self._regions.texts(chunk.tokens[chunk.clustered][:own])
        self.tokens.options = [(label_of(t), i) for i, t in enumerate(texts)]
        self.tokens.value = None
        names = self._regions.names
        self.tokens.tooltips = [
            f"region {k} ({names[k]}), distance {gap:.3f}, θ {d.threshold:.3f}"
            for k, gap in zip(region, distance, strict=True)
        ]
        rules = [
            f".{self._name} button:nth-child({i + 1}) {{ {_look(k, gap, d.threshold)} }}"
            for i, (k, gap) in enumerate(zip(region, distance, strict=True))
        ]
        self.colours.value = f"<style>{' '.join(rules)}</style>"


def _look(region: int, distance: float, threshold: float) -> str:
    """Declarations for a token: hues by the golden angle, so that neighbours in number differ."""
    if distance > threshold:
        return "border-style: dashed;"
    hue = region * 137.508 % 360
    near = 1 - distance / max(threshold, 1e-9)
    return f"background: hsla({hue:.0f}, 75%, 50%, {0.12 + 0.48 * near:.2f}) !important;"
