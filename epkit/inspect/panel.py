"""One region in a notebook: its card, and its neighbours as buttons that lead on to them.

What takes longer than a click, colouring contexts through the model and counting all activations,
is done in short steps between clicks, and the card is drawn again when it is done.

Does not know: which regions there are to choose from.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

import ipywidgets as w

from epkit.inspect.bands import in_bands
from epkit.inspect.card import Link, card_html
from epkit.inspect.controls import status_html
from epkit.inspect.facts import LINKS
from epkit.inspect.regions import Regions

TOLD = 20
"""Steps after which is said how far the count has come."""


class RegionPanel(w.VBox):
    """The card of the region on show, under its nearest regions and its competitors.

    Parameters
    ----------
    one_at_a_time : held by whoever calls `show`, and by every step that is done between clicks.

    Attributes
    ----------
    bands : whether contexts stand in bands of distance rather than by kind.
    """

    def __init__(self, one_at_a_time: threading.RLock) -> None:
        self._one_at_a_time = one_at_a_time
        self._loop = running_loop()
        self._task: Future | None = None
        self._on_show: tuple[Regions, int] | None = None
        self._choose: Callable[[int], None] = lambda _: None
        self.bands = False
        self.title = w.HTML()
        self.nearest = [w.Button() for _ in range(LINKS)]
        self.competitors = [w.Button() for _ in range(LINKS)]
        self.competitors_of = w.Label("Competitors")
        self.card = w.HTML()
        rows = [
            w.HBox([w.Label("Nearest regions"), *self.nearest]),
            w.HBox([self.competitors_of, *self.competitors]),
        ]
        for row in rows:
            row.add_class("epkit-links")
        super().__init__([self.title, *rows, self.card])
        self.add_class("epkit-right")
        for button in (*self.nearest, *self.competitors):
            button.on_click(self._chosen)

    def on_choose(self, act: Callable[[int], None]) -> None:
        """Call `act(region)` when a neighbour is chosen."""
        self._choose = act

    def show(self, regions: Regions, region: int) -> None:
        """Show a region, and find out the rest about it when there is time."""
        self._on_show = (regions, region)
        self._draw()
        # Without an event loop (a script) the card stays as it is, and says so. A task of a region
        # that is no longer on show ends by itself.
        self._loop = running_loop() or self._loop
        if self._loop and not self._loop.is_closed() and regions.pending(region):
            refining = self._refine(regions, region)
            self._task = asyncio.run_coroutine_threadsafe(refining, self._loop)

    def redraw(self) -> None:
        """Draw what is on show again, after `bands` was changed."""
        if self._on_show is not None:
            self._draw()

    def close_region(self) -> None:
        """Show no region any more."""
        self._on_show = None

    def _chosen(self, button: w.Button) -> None:
        with self._one_at_a_time:
            self._choose(button.region)

    async def _refine(self, regions: Regions, region: int) -> None:
        try:
            steps, done, more = regions.refine(region), 0, True
            while more:
                with self._one_at_a_time:
                    if self._on_show != (regions, region):
                        return
                    more = next(steps, self) is not self
                    if not more:
                        self._draw(refined=True)
                    elif done % TOLD == 0:
                        self._tell(regions)
                done += 1
                await asyncio.sleep(0.01)  # clicks that came meanwhile are answered here
        except (RuntimeError, ValueError) as error:
            said = f"the contexts could not be coloured: {error}"
            self.card.value += status_html(said, "alert")

    def _tell(self, regions: Regions) -> None:
        """Say how far the count of all activations has come."""
        counts = regions.counts
        if counts is not None and not counts.done:
            told = f"counting {counts.counted:,} of {counts.total:,} activations …"
            self.competitors_of.value = f"Competitors ({told})"

    def _draw(self, refined: bool = False) -> None:
        regions, region = self._on_show
        card = regions.card(region, refined=refined)
        self.card.value = card_html(in_bands(card) if self.bands else card, links=False)
        waiting = regions.pending(region) and not card.competitors
        of = "being counted …" if waiting else f"second for {card.competitors_of}"
        self.competitors_of.value = f"Competitors ({of})"
        _set_links(self.nearest, card.nearest, "{} from this exemplar")
        _set_links(self.competitors, card.competitors, "second {}")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread, if it has one that runs."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _set_links(buttons: list[w.Button], links: list[Link], tooltip: str) -> None:
    """Name buttons after regions; those left over are not shown."""
    for i, button in enumerate(buttons):
        button.layout.display = "" if i < len(links) else "none"
        if i < len(links):
            button.region = links[i].region
            button.description = f"{links[i].region} {links[i].label}"
            button.tooltip = f"region {links[i].region}: " + tooltip.format(links[i].value)
