"""What stands where in an explorer: controls, tools, list, cards.

Few widgets, kept and changed in place, so that a click costs little and the focus of the keyboard
stays where it is. Text reaches the page as widget labels, which are never read as HTML, or escaped.

Clicks are heard one after the other (`_on`, `_press`), whatever thread they come in.

Does not know: what a click does.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import ipywidgets as w

from epkit.atlas import Atlas
from epkit.inspect import controls
from epkit.inspect.bookmarks import Bookmarks
from epkit.inspect.compare import Compare
from epkit.inspect.flatmap import RegionMap
from epkit.inspect.keys import key_script
from epkit.inspect.listing import RegionList
from epkit.inspect.panel import RegionPanel
from epkit.inspect.prompt import PromptTokens
from epkit.inspect.regions import Regions
from epkit.inspect.steering import SteerPanel
from epkit.lm.lens import LogitLens
from epkit.lm.store import ActivationSet

STYLE = (Path(__file__).parent / "assets" / "explorer.css").read_text(encoding="utf-8")


class ExplorerView(w.VBox, controls.Unheard):
    """The widgets of an explorer that opens the dictionary `key` of an atlas."""

    def __init__(
        self,
        model,
        atlas: Atlas,
        key: tuple[int, float],
        lens: Mapping[tuple[int, float], LogitLens],
        activations: ActivationSet | None,
    ) -> None:
        self._model, self._atlas = model, atlas
        self._lens, self._activations = lens, activations
        self._lists: dict[tuple[int, float], RegionList] = {}
        self._one_at_a_time = threading.RLock()
        self._make_controls(key)
        self._make_tools()
        super().__init__([w.HTML(f"<style>{STYLE}</style>"), *self._layout()])
        self.add_class("epkit-explorer")
        self.add_class(f"epkit-explorer-{id(self)}")

    def _make_controls(self, key: tuple[int, float]) -> None:
        layers = sorted({layer for layer, _ in self._atlas})
        self.layer = controls.choice("Layer", [(str(x), x) for x in layers], key[0])
        self.percentile = controls.choice("Percentile", self._percentiles(key[0]), key[1])
        self.about, self.status, self.code_line = w.HTML(), w.HTML(), w.HTML()
        self.query, self.sort = controls.query_field(), controls.sort_choice()
        self.min_members = controls.members_field()
        self.jump = controls.number_field("go to region", 0, "170px")
        self.surprise = controls.button("surprise me", "a region of the list, at random")
        self.mark = controls.button("☆ bookmark", "keep this region, or let it go")
        self.bands = controls.choice("Contexts", [("by kind", False), ("near, middle, far", True)])
        # Buttons, since JupyterLab takes the arrow keys of a select for its own shortcuts.
        self.list = w.ToggleButtons(options=[])
        self.list.add_class("epkit-list")
        self.previous, self.next = controls.button("‹ page"), controls.button("page ›")
        self.up = controls.button("↑ k", "the region above", "previous")
        self.down = controls.button("↓ j", "the region below", "next")
        self.back = controls.button("← back", "the region before")
        told = "clear the search, or close what stands beside"
        self.escape = controls.button("Esc", told, "escape")
        self.page = w.Label()

    def _make_tools(self) -> None:
        turn = self._one_at_a_time
        self.tool = controls.tool_choice()
        self.map, self.bookmarks = RegionMap(turn), Bookmarks(turn)
        self.prompt, self.steer = PromptTokens(self._model, turn), SteerPanel(self._model)
        self.panel = RegionPanel(turn)
        self.compare = Compare(turn, sorted(self._atlas), self._list_of)
        self._tools = {
            "map": self.map,
            "prompt": self.prompt,
            "steer": self.steer,
            "compare": self.compare.controls,
            "bookmarks": self.bookmarks,
        }

    def _layout(self) -> list[w.Widget]:
        bar = controls.bar
        steps = bar(self.up, self.down, self.back, self.escape, self.previous, self.next, self.page)
        left = w.VBox([controls.column_heads(), self.list, steps, controls.key_hint()])
        left.add_class("epkit-left")
        self.tools = w.VBox([])
        return [
            bar(self.layer, self.percentile, self.about),
            bar(self.query, self.min_members, self.jump, self.surprise, self.mark),
            bar(self.sort),
            bar(self.tool, self.bands),
            self.tools,
            self.status,
            bar(left, bar(self.panel, self.compare.panel, name="epkit-pair"), name="epkit-body"),
            self.code_line,
            key_script(f"epkit-explorer-{id(self)}"),
        ]

    def _percentiles(self, layer: int) -> list[tuple[str, float]]:
        return [(f"{p:g}", p) for p in sorted(p for at, p in self._atlas if at == layer)]

    def _list_of(self, key: tuple[int, float]) -> RegionList:
        if key not in self._lists:
            regions = Regions(
                self._atlas[key],
                self._model,
                lens=self._lens.get(key),
                activations=self._activations,
            )
            self._lists[key] = RegionList(regions)
        return self._lists[key]

    def _say(self, text: str, alert: bool = False) -> None:
        role = "alert" if alert else "status"
        self.status.value = controls.status_html(text, role, "epkit-said")

    # ---- what is heard

    def _on(self, widget: w.Widget, act: Callable) -> None:
        """Call `act(value)` when somebody changes a control."""
        heard = self._in_turn(lambda change: None if self._deaf else act(change["new"]))
        widget.observe(heard, "value")

    def _press(self, button: w.Button, act: Callable) -> None:
        """Call `act()` when a button is pressed."""
        button.on_click(self._in_turn(lambda _: act()))

    def _in_turn(self, act: Callable) -> Callable:
        """The act, begun when the one before it is over, whatever thread it comes in."""

        def alone(value: object) -> None:
            with self._one_at_a_time:
                act(value)

        return alone
