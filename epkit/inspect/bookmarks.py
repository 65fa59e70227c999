"""Bookmarked regions: a list to come back to, and files to take away.

Files hold the stream positions of exemplar and kept members, so that a bookmark can be found again
by anyone with the same stream.

Does not know: what is on show; how a region is drawn.
"""

import base64
import csv
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import ipywidgets as w

from epkit import files
from epkit.checks import one_of
from epkit.inspect.controls import Choices
from epkit.inspect.regions import Regions
from epkit.lm.text import as_html
from epkit.members import KINDS

KINDS_OF_FILE = ("csv", "json")


def bookmark(regions: Regions, key: tuple[int, float], region: int) -> dict:
    """What a bookmark says of a region: plain numbers, texts and lists of stream positions."""
    d = regions.dictionary
    kept = {f"{kind}_members": d.members.of(region, kind)[0].tolist() for kind in KINDS}
    return {
        "model": d.metadata.get("model", ""),
        "layer": key[0],
        "percentile": key[1],
        "region": region,
        "name": regions.names[region],
        "members": int(d.counts[region]),
        "exemplar": int(d.exemplar_index[region]),
        **kept,
    }


def bookmarks_text(bookmarks: list[dict], kind: str) -> str:
    """Bookmarks as "csv" (lists of positions are separated by spaces) or "json"."""
    if one_of("kind", kind, KINDS_OF_FILE) == "json":
        return json.dumps(bookmarks, indent=1, ensure_ascii=False)
    out = io.StringIO()
    names = list(bookmarks[0]) if bookmarks else ["region"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for row in bookmarks:
        writer.writerow({
            name: " ".join(map(str, v)) if isinstance(v, list) else _cell(v)
            for name, v in row.items()
        })  # fmt: skip
    return out.getvalue()


def _cell(value: object) -> object:
    """Text that no spreadsheet takes for a formula."""
    formula = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if formula else value


class Bookmarks(w.VBox):
    """The bookmarks of an explorer as buttons, with links that download them.

    Attributes
    ----------
    kept : {(layer, percentile, region): bookmark}, in the order in which they were set.
    """

    def __init__(self, one_at_a_time: threading.RLock) -> None:
        self.kept: dict[tuple[int, float, int], dict] = {}
        self.list = Choices(one_at_a_time, "epkit-list")
        self.links = w.HTML()
        super().__init__([self.links, self.list])
        self._draw()

    def on_choose(self, act: Callable[[tuple], None]) -> None:
        """Call `act((layer, percentile, region))` when a bookmark is chosen."""
        self.list.on_choose(act)

    def toggle(self, regions: Regions, key: tuple[int, float], region: int) -> None:
        """Set a bookmark, or take it away."""
        name = (*key, region)
        if self.kept.pop(name, None) is None:
            self.kept[name] = bookmark(regions, key, region)
        self._draw()

    def save(self, path: str | os.PathLike) -> Path:
        """Write the bookmarks to a .csv or .json file; ValueError for another ending."""
        path = Path(path)
        kind = one_of("the ending of path", path.suffix.lstrip("."), KINDS_OF_FILE)
        files.write_text(path, bookmarks_text(list(self.kept.values()), kind))
        return path

    def _draw(self) -> None:
        with self.list.unheard():
            self.list.options = [
                (f"layer {b['layer']}  p {b['percentile']:g}  {b['region']:>6}  {b['name']}", name)
                for name, b in self.kept.items()
            ]
            self.list.value = None
        rows, links = list(self.kept.values()), []
        for kind in KINDS_OF_FILE if rows else ():
            data = base64.b64encode(bookmarks_text(rows, kind).encode()).decode()
            href = f"data:text/{kind};base64,{data}"
            links.append(f'<a download="bookmarks.{kind}" href="{href}">{kind.upper()}</a>')
        told = " or ".join(links)
        said = f"{len(rows)} bookmarked" + (f"; download as {told}" if rows else "")
        hint = as_html("or explorer.bookmarks.save('bookmarks.csv')")
        self.links.value = f'<div class="epkit-status">{said}, {hint}</div>'
