"""Tables for notebooks that show corpus text: of regions, and any frame made safe to show.

Does not know: models (a tokenizer is enough), where the text came from beyond the token ids kept.
"""

import math
import numbers
from collections.abc import Iterable, Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from epkit.checks import several, whole
from epkit.dictionary import Dictionary
from epkit.lm.text import LONGEST, as_html, visible

LONGEST_CELL = 2000
"""Characters that a cell shows; the end of a longer one is …."""

LEFT = [("th", "text-align: left"), ("td", "text-align: left; white-space: pre-wrap")]


def text_table(
    frame: pd.DataFrame,
    caption: str = "",
    *,
    columns: Sequence[str] | None = None,
    index: bool = False,
    digits: int = 2,
) -> Styler:
    """A frame as a table in which no text is read as HTML and every character can be seen.

    Cells, headers and caption are escaped; line ends, tabs and characters without a shape become
    signs (`visible`). A cell that is a list is shown with one line per entry.

    Parameters
    ----------
    frame : whatever it holds.
    caption : above the table.
    columns : those to show, in this order; by default all.
    index : show the frame's index.
    digits : after the point of numbers that are not whole.

    Returns
    -------
    pandas Styler, left-aligned; further styles may be added.

    Raises
    ------
    TypeError : no frame, or arguments of another type.
    ValueError : a column that is not there.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"frame must be a pandas DataFrame, got a {type(frame).__name__}")
    digits = whole("digits", digits, 0, 12)
    if columns is not None:
        columns = several("columns", columns)
        missing = [c for c in columns if c not in frame.columns]
        if missing:
            raise ValueError(f"the frame has no column {missing[0]!r}; it has {[*frame.columns]}")
        frame = frame[columns]
    shown = frame if index else frame.reset_index(drop=True)
    shown = shown.rename_axis(
        index=[_safe(name) for name in shown.index.names],
        columns=[_safe(name) for name in shown.columns.names],
    )
    style = shown.style.format(lambda value: _cell(value, digits))
    for axis in (0, 1):
        style = style.format_index(lambda value: _cell(value, digits), axis=axis)
    style = style if index else style.hide(axis="index")
    style = style.set_table_styles([{"selector": s, "props": p} for s, p in LEFT])
    return style.set_caption(_safe(caption)) if caption else style


def _cell(value: object, digits: int) -> str:
    """HTML of a cell: numbers as numbers, anything else as text."""
    if isinstance(value, list | tuple):
        return "<br>".join(_cell(part, digits) for part in value)
    if isinstance(value, numbers.Integral):
        return str(value)
    if isinstance(value, numbers.Real):
        return "–" if math.isnan(value) else f"{value:,.{digits}f}"
    return "–" if value is None or value is pd.NA or value is pd.NaT else _safe(value)


def _safe(value: object) -> str | None:
    """Text that is only text; None stays None."""
    return None if value is None else as_html(str(value), LONGEST_CELL)


def context_line(dictionary: Dictionary, tokenizer, index: int, width: int = 10) -> str:
    """The context of the activation at a stream position, its own token in ⟦ ⟧.

    Raises
    ------
    TypeError : an index or a width that is no whole number.
    ValueError : the dictionary was built without members, or there is no such position.
    """
    if dictionary.members is None:
        raise ValueError("this dictionary has no members; use one made by epkit.build")
    n = int(dictionary.members.clustered.sum())
    index, width = whole("index", index, 0, n - 1), whole("width", width)
    before, token, after = dictionary.members.context(index, width)
    left, at, right = (_said(tokenizer, ids) for ids in (before, [token], after))
    return f"{left}⟦{at}⟧{right}"


def region_table(
    dictionary: Dictionary,
    tokenizer,
    regions: Iterable[int],
    width: int = 10,
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row per region: size, coherence, exemplar in context, tokens of the closest members.

    names : K names of the regions (`Regions.names`), which are a column then.

    Raises
    ------
    TypeError : a region or a width that is no whole number.
    ValueError : the dictionary was built without members, or there is no such region.
    """
    rows = []
    for region in regions:
        k = whole("region", getattr(region, "item", lambda r=region: r)(), 0, len(dictionary) - 1)
        exemplar = context_line(dictionary, tokenizer, int(dictionary.exemplar_index[k]), width)
        closest = dictionary.members.token_of(dictionary.members.of(k, "closest")[0])
        rows.append({
            "region": k,
            **({} if names is None else {"name": names[k]}),
            "members": int(dictionary.counts[k]),
            "coherence": float(dictionary.coherence[k]),
            "exemplar in context": exemplar,
            "closest members": " | ".join(_said(tokenizer, [t]) for t in closest.tolist()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _said(tokenizer, ids: Sequence[int]) -> str:
    return visible(tokenizer.decode(ids), LONGEST) if len(ids) else ""
