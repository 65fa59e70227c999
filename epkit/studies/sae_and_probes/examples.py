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
from epkit.studies.sae_and_probes.feature_match import FeatureMatch, TopTokens


def example_groups(match: FeatureMatch) -> dict[str, np.ndarray]:
    """{kind: indices}: regions with F1 > .5, and of either side the tenth that matches worst.

    match : of regions with latents. Features left out belong to none.
    """
    low = (f1 <= np.nanquantile(f1, 0.1) for f1 in (match.f1_of_a, match.f1_of_b))
    shared, regions, latents = map(np.flatnonzero, (match.f1_of_a > 0.5, *low))
    return {"shared": shared, "region's own": regions, "latent's own": latents}


def match_examples(
    match: FeatureMatch,
    regions: TopTokens,
    latents: TopTokens,
    context: Callable[[int], str],
    *,
    n: int = 4,
    seed: int = 0,
) -> pd.DataFrame:
    """Up to n features of every group of `example_groups`, each beside its best match.

    context : of a token that was read, by its position, as text.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for kind, members in example_groups(match).items():
        for i in sorted(rng.permutation(members)[:n]):
            own = kind == "latent's own"
            region, latent = (match.match_of_b[i], i) if own else (i, match.match_of_a[i])
            rows.append({
                "": kind,
                "region": region if region >= 0 else "—",
                "latent": latent if latent >= 0 else "—",
                "F1": match.f1[region, latent] if min(region, latent) >= 0 else 0.0,
                "region's tokens": _contexts(regions, region, context),
                "latent's tokens": _contexts(latents, latent, context),
            })  # fmt: skip
    return pd.DataFrame(rows)


def context_reader(
    stream: ActivationSet, dictionary: Dictionary, tokenizer, width: int = 6
) -> Callable[[int], str]:
    """Gives the context of an activation of a stream by its position, whatever its region."""
    members = MemberCollector().members(stream.tokens, stream.lengths, stream.clustered)
    reader = replace(dictionary, members=members)
    return lambda i: context_line(reader, tokenizer, int(i), width)


def _contexts(
    top: TopTokens, feature: int, context: Callable[[int], str], n: int = 3
) -> list[str] | str:
    """n of a feature's tokens, evenly spaced from the most active on; "" for no feature."""
    if feature < 0:
        return ""
    index = top.index[feature][top.index[feature] >= 0]
    return [context(int(i)) for i in index[:: max(1, len(index) // n)][:n]]
