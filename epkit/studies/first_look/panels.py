"""The live controls of notebook 00, plain ipywidgets: a sentence, a game, an edit.

Each stands below what a page without a kernel shows of it, drawn by the same function of `views`.

Does not know: what regions are or how they are drawn.
"""

import secrets
import threading
from collections.abc import Callable

import ipywidgets as widgets

from epkit.lm.text import as_html
from epkit.studies.first_look import views
from epkit.studies.first_look.game import draw_rounds, score_text
from epkit.studies.first_look.reading import PUSH, edits_compared, read_sentence
from epkit.studies.first_look.shipped import EP, RANDOM, Look

WIDE = widgets.Layout(width="100%")


def sentence_panel(look: Look) -> widgets.VBox:
    """A box to type a sentence into; its tokens with their regions' names below."""
    box = widgets.Text(
        placeholder="type a sentence of your own and press Enter", layout=WIDE,
        continuous_update=False,
    )  # fmt: skip
    out = widgets.HTML(layout=WIDE)

    def read(change: dict) -> None:
        if change["new"].strip():
            _show(out, lambda: views.sentence_html(look.regions, read_sentence(look, box.value)))

    box.observe(read, "value")
    return widgets.VBox([box, out])


def edit_panel(look: Look, regions: list[int], prompt: str) -> widgets.VBox:
    """Choose a region and how far to push; continuations below."""
    names = look.regions.names
    which = widgets.Dropdown(options=[(f"{k}: {names[k]}", k) for k in regions])
    push = widgets.FloatSlider(PUSH, min=-2, max=2, step=0.25, description="push")
    text, go = widgets.Text(prompt, layout=WIDE), widgets.Button(description="Before and after")
    out = widgets.HTML(layout=WIDE)

    def edit(_) -> None:
        _show(
            out,
            lambda: views.edits_html(
                text.value, edits_compared(look, which.value, text.value, push.value)
            ),
        )

    go.on_click(edit)
    return widgets.VBox([widgets.HBox([which, push, go]), text, out])


class GamePanel(widgets.VBox):
    """Ten rounds of `game`, scored; every game is another draw.

    Attributes
    ----------
    right, played : answers so far.
    """

    def __init__(self, look: Look, n: int = 10) -> None:
        self._look, self._n = look, n
        self.members, self.said = widgets.HTML(layout=WIDE), widgets.HTML(layout=WIDE)
        self.answers = {
            EP: widgets.Button(description="EP's region"),
            RANDOM: widgets.Button(description="a random exemplar's"),
        }
        self.again = widgets.Button(description="Play")
        self.again.on_click(lambda _: self.start())
        for kind, button in self.answers.items():
            button.on_click(lambda _, kind=kind: self.answer(kind))
        self._lock = threading.Lock()
        self.right = self.played = 0
        self.rounds = []
        self.row = widgets.HBox([self.again])
        super().__init__([self.row, self.said, self.members])

    def start(self, seed: int | None = None) -> None:
        """A new game."""
        seed = secrets.randbits(32) if seed is None else seed
        self.rounds = draw_rounds(self._look, self._n, seed=seed)
        self.right = self.played = 0
        self.row.children = list(self.answers.values())
        self._show("Whose region has these eight members?")

    def answer(self, kind: str) -> None:
        """Count an answer, and go on to the next round."""
        with self._lock:
            if self.played == len(self.rounds):
                return
            truth = self.rounds[self.played].kind
            self.right += kind == truth
            self.played += 1
            verdict = "Right" if kind == truth else "Wrong"
            self._show(f"{verdict}: it was {'EP’s' if truth == EP else 'a random exemplar’s'}.")

    def _show(self, said: str) -> None:
        if self.played < self._n:
            self.members.value = views.round_html(self._look.regions, self.rounds[self.played])
            said = f"Round {self.played + 1} of {self._n}, {self.right} right so far. {said}"
        else:
            self.members.value = ""
            said = f"{said} {score_text(self.right, self._n)}"
            self.again.description = "Play again"
            self.row.children = [self.again]
        self.said.value = f"<b>{as_html(said)}</b>"


def _show(out: widgets.HTML, draw: Callable[[], str]) -> None:
    """Draw into a panel; what cannot be done is said there in a sentence."""
    out.value = "<i>working; the first time, the model is loaded …</i>"
    try:
        out.value = draw()
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        out.value = f"<b>{as_html(str(error), 400)}</b>"
