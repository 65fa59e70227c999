"""RegionExplorer: look through the regions of an atlas in a notebook, with plain ipywidgets.

What a click does. Clicks are answered one after the other, each in whole, whatever thread they come
in.

Does not know: what stands where (`view`), how regions are searched and sorted (`listing`), how one
region is shown (`panel`), what stands beside it (`compare`), what the tools above the list do.
"""

import random
from collections.abc import Mapping

import numpy as np

from epkit import checks
from epkit.atlas import Atlas
from epkit.inspect.interest import MIN_MEMBERS, dictionary_to_open, most_interesting
from epkit.inspect.listing import PAGE, SORTS
from epkit.inspect.panel import running_loop
from epkit.inspect.regions import Regions
from epkit.inspect.view import ExplorerView
from epkit.lm.lens import LogitLens
from epkit.lm.store import ActivationSet
from epkit.lm.text import as_html


class RegionExplorer(ExplorerView):
    """Regions of an atlas: a list to search and sort, the card of one, its neighbours, a map.

    Parameters
    ----------
    model : the model the atlas was built on; with only its tokenizer, prompts, steering and colour
        are left out.
    atlas : {(layer, percentile): Dictionary} of `build` or `load_atlas`.
    lens : {(layer, percentile): LogitLens} of the dictionaries' means, where they are known.
    activations : the `cached` set the atlas was built from: contexts are then coloured at once, and
        histograms and competitors are those of all activations.
    layer, percentile : the dictionary to open; by default the coarsest that is well filled
        (`interest.dictionary_to_open`), of the layer or percentile if one is given.
    region : the region to open; by default the most interesting (`interest.interest`).
    search, sort, min_members : of the list; sort is "interest", "match" (the default of a search),
        "size", "coherence" or "nearest".
    beside : (layer, percentile, region) to stand beside it.

    Raises
    ------
    TypeError : an atlas that is no mapping.
    ValueError : an empty atlas; a dictionary, region or order that is not there; whatever `Regions`
        raises for a dictionary.
    """

    def __init__(
        self,
        model,
        atlas: Atlas,
        *,
        lens: Mapping[tuple[int, float], LogitLens] | None = None,
        activations: ActivationSet | None = None,
        layer: int | None = None,
        percentile: float | None = None,
        region: int | None = None,
        search: str = "",
        sort: str | None = None,
        min_members: int | None = None,
        beside: tuple[int, float, int] | None = None,
    ) -> None:
        key = dictionary_to_open(atlas, layer, percentile)
        super().__init__(model, atlas, key, lens or {}, activations)
        self._history: list[int] = []
        self._rows, self._page, self.region = np.zeros(0, dtype=np.int64), 0, 0
        self._listen()
        with self.unheard():
            self.query.value = search
            self.min_members.value = MIN_MEMBERS if min_members is None else min_members
            sort = sort or ("match" if search else "interest")
            self.sort.value = checks.one_of("sort", sort, SORTS)
        self._open_dictionary(region)
        if beside is not None:
            self.compare.put(tuple(beside[:2]), beside[2])
        if running_loop():
            self.tool.value = "map"

    # ---- what is heard

    def _listen(self) -> None:
        on, press = self._on, self._press
        on(self.layer, self._choose_layer)
        on(self.percentile, lambda _: self._open_dictionary())
        on(self.query, lambda _: self._search(turn=True))
        on(self.min_members, lambda _: self._search())
        on(self.sort, lambda _: self._order())
        on(self.list, lambda _: self._choose_line())
        on(self.jump, self._jump)
        on(self.tool, lambda _: self._show_tool())
        on(self.bands, self._choose_bands)
        self.prompt.on_choose(self.go)
        self.panel.on_choose(self.go)
        self.map.on_choose(self.go)
        self.bookmarks.on_choose(self._go_to)
        self.compare.on_change(self._write_code)
        press(self.previous, lambda: self._fill_list(self._page - 1))
        press(self.next, lambda: self._fill_list(self._page + 1))
        press(self.up, lambda: self._step(-1))
        press(self.down, lambda: self._step(1))
        press(self.back, self._go_back)
        press(self.escape, self._escape)
        press(self.surprise, self._surprise)
        press(self.mark, self._bookmark)

    # ---- dictionary

    @property
    def regions(self) -> Regions:
        """The regions on show."""
        return self._current.regions

    @property
    def key(self) -> tuple[int, float]:
        """(layer, percentile) of the dictionary on show."""
        return (self.layer.value, self.percentile.value)

    def _choose_layer(self, layer: int) -> None:
        options, before = self._percentiles(layer), self.percentile.value
        with self.unheard():
            self.percentile.options = options
            self.percentile.value = before if (layer, before) in self._atlas else options[-1][1]
        self._open_dictionary()

    def _open_dictionary(self, region: int | None = None) -> None:
        if self.key not in self._atlas:
            return  # the layer was changed meanwhile; its turn comes
        self._current = self._list_of(self.key)
        d = self.regions.dictionary
        self.about.value = (
            f'<div class="epkit-about">{len(d):,} regions of {d.n:,} activations, '
            f"θ = {d.threshold:.3f}</div>"
        )
        self._history.clear()
        if region is None:
            listed = self._current
            region = most_interesting(listed.counts, listed.interest, listed.min_members)
        self.region = self.regions[region].index
        self.prompt.assign_to(self.regions)
        self._search()
        self._show()

    # ---- list

    def _search(self, turn: bool = False) -> None:
        """Search anew; `turn` makes the order that of the match while something is searched."""
        self._current.min_members = self.min_members.value
        if self.query.value and not self._current.indexed:
            self._say("laying out the index of the search, once …")
        try:
            line = self._current.search(self.query.value)
        except ValueError as error:
            self._say(str(error), alert=True)
            return
        if turn:
            with self.unheard():
                self.sort.value = "match" if self.query.value else "interest"
        self._order()
        self._say(line)  # what is said of the list is said when the list stands
        self._show_tool()

    def _order(self) -> None:
        self._rows = self._current.sorted(self.sort.value, self.region)
        self._fill_list(0)

    def _fill_list(self, page: int) -> None:
        rows = self._rows
        pages = max(1, -(-len(rows) // PAGE))
        self._page = page = min(max(page, 0), pages - 1)
        shown = rows[page * PAGE : (page + 1) * PAGE]
        with self.unheard():
            self.list.options = self._current.lines(shown)
            self.list.layout.display = "" if len(shown) else "none"
            self.list.value = self.region if self.region in shown else None
        self.previous.disabled, self.next.disabled = page == 0, page == pages - 1
        first = page * PAGE + 1 if len(rows) else 0
        self.page.value = f"{first:,}–{page * PAGE + len(shown):,} of {len(rows):,}"
        self._write_code()

    def _choose_line(self) -> None:
        if self.list.value is not None:  # as it is now: the list may have been another at the click
            self._go(self.list.value, from_list=True)

    def _step(self, by: int) -> None:
        """Show the region that stands next in the list."""
        if not len(self._rows):
            return
        at = (self._rows == self.region).nonzero()[0]
        place = min(max(int(at[0]) + by, 0), len(self._rows) - 1) if len(at) else 0
        self._go(int(self._rows[place]), from_list=True)
        if place // PAGE != self._page:
            self._fill_list(place // PAGE)

    def _surprise(self) -> None:
        if len(self._rows):
            self._go(int(random.choice(self._rows)), from_list=False)

    # ---- region

    def go(self, region: int) -> None:
        """Show a region. Raises IndexError for one that is not there."""
        with self._one_at_a_time:
            self._go(self.regions[region].index, from_list=False)

    def _go(self, region: int, from_list: bool) -> None:
        if region != self.region:
            self._history.append(self.region)
        self.region = region
        if not from_list and self.sort.value == "nearest":
            self._order()
        else:
            with self.unheard():
                values = [value for _, value in self.list.options]
                self.list.value = region if region in values else None
        self._show()

    def _jump(self, region: int) -> None:
        if region < len(self.regions):
            self._go(region, from_list=False)
        else:
            self._say(f"regions are numbered 0 … {len(self.regions) - 1:,}", alert=True)

    def _go_to(self, place: tuple[int, float, int]) -> None:
        """Show a region of any dictionary."""
        layer, percentile, region = place
        with self.unheard():
            self.layer.value = layer
            self.percentile.options = self._percentiles(layer)
            self.percentile.value = percentile
        self._open_dictionary(region)

    def _go_back(self) -> None:
        if self._history:
            region = self._history.pop()
            self.go(region)
            self._history.pop()
            self.back.disabled = not self._history

    def _escape(self) -> None:
        if self.query.value:
            with self.unheard():
                self.query.value = ""
            self._search(turn=True)
        else:
            self.compare.close_beside()

    def _show(self) -> None:
        self.back.disabled = not self._history
        self.panel.show(self.regions, self.region)
        self.compare.follow(self.key, self.region)
        with self.unheard():
            self.jump.value = self.region
        self._show_tool()
        self._write_code()

    # ---- tools

    def _show_tool(self) -> None:
        """What the tool above the list shows, if any."""
        chosen = self._tools.get(self.tool.value)
        wanted = () if chosen is None else (chosen,)
        if self.tools.children != wanted:
            self.tools.children = wanted
        if chosen is self.map:
            self.map.show(self._current, self.region)
        self.steer.show(self.regions, self.region)

    def _choose_bands(self, bands: bool) -> None:
        for panel in (self.panel, self.compare.panel):
            panel.bands = bands
            panel.redraw()

    def _bookmark(self) -> None:
        self.bookmarks.toggle(self.regions, self.key, self.region)
        self._write_code()

    def code(self) -> str:
        """A line that opens an explorer as this one is now."""
        given = {"layer": self.layer.value, "percentile": self.percentile.value}
        given |= {"region": self.region}
        if self.query.value:
            given["search"] = self.query.value
        if self.sort.value != ("match" if self.query.value else "interest"):
            given["sort"] = self.sort.value
        if self.min_members.value != MIN_MEMBERS:
            given["min_members"] = self.min_members.value
        if self.compare.beside is not None:
            given["beside"] = self.compare.beside
        told = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"epkit.RegionExplorer(model, atlas, {told})"

    def _write_code(self) -> None:
        marked = (*self.key, self.region) in self.bookmarks.kept
        self.mark.description = "★ bookmarked" if marked else "☆ bookmark"
        self.code_line.value = f'<div class="epkit-code"><code>{as_html(self.code())}</code></div>'
