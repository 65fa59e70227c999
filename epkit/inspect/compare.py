"""A second region beside the one on show: any region, or its counterpart at another p or layer.

Does not know: which region is on show unless told; how counterparts are found (`counterpart`).
"""

import threading
from collections.abc import Callable, Sequence

import ipywidgets as w

from epkit.inspect.controls import Unheard, choice, number_field, status_html
from epkit.inspect.counterpart import counterpart
from epkit.inspect.listing import RegionList
from epkit.inspect.panel import RegionPanel


class Compare(Unheard):
    """The panel of the second region (`panel`), and what chooses it (`controls`).

    Parameters
    ----------
    one_at_a_time : held while anything is shown or chosen.
    keys : (layer, percentile) of the dictionaries there are.
    list_of : gives the list of one of them.

    Attributes
    ----------
    beside : (layer, percentile, region) that stands beside, or None.
    """

    def __init__(
        self,
        one_at_a_time: threading.RLock,
        keys: Sequence[tuple[int, float]],
        list_of: Callable[[tuple[int, float]], RegionList],
    ) -> None:
        self._one_at_a_time, self._list_of = one_at_a_time, list_of
        self._changed: Callable[[], None] = lambda: None
        self._main: tuple[tuple[int, float], int] | None = None
        self.beside: tuple[int, float, int] | None = None
        others = [(f"layer {layer}, p {p:g}", (layer, p)) for layer, p in keys]
        self.what = choice(
            "Beside it", [("no region", "nothing"), ("a region", "region"), *others], "nothing"
        )
        self.number = number_field("region", 0, "150px")
        self.said = w.HTML()
        self.controls = w.VBox([w.HBox([self.what, self.number]), self.said])
        self.panel = RegionPanel(one_at_a_time)
        self.panel.layout.display = "none"
        self.panel.on_choose(self._neighbour)
        self.what.observe(self._heard, "value")
        self.number.observe(self._heard, "value")

    def on_change(self, act: Callable[[], None]) -> None:
        """Call `act()` when another region, or none, stands beside."""
        self._changed = act

    def follow(self, key: tuple[int, float], region: int) -> None:
        """The region on show is another; its counterpart takes the old one's place."""
        before, self._main = self._main, (key, region)
        if isinstance(self.what.value, tuple):
            self._show_counterpart(self.what.value)
        elif before and before[0] != key and self.what.value == "region":
            self.close_beside()

    def put(self, key: tuple[int, float], region: int) -> None:
        """Put a region of any dictionary beside."""
        listed = self._list_of(key)
        region = listed.regions[region].index
        with self.unheard():
            self.what.value = "region" if key == self._main[0] else key
            self.number.value = region
        layer, percentile = key
        self._show(key, region, f"layer {layer}, p {percentile:g}, region {region}")

    def close_beside(self) -> None:
        """Nothing stands beside."""
        with self.unheard():
            self.what.value = "nothing"
        self.beside = None
        self.panel.layout.display = "none"
        self.panel.close_region()
        self.said.value = ""
        self._changed()

    def _heard(self, change: dict) -> None:
        with self._one_at_a_time:
            if self._deaf or self._main is None:
                return
            if self.what.value == "nothing":
                self.close_beside()
            elif self.what.value == "region":
                self._show_region(self.number.value)
            elif change["owner"] is self.what:
                self._show_counterpart(self.what.value)
            else:
                self._neighbour(self.number.value)

    def _show_region(self, region: int) -> None:
        key = self._main[0]
        if region >= len(self._list_of(key).regions):
            last = len(self._list_of(key).regions) - 1
            self.said.value = status_html(f"regions are numbered 0 … {last:,}")
            return
        self._show(key, region, f"region {region} of the same dictionary")

    def _neighbour(self, region: int) -> None:
        """Another region of the dictionary that stands beside."""
        if self.beside is not None and region < len(self._list_of(self.beside[:2]).regions):
            self._show(self.beside[:2], region, f"region {region}")

    def _show_counterpart(self, key: tuple[int, float]) -> None:
        (own, region), there = self._main, self._list_of(key).regions
        try:
            other, why = counterpart(region, self._list_of(own).regions, there)
        except ValueError as error:
            self.close_beside()
            self.said.value = status_html(str(error))
            return
        self._show(key, other, f"layer {key[0]}, p {key[1]:g}: {why}")

    def _show(self, key: tuple[int, float], region: int, told: str) -> None:
        self.beside = (*key, region)
        self.panel.title.value = status_html(f"Beside it: {told}")
        self.panel.layout.display = ""
        self.panel.show(self._list_of(key).regions, region)
        with self.unheard():
            self.number.value = region
        self._changed()
