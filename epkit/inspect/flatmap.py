"""The map of an explorer: a button for each of the largest regions, where it lies on a flat map.

Buttons, placed by a style sheet, since a click on a button reaches the kernel in every front end
without any script. The places are worked out in a thread of their own.

Does not know: how places are found (`positions`), what a click on the map does.
"""

import threading
from collections.abc import Callable

import ipywidgets as w
import numpy as np

from epkit.inspect.controls import Choices, status_html
from epkit.inspect.listing import RegionList
from epkit.inspect.positions import map_places

SHOWN = 500
"""Regions that have a button."""


class RegionMap(w.VBox):
    """The largest regions of the list as dots; found ones stand out, the one on show is ringed.

    one_at_a_time : held while anything is shown or chosen.
    """

    def __init__(self, one_at_a_time: threading.RLock) -> None:
        self._one_at_a_time = one_at_a_time
        self._name = f"epkit-map-{id(self)}"
        self._places: dict[int, np.ndarray] = {}
        self._list: RegionList | None = None
        self._drawn: tuple | None = None
        self._region = 0
        self.thread: threading.Thread | None = None
        self.said = w.HTML()
        self.dots = Choices(one_at_a_time, "epkit-map", self._name, layout={"display": "none"})
        self.style_sheet, self.ring = w.HTML(), w.HTML()
        super().__init__([self.said, self.style_sheet, self.dots, self.ring])
        self.add_class("epkit-map-box")
        self.ring.add_class("epkit-ring-box")

    def on_choose(self, act: Callable[[int], None]) -> None:
        """Call `act(region)` when a dot is chosen."""
        self.dots.on_choose(act)

    def show(self, listed: RegionList, region: int) -> None:
        """Show a list's regions and which one is on show; the first time of a dictionary, soon."""
        self._list, self._region = listed, region
        if id(listed) in self._places:
            self._draw()
        elif self.thread is None or not self.thread.is_alive():
            self.dots.layout.display = "none"
            self.said.value = status_html("laying out the map, once …")
            self.thread = threading.Thread(target=self._lay_out, args=(listed,), daemon=True)
            self.thread.start()

    def _lay_out(self, listed: RegionList) -> None:
        places = map_places(listed.regions.dictionary)
        with self._one_at_a_time:
            self._places[id(listed)] = places
        if self._list is listed:
            with self._one_at_a_time:
                self._draw()
        else:  # another dictionary came meanwhile
            self._lay_out(self._list)

    def _draw(self) -> None:
        listed, places = self._list, self._places[id(self._list)]
        large = (listed.counts >= listed.min_members).nonzero()[0]
        shown = large[np.argsort(-listed.counts[large], kind="stable")][:SHOWN]
        with self.dots.unheard():
            if self._drawn != (id(listed), listed.min_members):
                self._drawn = (id(listed), listed.min_members)
                names = listed.regions.names
                self.dots.options = [("", int(k)) for k in shown]
                self.dots.tooltips = [
                    f"region {k}: {names[k]}, {listed.counts[k]:,}" for k in shown
                ]
                self.dots.layout.display = ""
            self.dots.value = self._region if self._region in shown else None
        self._colour(shown, places)
        x, y = places[self._region]
        self.ring.value = (
            f'<div class="epkit-ring" style="left:{2 + 96 * x:.1f}%;top:{4 + 92 * y:.1f}%"></div>'
        )

    def _colour(self, shown: np.ndarray, places: np.ndarray) -> None:
        """The style sheet: place, size (members), colour (interest) and opacity (found) of dots."""
        listed = self._list
        found = np.isin(shown, listed.rows)
        size = 5 + 3 * np.log10(np.maximum(listed.counts[shown], 1))
        score = listed.interest[shown]
        hue = 230 - 190 * score / max(float(score.max(initial=0)), 1e-9)
        rules = [
            f".{self._name} button:nth-child({i + 1}){{left:{2 + 96 * places[k, 0]:.1f}%;"
            f"top:{4 + 92 * places[k, 1]:.1f}%;width:{size[i]:.0f}px;height:{size[i]:.0f}px;"
            f"background:hsl({hue[i]:.0f},70%,50%);opacity:{0.85 if found[i] else 0.12}}}"
            for i, k in enumerate(shown)
        ]
        self.style_sheet.value = f"<style>{''.join(rules)}</style>"
        self.said.value = status_html(
            f"The {len(shown):,} largest regions, near ones near; colour: interest, from blue to "
            "orange; faint: not found by the search; ring: the region on show"
        )
