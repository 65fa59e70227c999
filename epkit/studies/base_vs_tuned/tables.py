"""What notebook 06 shows of its rows and regions, as tables.

Does not know: models, how activations were compared.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from epkit.lm.text import visible
from epkit.studies.base_vs_tuned.membership import Membership
from epkit.studies.base_vs_tuned.rows import PLACES, Rows


def place_table(rows: Rows) -> pd.DataFrame:
    """Activations by place and half: a row a place."""
    return pd.DataFrame(
        {
            name: [int((rows.at(place) & (rows.half == half)).sum()) for place in PLACES]
            for half, name in enumerate(("half A", "half B"))
        },
        index=[*PLACES],
    ).rename_axis("place")


def moved_table(found: Mapping[str, Membership], rows: Rows) -> pd.DataFrame:
    """Median cosine distance of the same token in base and tuned: a row a place, a column a habit
    that was taught; nan where nothing stands."""
    return pd.DataFrame(
        {name: [m.moved[rows.at(place)].median().item() for place in PLACES]
         for name, m in found.items()},
        index=[*PLACES],
    ).rename_axis("place")  # fmt: skip


def top_table(
    changes: pd.DataFrame,
    score: str,
    region: Tensor,
    rows: Rows,
    which: int,
    place: str,
    tokenizer,
    *,
    n: int = 10,
) -> pd.DataFrame:
    """The n regions of `region_changes` with the highest score (ties: lowest number).

    region (n,): of every row in the base; tokens and the share at the place are of one half.
    """
    own, at = rows.half == which, rows.at(place)
    found = []
    top = changes.sort_values(score, ascending=False, kind="stable").head(n)
    for k, row in top.iterrows():
        members = own & (region == k)
        found.append({
            "region": k, "members": int(row.members), score: row[score],
            "commonest tokens": commonest_tokens(tokenizer, rows.tokens[members], 4),
            f"{place}": at[members].double().mean().item(),
        })  # fmt: skip
    return pd.DataFrame(found)


def floor_table(
    floors: Mapping[str, pd.DataFrame], marked: Mapping[str, Sequence[int]]
) -> pd.DataFrame:
    """Medians of `half_floor`, a row a habit for the regions where it acts and one for the others.

    "times": the median of tuned over other half, region by region.
    """
    found = []
    for name, floor in floors.items():
        there = floor.index.isin(marked[name])
        for kind, part in (("where it acts", floor[there]), ("elsewhere", floor[~there])):
            times = part["tuned"] / part["other half"].clip(lower=1e-9)
            found.append({
                "taught": name, "regions": kind, "n": len(part),
                "mean moved by tuning": part["tuned"].median(),
                "mean apart from the other half's": part["other half"].median(),
                "times": times.median(),
            })  # fmt: skip
    return pd.DataFrame(found)


def commonest_tokens(tokenizer, tokens: Tensor, n: int = 3) -> str:
    """The n commonest of token ids (M,), as text in ‹›, the commonest first."""
    ids, counts = tokens.unique(return_counts=True)
    top = ids[counts.sort(descending=True, stable=True).indices[:n]]
    return " ".join(f"‹{visible(tokenizer.decode([t]))}›" for t in torch.as_tensor(top).tolist())
