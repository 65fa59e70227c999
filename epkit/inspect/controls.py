"""The controls of an explorer: plain widgets with the looks and names that its style sheet knows.

Does not know: what they do.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ipywidgets as w

from epkit.inspect.interest import MIN_MEMBERS
from epkit.inspect.keys import HINT
from epkit.inspect.listing import COLUMNS, SORTS
from epkit.lm.text import as_html

TOOLS = ("map", "prompt", "steer", "compare", "bookmarks", "nothing")
"""What can stand above the list."""


class Unheard:
    """Something that changes its own controls without acting on the change."""

    _deaf = False

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Changes of controls in here are nobody's choice."""
        self._deaf = True
        try:
            yield
        finally:
            self._deaf = False


class Choices(w.ToggleButtons, Unheard):
    """Buttons of which somebody chooses one.

    one_at_a_time : held while a choice is answered.
    names : of its style classes.
    """

    def __init__(self, one_at_a_time: threading.RLock, *names: str, **look) -> None:
        self._one_at_a_time = one_at_a_time
        self._act: Callable[[object], None] = lambda _: None
        super().__init__(options=[], **look)
        for name in names:
            self.add_class(name)
        self.observe(self._chosen, "value")

    def on_choose(self, act: Callable[[object], None]) -> None:
        """Call `act(value)` when a button is chosen."""
        self._act = act

    def _chosen(self, change: dict) -> None:
        with self._one_at_a_time:
            if not self._deaf and change["new"] is not None:
                self._act(change["new"])


def choice(name: str, options: list[tuple[str, object]], value: object = None) -> w.ToggleButtons:
    """One of a few options, each a button that the keyboard can reach."""
    chosen = options[0][1] if value is None else value
    made = w.ToggleButtons(description=name, options=options, value=chosen)
    made.style.description_width = "70px"
    made.add_class("epkit-choice")
    return made


def bar(*children: w.Widget, name: str = "epkit-bar") -> w.HBox:
    """Widgets in a row that wraps."""
    box = w.HBox(children)
    box.add_class(name)
    return box


def button(text: str, tooltip: str = "", key: str = "") -> w.Button:
    """A small button; `key` is what the script of keys presses it by."""
    made = w.Button(description=text, tooltip=tooltip, layout={"width": "auto"})
    made.add_class("epkit-small")
    if key:
        made.add_class(f"epkit-key-{key}")
    return made


def sort_choice() -> w.ToggleButtons:
    """Orders of the list."""
    return choice("Sort by", [(text, name) for name, text in SORTS.items()])


def tool_choice() -> w.ToggleButtons:
    """What stands above the list."""
    return choice("Show", [(name, name) for name in TOOLS], "nothing")


def query_field() -> w.Text:
    """The one search box."""
    made = w.Text(
        placeholder="token, text around it (regex) or promoted token; Enter",
        continuous_update=False,
        description="Search",
        layout={"width": "min(430px, 96%)"},
    )
    made.style.description_width = "70px"
    made.add_class("epkit-query")
    return made


def number_field(name: str, value: int, width: str = "150px") -> w.BoundedIntText:
    """A whole number, taken when it is done."""
    made = w.BoundedIntText(
        value, min=0, max=2**31 - 1, description=name, continuous_update=False,
        layout={"width": width},
    )  # fmt: skip
    made.style.description_width = "initial"
    return made


def members_field() -> w.BoundedIntText:
    """The fewest members of a region that is listed."""
    made = number_field("members ≥", MIN_MEMBERS, "140px")
    made.min = 1
    return made


def column_heads() -> w.HTML:
    """The heads of the list's columns, and the keys."""
    return w.HTML(f'<div class="epkit-columns">{as_html(COLUMNS)}</div>')


def key_hint() -> w.HTML:
    """What keys there are."""
    return w.HTML(f'<div class="epkit-status">{as_html(HINT)}</div>')


def status_html(text: str, role: str = "status", name: str = "") -> str:
    """A line that says how things stand; role "alert" interrupts whoever listens to the page."""
    names = f"epkit-status {name}".strip()
    return f'<div class="{names}" role="{role}">{as_html(text)}</div>'
