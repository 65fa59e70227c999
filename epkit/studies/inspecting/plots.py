"""What members share, as bars; labels of regions for the map and the sphere.

Does not know: how members were drawn.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from epkit.dictionary import Dictionary
from epkit.inspect.names import TRAITS
from epkit.lm.lens import logit_lens, token_texts
from epkit.lm.models import LanguageModel
from epkit.lm.text import label_of


def plot_shared_kinds(kinds: Mapping[str, np.ndarray]) -> Figure:
    """Share of groups by what their members share, bars side by side; not shown yet.

    kinds : {groups: (G,) kinds of trait, "none" for nothing}, up to three of them.
    """
    bars = {
        name: pd.Series(found).value_counts(normalize=True).reindex([*TRAITS, "none"]).fillna(0)
        for name, found in kinds.items()
    }
    colours = ["C0", "C1", "0.7"]
    ax = pd.DataFrame(bars).plot.bar(figsize=(8, 3.6), rot=0, width=0.8, color=colours)
    ax.set(
        xlabel="what the members share", ylabel="share of groups",
        title="What members evidently share",
    )  # fmt: skip
    ax.legend(frameon=False)
    return ax.figure


def promotion_labels(model: LanguageModel, d: Dictionary, regions: Sequence[int]) -> dict[int, str]:
    """{region: its exemplar's token → the two tokens that its mean promotes most}."""
    promoted = logit_lens(model, d.means[regions], 2).promoted
    exemplars = token_texts(model.tokenizer, d.members.token_of(d.exemplar_index[regions]))
    return {
        r: f"{label_of(name)} → " + " ".join(label_of(t) for t in token_texts(model.tokenizer, ids))
        for r, name, ids in zip(regions, exemplars, promoted, strict=True)
    }
