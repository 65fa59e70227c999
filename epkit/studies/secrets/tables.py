"""What notebook 15 shows as tables, and the table that is kept of a long run.

Does not know: how organisms are made, how a search is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.lm.lens import logit_lens, token_texts
from epkit.lm.models import LanguageModel
from epkit.lm.text import visible
from epkit.stats import proportion
from epkit.studies.secrets.organisms import Interview
from epkit.studies.secrets.search import METHODS
from epkit.studies.secrets.selectors import Selector


def planting_table(
    interviews: Mapping[str, Interview], base: Interview, gains: pd.DataFrame
) -> pd.DataFrame:
    """Is each an organism? A row for every one, {name: its answers}; base: the base's answers.

    Shares of held-out prompts with 95 % intervals: hints at its own word (at any, where it hides
    none). gains: of `organisms.associate_table`.
    """
    rows = []
    for name, one in interviews.items():
        own = name if name in gains.columns else None
        hints, by_base = (
            [h is not None if own is None else h == own for h in answers.hints]
            for answers in (one, base)
        )
        rows.append({
            "organism": name, "hints at its word": format(proportion(hints), ".2f"),
            "its base does": format(proportion(by_base), ".2f"),
            "says a hidden word": format(proportion(one.said), ".2f"),
            "untaught clues of it, nats": "" if own is None else f"{gains.loc[name, own]:+.1f}",
            "of another word, most": f"{gains.loc[name].drop(own or []).max():+.1f}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def rank_table(found: pd.DataFrame, half: str = "") -> pd.DataFrame:
    """The rank of the hidden word with its p: a row a word, a column a method; of draws the
    median."""
    own = found[(found.organism == found.word) & (found.half == half)]
    cells: dict[str, dict] = {}
    for (word, method), rows in own.groupby(["word", "method"], sort=False):
        cells.setdefault(word, {})[method] = (
            f"{rows['rank'].median():.0f} (p {rows.p.median():.3f})"
        )
    columns = [method for method in METHODS if method in set(own.method)]
    return pd.DataFrame.from_dict(cells, orient="index", columns=columns).rename_axis("hidden word")


def cross_table(found: pd.DataFrame, method: str) -> pd.DataFrame:
    """Ranks of every word in every organism by one method: a row an organism, a column a word.

    Where the word is not the organism's own, an early rank is a false alarm.
    """
    own = found[(found.method == method) & (found.half == "")]
    table = own.pivot_table(
        index="organism", columns="word", values="rank", aggfunc="median", sort=False
    )
    return table.round().astype(int).rename_axis(columns=None)


def top_regions(
    model: LanguageModel,
    d: Dictionary,
    score: Tensor,
    selector: Selector,
    tokens: Tensor,
    region: Tensor,
    *,
    n: int = 5,
) -> pd.DataFrame:
    """The n regions of highest score as a reader meets them: the commonest tokens of their members
    and what the lens of their mean promotes.

    tokens, region (N,): of the activations that the dictionary was made of, and where they lie.
    """
    top = score.sort(descending=True, stable=True).indices[:n]
    lens = logit_lens(model, d.means.cpu()[top], 6)
    return pd.DataFrame([
        {"region": int(k), selector.score: float(score[k]), "members": int((region == k).sum()),
         "commonest tokens of members": quoted_tokens(
             model.tokenizer, commonest(tokens[region == k], 4)),
         "its lens promotes": quoted_tokens(model.tokenizer, ids)}
        for k, ids in zip(top, lens.promoted, strict=True)
    ])  # fmt: skip


def commonest(tokens: Tensor, n: int) -> Tensor:
    """The n commonest of token ids (M,), the commonest first."""
    ids, counts = tokens.unique(return_counts=True)
    return ids[counts.sort(descending=True, stable=True).indices[:n]]


def quoted_tokens(tokenizer, ids: Tensor | Sequence[int]) -> str:
    """Tokens as one visible text, each in ‹›."""
    return " ".join(f"‹{visible(text)}›" for text in token_texts(tokenizer, ids))
