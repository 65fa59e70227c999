"""What a region does to what the model writes: a continuation as it is, steered and ablated.

Does not know: which region is on show unless told; whether an effect is the region's own (a random
direction of the same length is the control, and it is shown).
"""

import threading

import ipywidgets as w
import torch

from epkit.inspect.controls import status_html
from epkit.inspect.regions import Regions
from epkit.interventions import Edits, ablate, steer, typical_norm
from epkit.lm.activations import ActivationStream
from epkit.lm.generate import answer_texts, generate
from epkit.lm.models import LanguageModel
from epkit.lm.text import as_html

WRITTEN = 24
"""Tokens that are written."""


class SteerPanel(w.VBox):
    """A text to go on from, and what the model writes with and without the region's mean direction.

    Written in a thread of its own, since it takes seconds: clicks are answered meanwhile.
    """

    def __init__(self, model) -> None:
        self._model = model if isinstance(model, LanguageModel) else None
        self._on_show: tuple[Regions, int] | None = None
        self.thread: threading.Thread | None = None
        self.text = w.Text(
            "I went to the", description="Go on from", layout={"width": "min(560px, 96%)"},
            disabled=self._model is None, style={"description_width": "80px"},
        )  # fmt: skip
        self.alpha = w.FloatSlider(
            0.3, min=-1, max=1, step=0.05, description="Strength", continuous_update=False,
            disabled=self._model is None, style={"description_width": "80px"},
        )  # fmt: skip
        self.write = w.Button(description="write", disabled=self._model is None)
        self.said = w.HTML()
        super().__init__([self.text, w.HBox([self.alpha, self.write]), self.said])
        self.write.on_click(lambda _: self._start())
        if self._model is None:
            self.said.value = status_html("Steering needs the model; only its tokenizer was given.")

    def show(self, regions: Regions, region: int) -> None:
        """Steer with another region from now on."""
        self._on_show = (regions, region)
        self.write.description = f"write with region {region}"

    def _start(self) -> None:
        if self._on_show is None or (self.thread and self.thread.is_alive()):
            return
        self.write.disabled = True
        self.said.value = status_html("writing …")
        asked = (*self._on_show, self.text.value, self.alpha.value)
        self.thread = threading.Thread(target=self._write, args=asked, daemon=True)
        self.thread.start()

    def _write(self, regions: Regions, region: int, prompt: str, alpha: float) -> None:
        try:
            rows = continuations(self._model, regions, region, prompt, alpha)
            lines = "".join(
                f"<tr><th>{as_html(name)}</th><td>{as_html(text, 2000)}</td></tr>"
                for name, text in rows.items()
            )
            self.said.value = f'<table class="epkit-written">{lines}</table>'
        except (ValueError, TypeError, RuntimeError) as error:
            self.said.value = status_html(str(error))
        finally:
            self.write.disabled = False


def continuations(
    model: LanguageModel, regions: Regions, region: int, prompt: str, alpha: float
) -> dict[str, str]:
    """{what was done: greedy continuation}: nothing, region steered, random steered, ablated.

    The push is `alpha` times the median norm of the prompt's own activations at the layer, along
    the region's mean direction, or along a random one (seeded by the region) of the same length.
    Raises ValueError for an empty prompt.
    """
    if not prompt.strip():
        raise ValueError("type a text to go on from")
    d = regions.dictionary
    layer, mean = d.metadata["layer"], d.means[region].cpu()
    chunk = next(ActivationStream(model, [prompt], [layer], context=128).chunks())
    norm = typical_norm(chunk.activations[layer])
    drawn = torch.randn(len(mean), generator=torch.Generator().manual_seed(region))
    edits: dict[str, Edits | None] = {
        "as it is": None,
        f"steered by {alpha:+.2f} × norm": steer(mean, alpha, norm, [layer]),
        "… random direction": steer(drawn, alpha, norm, [layer]),
        "region ablated": ablate(mean, d.centre.cpu(), [layer]),
    }
    written = {
        name: generate(model, [prompt], edit, max_new_tokens=WRITTEN)
        for name, edit in edits.items()
    }
    return {name: answer_texts(model, answers)[0] for name, answers in written.items()}
