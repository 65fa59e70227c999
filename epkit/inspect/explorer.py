"""RegionExplorer: look through the regions of an atlas in a notebook, with plain ipywidgets.

Few widgets, kept and changed in place, so that a click costs little and the focus of the keyboard
stays where it is. Text reaches the page as widget labels (never read as HTML) or through `cards`
(escaped). What takes longer than a click, shading contexts through the model and counting all
activations, is done in short steps between clicks, and the card is drawn again when it is done.

Does not know: how regions are searched, or what a card says.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path

import ipywidgets as w

from epkit.atlas import Atlas
from epkit.inspect.card import Link, card_html
from epkit.inspect.facts import LINKS
from epkit.inspect.prompt import PromptTokens
from epkit.inspect.region_list import COLUMNS, PAGE, SORTS, RegionList
from epkit.inspect.regions import Regions, inspect
from epkit.lm.lens import LogitLens
from epkit.lm.models import ONE_AT_A_TIME
from epkit.lm.store import ActivationSet

STYLE = (Path(__file__).parent / "assets" / "explorer.css").read_text(encoding="utf-8")

FIELDS = {
    "token": "member tokens",
    "context": "text around them (regex)",
    "lens": "promoted tokens",
}


class RegionExplorer(w.VBox):
    """Regions of an atlas: a list to search and sort, the card of one of them, and its neighbours.

    Parameters
    ----------
    model : the model the atlas was built on; with only its tokenizer, prompts and shade are left
        out.
    atlas : {(layer, percentile): Dictionary} of `build` or `load_atlas`.
    lens : {(layer, percentile): LogitLens} of the dictionaries' means, where they are known.
    activations : the `cached` set the atlas was built from: contexts are then shaded at once, and
        histograms and competitors are those of all activations.

    Raises
    ------
    ValueError : an empty atlas; whatever `inspect` raises for a dictionary of it.
    """

    def __init__(
        self,
        model,
        atlas: Atlas,
        *,
        lens: Mapping[tuple[int, float], LogitLens] | None = None,
        activations: ActivationSet | None = None,
    ) -> None:
        if not atlas:
            raise ValueError("the atlas is empty: build or load at least one dictionary")
        self._model, self._atlas = model, atlas
        self._lens, self._activations = lens or {}, activations
        self._lists: dict[tuple[int, float], RegionList] = {}
        self._deaf = False
        self._task: asyncio.Task | None = None
        self._history: list[int] = []
        self.region = 0
        self._make_controls()
        self._make_region()
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
        self.field = _choice("Search in", [(text, name) for name, text in FIELDS.items()])
        self.query = w.Text(
            placeholder="type and press Enter",
            continuous_update=False,
            description="for",
            layout={"width": "330px"},
        )
        self.query.style.description_width = "24px"
        self.sort = _choice("Sort by", [(text, name) for name, text in SORTS.items()])
        self.status = w.HTML()
        self.prompt = PromptTokens(self._model)

    def _make_region(self) -> None:
        # Buttons, since JupyterLab takes the arrow keys of a select for its own shortcuts.
        self.list = w.ToggleButtons(options=[])
        self.list.add_class("epkit-list")
        small = {"width": "96px"}
        self.previous = w.Button(description="‹ previous", layout=small)
        self.next = w.Button(description="next ›", layout=small)
        self.back = w.Button(description="← back", tooltip="the region before", layout=small)
        self.page = w.Label()
        self.nearest = [w.Button() for _ in range(LINKS)]
        self.competitors = [w.Button() for _ in range(LINKS)]
        self.competitors_of = w.Label("Competitors")
        self.card = w.HTML()

    def _rows(self) -> list[w.Widget]:
        def bar(*children: w.Widget) -> w.HBox:
            box = w.HBox(children)
            box.add_class("epkit-bar")
            return box

        links = []
        for label, buttons in (
            (w.Label("Nearest regions"), self.nearest),
            (self.competitors_of, self.competitors),
        ):
            links.append(w.HBox([label, *buttons]))
            links[-1].add_class("epkit-links")
        columns = w.HTML(f'<div class="epkit-columns">{escape(COLUMNS)}</div>')
        left = w.VBox([columns, self.list, bar(self.previous, self.next, self.page, self.back)])
        right = w.VBox([*links, self.card])
        left.add_class("epkit-left")
        right.add_class("epkit-right")
        body = w.HBox([left, right])
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
        def on(widget: w.Widget, act) -> None:
            widget.observe(lambda change: None if self._deaf else act(change["new"]), "value")

        on(self.layer, self._choose_layer)
        on(self.percentile, lambda _: self._open_dictionary())
        on(self.field, lambda _: self._search())
        on(self.query, lambda _: self._search())
        on(self.sort, lambda _: self._fill_list(0))
        on(self.list, lambda region: region is not None and self._go(region, from_list=True))
        self.prompt.on_choose(self.go)
        self.previous.on_click(lambda _: self._fill_list(self._page - 1))
        self.next.on_click(lambda _: self._fill_list(self._page + 1))
        self.back.on_click(lambda _: self._go_back())
        for button in (*self.nearest, *self.competitors):
            button.on_click(lambda b: self.go(b.region))

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

    def _open_dictionary(self) -> None:
        key = (self.layer.value, self.percentile.value)
        if key not in self._lists:
            regions = inspect(
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
            if self.field.value == "lens" and self.query.value and not self._current.lens_ready:
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
        """Show a region."""
        self.regions[region]  # raises for one that is not there
        self._go(int(region), from_list=False)

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
        self._draw()
        self.back.disabled = not self._history
        if self.regions.pending(self.region):
            # A task of a region that is no longer on show ends by itself. Without an event loop (a
            # script) the card stays as it is, and says so.
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._task = loop.create_task(self._refine(self.regions, self.region))

    async def _refine(self, regions: Regions, region: int) -> None:
        try:
            steps = regions.refine(region)
            more = True
            while more and self._on_show(regions, region):
                with ONE_AT_A_TIME:
                    more = next(steps, self) is not self
                await asyncio.sleep(0.01)  # clicks that came meanwhile are answered here
            with ONE_AT_A_TIME:
                if self._on_show(regions, region):
                    self._draw(refined=True)
        except (RuntimeError, ValueError) as error:
            self._say(f"the contexts could not be shaded: {error}", alert=True)

    def _on_show(self, regions: Regions, region: int) -> bool:
        return self.regions is regions and self.region == region

    def _draw(self, refined: bool = False) -> None:
        card = self.regions.card(self.region, refined=refined)
        self.card.value = card_html(card, links=False)
        waiting = self.regions.pending(self.region) and not card.competitors
        of = "being counted …" if waiting else f"second for {card.competitors_of}"
        self.competitors_of.value = f"Competitors ({of})"
        _set_links(self.nearest, card.nearest, "{} from this exemplar")
        _set_links(self.competitors, card.competitors, "second {}")

    def _say(self, text: str, alert: bool = False) -> None:
        role = "alert" if alert else "status"
        self.status.value = f'<div class="epkit-status" role="{role}">{escape(text)}</div>'


def _choice(name: str, options: list[tuple[str, object]]) -> w.ToggleButtons:
    """One of a few options, each a button that the keyboard can reach."""
    choice = w.ToggleButtons(description=name, options=options)
    choice.style.description_width = "70px"
    choice.add_class("epkit-choice")
    return choice


def _set_links(buttons: list[w.Button], links: list[Link], tooltip: str) -> None:
    """Name buttons after regions; those left over are not shown."""
    for i, button in enumerate(buttons):
        button.layout.display = "" if i < len(links) else "none"
        if i < len(links):
            button.region = links[i].region
            button.description = f"{links[i].region} {links[i].label}"
            button.tooltip = f"region {links[i].region}: " + tooltip.format(links[i].value)
