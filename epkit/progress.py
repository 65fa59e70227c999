"""One line of progress for long work: amount, rate, time left and a few facts.

In a notebook the line is one display that is updated in place, so a saved notebook keeps only its
last state; on a terminal it is tqdm's bar; anywhere else (a log) a plain line now and then. Nothing
goes to stderr.

Does not know: what is being counted.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress(
    total: int | None, unit: str, title: str, *, start: int = 0, show: bool = True
) -> Iterator[Callable[..., None]]:
    """Give a function `update(done, **facts)`, to be called with the amount done so far.

    Parameters
    ----------
    total, start : amounts to reach (None where nobody knows) and already done (a resumed job's
        rate counts from `start`).
    unit : plural name of the amount ("activations").
    title : what is being done.
    show : False prints nothing.
    """
    began = last = time.monotonic()
    interval = 0.2 if _in_kernel() or sys.stdout.isatty() else 15.0
    write = _writer() if show else lambda _line, _final: None
    state = (start, {})

    def line() -> str:
        done, facts = state
        form = _OPEN if total is None else _FORMAT
        rate = (done - start) / max(time.monotonic() - began, 1e-9)
        return tqdm.format_meter(
            done, total, time.monotonic() - began, rate=rate or None, prefix=title,
            unit=f" {unit}", unit_scale=False, ncols=0, bar_format=form,
            postfix=", ".join(f"{name} {value}" for name, value in facts.items()),
        )  # fmt: skip

    def update(done: int, **facts: object) -> None:
        nonlocal last, state
        state = (done, facts)
        if time.monotonic() - last >= interval:
            last = time.monotonic()
            write(line(), False)

    try:
        yield update
    finally:
        write(line(), True)


_FORMAT = "{desc}: {n:,}/{total:,} [{elapsed}<{remaining}, {rate_fmt}]{postfix}"

_OPEN = "{desc}: {n:,} [{elapsed}, {rate_fmt}]{postfix}"


def _in_kernel() -> bool:
    """Whether a notebook front end shows our output."""
    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell else None
    return getattr(shell, "kernel", None) is not None


def _writer() -> Callable[[str, bool], None]:
    if _in_kernel():
        from IPython.display import TextDisplayObject, display

        class Line(TextDisplayObject):
            def __repr__(self) -> str:
                return self.data

        handle = display(Line(" "), display_id=True)
        return lambda line, _final: handle.update(Line(line))
    if sys.stdout.isatty():
        return lambda line, final: print(f"\r\033[K{line}", end="\n" if final else "", flush=True)
    return lambda line, _final: print(line, flush=True)
