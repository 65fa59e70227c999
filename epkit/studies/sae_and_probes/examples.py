"""Examples of matches between regions and latents, drawn at random, with tokens in context.

Does not know: how features were matched.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from epkit.dictionary import Dictionary
from epkit.inspect.tables import context_line
from epkit.lm.store import ActivationSet
from epkit.members import MemberCollector
from epkit.studies.sae_and_probes.equal_support import Overlap, RankedLatents


def example_groups(overlap: Overlap) -> dict[str, np.ndarray]:
    """{kind: regions}: those that are matched, and the tenth that matches worst."""
    worst = overlap.f1 <= np.nanquantile(overlap.f1, 0.1)
    return {"matched": np.flatnonzero(overlap.matched), "worst": np.flatnonzero(worst)}


def match_examples(
    overlap: Overlap,
    latents: RankedLatents,
    context: Callable[[int], str],
    *,
    n: int = 4,
    seed: int = 0,
) -> pd.DataFrame:
    """Up to n regions of every group of `example_groups`, each beside its match.

    context : of a token that was read, by its position, as text.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for kind, regions in example_groups(overlap).items():
        for region in sorted(rng.permutation(regions)[:n]):
            m, latent = overlap.members[region], overlap.latent[region]
            rows.append({
                "": kind, "region": region, "members": m,
                "latent": latent if latent >= 0 else "—", "F1": overlap.f1[region],
                "members in context": _contexts(np.flatnonzero(overlap.feature == region), context),
                "latent's top tokens": _contexts(latents.tokens_of(latent, m), context),
            })  # fmt: skip
    return pd.DataFrame(rows)


def context_reader(
    stream: ActivationSet, dictionary: Dictionary, tokenizer, width: int = 6
) -> Callable[[int], str]:
    """Gives the context of an activation of a stream by its position, whatever its region."""
    members = MemberCollector().members(stream.tokens, stream.lengths, stream.clustered)
    reader = replace(dictionary, members=members)
    return lambda i: context_line(reader, tokenizer, int(i), width)


def _contexts(tokens: np.ndarray, context: Callable[[int], str], n: int = 3) -> list[str]:
    """n of the tokens, evenly spaced."""
    return [context(int(i)) for i in tokens[:: max(1, len(tokens) // n)][:n]]
