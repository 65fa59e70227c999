"""RegionExplorer: look through the regions of an atlas in a notebook, with plain ipywidgets.

Few widgets, kept and changed in place, so that a click costs little and the focus of the keyboard
stays where it is. Text reaches the page as widget labels, which are never read as HTML, or escaped.
Clicks are answered one after the other, each in whole, whatever thread they come in.

Does not know: how regions are searched, or how one region is shown (`panel`).
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import ipywidgets as w

from epkit.atlas import Atlas
from epkit.inspect.panel import RegionPanel
from epkit.inspect.prompt import PromptTokens
from epkit.inspect.regions import Regions
from epkit.inspect.search import COLUMNS, PAGE, SORTS, RegionList
from epkit.lm.lens import LogitLens
from epkit.lm.store import ActivationSet
from epkit.lm.text import as_html

STYLE = (Path(__file__).parent / "assets" / "explorer.css").read_text(encoding="utf-8")

SEARCHED = {
    "token": "member tokens",
    "context": "text around them (regex)",
    "lens": "promoted tokens",
}


class RegionExplorer(w.VBox):
    """Regions of an atlas: a list to search and sort, the card of one of them, and its neighbours.

    Parameters
    ----------
    model : the model the atlas was built on; with only its tokenizer, prompts and colour are left
        out.
    atlas : {(layer, percentile): Dictionary} of `build` or `load_atlas`.
    lens : {(layer, percentile): LogitLens} of the dictionaries' means, where they are known.
    activations : the `cached` set the atlas was built from: contexts are then coloured at once, and
        histograms and competitors are those of all activations.

    Raises
    ------
    TypeError : an atlas that is no mapping.
    ValueError : an empty atlas; whatever `Regions` raises for a dictionary of it.
    """

    def __init__(
        self,
        model,
        atlas: Atlas,
        *,
        lens: Mapping[tuple[int, float], LogitLens] | None = None,
        activations: ActivationSet | None = None,
    ) -> None:
        if not isinstance(atlas, Mapping):
            raise TypeError(
                f"atlas must be {{(layer, percentile): Dictionary}}, got a {type(atlas).__name__}"
            )
        if not atlas:
            raise ValueError("the atlas is empty: build or load at least one dictionary")
        self._model, self._atlas = model, atlas
        self._lens, self._activations = lens or {}, activations
        self._lists: dict[tuple[int, float], RegionList] = {}
        self._deaf = False
        self._one_at_a_time = threading.RLock()
        self._history: list[int] = []
        self.region = 0
        self._make_controls()
        self._make_list()
        super().__init__([w.HTML(f"<style>{STYLE}</style>"), *self._rows()])
        self.add_class("epkit-explorer")
        self._listen()
        self._open_dictionary()

    # ---- what stands where

    def _make_controls(self) -> None:
        layers = sorted({layer for layer, _ in self._atlas})
        self.layer = _choice("Layer", [(str(x), x) for x in layers])
        self.percentile = _choice("Percentile", self._percentiles(layers[0]))
        self.about = w.HTML()
        self.field = _choice("Search in", [(text, name) for name, text in SEARCHED.items()])
        self.query = w.Text(
            placeholder="type and press Enter",
            continuous_update=False,
            description="for",
            layout={"width": "330px"},
        )
        self.query.style.description_width = "24px"
        self.sort = _choice("Sort by", [(text, name) for name, text in SORTS.items()])
        self.status = w.HTML()
        self.prompt = PromptTokens(self._model, self._one_at_a_time)

    def _make_list(self) -> None:
        # Buttons, since JupyterLab takes the arrow keys of a select for its own shortcuts.
        self.list = w.ToggleButtons(options=[])
        self.list.add_class("epkit-list")
        small = {"width": "96px"}
        self.previous = w.Button(description="‹ previous", layout=small)
        self.next = w.Button(description="next ›", layout=small)
        self.back = w.Button(description="← back", tooltip="the region before", layout=small)
        self.page = w.Label()
        self.panel = RegionPanel(self._one_at_a_time)

    def _rows(self) -> list[w.Widget]:
        def bar(*children: w.Widget) -> w.HBox:
            box = w.HBox(children)
            box.add_class("epkit-bar")
            return box

        columns = w.HTML(f'<div class="epkit-columns">{as_html(COLUMNS)}</div>')
        left = w.VBox([columns, self.list, bar(self.previous, self.next, self.page, self.back)])
        left.add_class("epkit-left")
        body = w.HBox([left, self.panel])
        body.add_class("epkit-body")
        return [
            bar(self.layer, self.percentile, self.about),
            bar(self.field, self.query),
            bar(self.sort),
            self.prompt,
            self.status,
            body,
        ]

    def _listen(self) -> None:
        def on(widget: w.Widget, act: Callable) -> None:
            heard = self._in_turn(lambda change: None if self._deaf else act(change["new"]))
            widget.observe(heard, "value")

        on(self.layer, self._choose_layer)
        on(self.percentile, lambda _: self._open_dictionary())
        on(self.field, lambda _: self._search())
        on(self.query, lambda _: self._search())
        on(self.sort, lambda _: self._fill_list(0))
        on(self.list, lambda _: self._choose_line())
        self.prompt.on_choose(self.go)
        self.panel.on_choose(self.go)
        self.previous.on_click(self._in_turn(lambda _: self._fill_list(self._page - 1)))
        self.next.on_click(self._in_turn(lambda _: self._fill_list(self._page + 1)))
        self.back.on_click(self._in_turn(lambda _: self._go_back()))

    def _in_turn(self, act: Callable) -> Callable:
        """The act, begun when the one before it is over, whatever thread it comes in."""

        def alone(value: object) -> None:
            with self._one_at_a_time:
                act(value)

        return alone

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """Change controls without acting on the change."""
        self._deaf = True
        try:
            yield
        finally:
            self._deaf = False

    # ---- dictionary, list, region

    @property
    def regions(self) -> Regions:
        """The regions on show."""
        return self._current.regions

    def _percentiles(self, layer: int) -> list[tuple[str, float]]:
        return [(f"{p:g}", p) for p in sorted(p for at, p in self._atlas if at == layer)]

    def _choose_layer(self, layer: int) -> None:
        options, before = self._percentiles(layer), self.percentile.value
        with self._unheard():
            self.percentile.options = options
            self.percentile.value = before if (layer, before) in self._atlas else options[0][1]
        self._open_dictionary()

    def _choose_line(self) -> None:
        if self.list.value is not None:  # as it is now: the list may have been another at the click
            self._go(self.list.value, from_list=True)

    def _open_dictionary(self) -> None:
        key = (self.layer.value, self.percentile.value)
        if key not in self._atlas:
            return  # the layer was changed meanwhile; its turn comes
        if key not in self._lists:
            regions = Regions(
                self._atlas[key],
                self._model,
                lens=self._lens.get(key),
                activations=self._activations,
            )
            self._lists[key] = RegionList(regions)
        self._current = self._lists[key]
        d = self.regions.dictionary
        self.about.value = (
            f'<div class="epkit-about">{len(d):,} regions of {d.n:,} activations, '
            f"θ = {d.threshold:.3f}</div>"
        )
        self._history.clear()
        self.region = int(d.counts.argmax())
        self.prompt.assign_to(self.regions)
        self._search()
        self._show()

    def _search(self) -> None:
        try:
            asked = self.query.value and self.field.value == "lens"
            if asked and not self.regions.promoted.complete:
                self._say("working out the promoted tokens of all regions, once …")
            line = self._current.search(self.field.value, self.query.value)
        except ValueError as error:
            self._say(str(error), alert=True)
            return
        self._say(line)
        self._fill_list(0)

    def _fill_list(self, page: int) -> None:
        rows = self._current.sorted(self.sort.value, self.region)
        pages = max(1, -(-len(rows) // PAGE))
        self._page = page = min(max(page, 0), pages - 1)
        shown = rows[page * PAGE : (page + 1) * PAGE]
        with self._unheard():
            self.list.options = self._current.lines(shown)
            self.list.layout.display = "" if len(shown) else "none"
            self.list.value = self.region if self.region in shown else None
        self.previous.disabled, self.next.disabled = page == 0, page == pages - 1
        first = page * PAGE + 1 if len(rows) else 0
        self.page.value = f"{first:,}–{page * PAGE + len(shown):,} of {len(rows):,}"

    def go(self, region: int) -> None:
        """Show a region. Raises IndexError for one that is not there."""
        with self._one_at_a_time:
            self._go(self.regions[region].index, from_list=False)

    def _go(self, region: int, from_list: bool) -> None:
        if region != self.region:
            self._history.append(self.region)
        self.region = region
        if not from_list and self.sort.value == "nearest":
            self._fill_list(0)
        elif not from_list:
            with self._unheard():
                values = [value for _, value in self.list.options]
                self.list.value = region if region in values else None
        self._show()

    def _go_back(self) -> None:
        if self._history:
            region = self._history.pop()
            self.go(region)
            self._history.pop()
            self.back.disabled = not self._history

    def _show(self) -> None:
        self.back.disabled = not self._history
        self.panel.show(self.regions, self.region)

    def _say(self, text: str, alert: bool = False) -> None:
        role = "alert" if alert else "status"
        self.status.value = f'<div class="epkit-status" role="{role}">{as_html(text)}</div>'


def _choice(name: str, options: list[tuple[str, object]]) -> w.ToggleButtons:
    """One of a few options, each a button that the keyboard can reach."""
    choice = w.ToggleButtons(description=name, options=options)
    choice.style.description_width = "70px"
    choice.add_class("epkit-choice")
    return choice
