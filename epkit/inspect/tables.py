"""Tables of regions, for notebooks: what lies in them, in words.

Does not know: models (a tokenizer is enough), where the text came from beyond the token ids kept.
"""

from collections.abc import Iterable

import pandas as pd

from epkit.dictionary import Dictionary
from epkit.lm.text import visible


def context_line(dictionary: Dictionary, tokenizer, index: int, width: int = 10) -> str:
    """The context of the activation at a stream position, its own token in ⟦ ⟧.

    Raises
    ------
    ValueError : the dictionary was built without members.
    """
    if dictionary.members is None:
        raise ValueError("this dictionary has no members; use one made by epkit.build")
    before, token, after = dictionary.members.context(index, width)
    left, at, right = (
        visible(tokenizer.decode(ids)) if ids else "" for ids in (before, [token], after)
    )
    return f"{left}⟦{at}⟧{right}"


def region_table(
    dictionary: Dictionary, tokenizer, regions: Iterable[int], width: int = 10
) -> pd.DataFrame:
    """One row per region: size, coherence, exemplar in context, tokens of the closest members.

    Raises
    ------
    ValueError : the dictionary was built without members, or there is no such region.
    """
    rows = []
    for k in map(int, regions):
        if not 0 <= k < len(dictionary):
            raise ValueError(f"region {k} is outside 0 … {len(dictionary) - 1}")
        exemplar = context_line(dictionary, tokenizer, int(dictionary.exemplar_index[k]), width)
        closest = dictionary.members.token_of(dictionary.members.of(k, "closest")[0])
        rows.append({
            "region": k,
            "members": int(dictionary.counts[k]),
            "coherence": float(dictionary.coherence[k]),
            "exemplar in context": exemplar,
            "closest members": " | ".join(visible(tokenizer.decode([t])) for t in closest.tolist()),
        })  # fmt: skip
    return pd.DataFrame(rows)
