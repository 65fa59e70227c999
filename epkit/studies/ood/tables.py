"""How the notebook's numbers are written: intervals in a cell, signed differences, captions.

Does not know: where numbers come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from epkit.lm.corpora import Document, document_text
from epkit.stats import Interval
from epkit.studies.ood.readings import Orders

TITLES = {
    "auroc": "AUROC, tokens", "random auroc": "random",
    "text auroc": "AUROC, texts", "random text auroc": "random ",
}  # fmt: skip


def short(cell: Interval | float | str) -> str:
    """A cell with two digits: an interval with its limits, text as it is, nothing for a gap."""
    if isinstance(cell, Interval):
        return f"{cell:.2f}"
    return cell if isinstance(cell, str) else "" if pd.isna(cell) else f"{cell:.2f}"


def signed_interval(cell: Interval) -> str:
    """A difference with three digits and its sign, with its limits."""
    return f"{cell:+.3f}"


def corpus_table(texts: Mapping[str, Sequence[Document]], tokens: int) -> pd.DataFrame:
    """The texts of every corpus, all of so many tokens: how many, and how the first begins."""
    return pd.DataFrame([
        {
            "corpus": name, "texts": len(some), "tokens": len(some) * tokens,
            "a text begins": document_text(some[0])[:60],
        }
        for name, some in texts.items()
    ])  # fmt: skip


def atlas_table(atlas: Orders) -> pd.DataFrame:
    """K over the orders and θ in a cell, by layer (rows) and percentile (columns)."""
    rows = [
        {"layer": layer, "p": f"{p:g}", "K, θ": f"{_sizes(orders)}, {orders[0].threshold:.3f}"}
        for (layer, p), orders in atlas.items()
    ]
    columns = dict.fromkeys(row["p"] for row in rows)
    return pd.DataFrame(rows).pivot(index="layer", columns="p", values="K, θ")[[*columns]]


def _sizes(orders: Sequence) -> str:
    low, high = min(map(len, orders)), max(map(len, orders))
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def distances_shown(table: pd.DataFrame, index: Sequence[str], caption: str) -> Styler:
    """Rows of `distance_table` without their gaps."""
    table = table.drop(columns=["gap", "random gap"]).set_index([*index]).rename(columns=TITLES)
    style = table.style.format(short).format_index(lambda v: v if isinstance(v, str) else f"{v:g}")
    return style.set_caption(caption)


def sweep_shown(table: pd.DataFrame, value: str, corpora: Sequence[str], caption: str) -> Styler:
    """A column of `distance_table` by layer and p (rows) and corpus (columns)."""
    wide = table[table.corpus.isin(corpora)]
    wide = wide.pivot(index=["layer", "p"], columns="corpus", values=value)[[*corpora]]
    return wide.style.format(short).format_index("{:g}").set_caption(caption)


def starred(table: pd.DataFrame, strict: pd.DataFrame) -> pd.DataFrame:
    """Differences as text, with a star where the interval of `strict` holds no zero either."""
    return pd.DataFrame({
        p: {
            row: signed_interval(cell) + ("" if _holds_zero(strict.loc[row, p]) else "*")
            for row, cell in table[p].items()
        }
        for p in table
    }).rename_axis(table.index.name)  # fmt: skip


def _holds_zero(cell: Interval) -> bool:
    return cell.low <= 0 <= cell.high


def published_shown(table: pd.DataFrame, caption: str) -> Styler:
    """Claims, a row each, aligned as text."""
    style = table.style.hide(axis="index").set_caption(caption)
    return style.set_properties(**{"text-align": "left"})
