"""Published claims about out-of-distribution distance, and in how many settings they hold here.

Published (Rumbelow 2026): Gemma-2-2B-it, layer 20 of 26, the Pile, Bulgarian Wikipedia and uniform
random tokens. A later version of the paper no longer makes the claim.

Does not know: models, scores beyond their separation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from epkit.studies.ood.tables import short

PUBLISHED_DEPTH = 20 / 26
STRANGE, BULGARIAN = "random-tokens", "bulgarian"

Claim = tuple[str, str, str]


def distance_claims(
    rows: pd.DataFrame,
    corpora: Sequence[str],
    reference: str,
    n_layers: int,
    shown_p: float,
) -> pd.DataFrame:
    """A row per claim: claim, published, here.

    rows : `distance_table`. n_layers : of the model. shown_p : stands in for p = 1 where that was
    not built. What was published is of Bulgarian and of random tokens, and of no other corpus.
    """
    claims = []
    if STRANGE in corpora:
        claims += _random_tokens(rows, reference, n_layers, shown_p)
    if BULGARIAN in corpora:
        claims += _bulgarian(rows, both=STRANGE in corpora)
    for name in [name for name in (BULGARIAN, STRANGE) if name in corpora]:
        gaps = _values(rows, name, "gap")
        claims += _trends(name, {at: cell.value for at, cell in gaps.items()})
    return pd.DataFrame(claims, columns=["claim", "published", "here"])


def published_layer(layers: Iterable[int], n_layers: int) -> int:
    """Of some layers the one nearest to the published depth, 20 of 26, in a model of n_layers."""
    return int(min(layers, key=lambda x: abs(x / n_layers - PUBLISHED_DEPTH)))


def _random_tokens(
    rows: pd.DataFrame, reference: str, n_layers: int, shown_p: float
) -> list[Claim]:
    layer = published_layer(rows.layer.unique(), n_layers)
    p = 1 if (rows.p == 1).any() else shown_p
    within = rows[(rows.layer == layer) & (rows.p == p)].set_index("corpus")["within θ"]
    gaps = _values(rows, STRANGE, "gap").values()
    return [
        (
            "random tokens are farther than held-out text", "yes",
            _count(cell.low > 0 for cell in gaps) + " settings",
        ),
        (
            f"random tokens within θ at p = {p:g} (here layer {layer} of {n_layers})", ".875",
            f"{short(within[STRANGE])}; held-out {short(within[reference])}",
        ),
    ]  # fmt: skip


def _bulgarian(rows: pd.DataFrame, both: bool) -> list[Claim]:
    gaps = _values(rows, BULGARIAN, "gap").values()
    farther = _count(cell.low > 0 for cell in gaps)
    nearer = _count(cell.high < 0 for cell in gaps)
    claims = [
        (
            "Bulgarian is farther than held-out text", "yes",
            f"{farther} settings; nearer in {nearer}",
        )
    ]  # fmt: skip
    if both:
        own, strange = (_values(rows, name, "mean") for name in (BULGARIAN, STRANGE))
        here = _count(strange[at] > own[at] for at in own) + " settings"
        claims.append(("random tokens are farther than Bulgarian", "yes", here))
    return claims


def _trends(name: str, gap: dict[tuple[int, float], float]) -> list[Claim]:
    """Over p at every layer, and over depth at every p; gap {(layer, p): value}."""
    layers, percentiles = ([*dict.fromkeys(at[i] for at in gap)] for i in (0, 1))
    low, high = min(percentiles), max(percentiles)
    wider = _count(gap[layer, low] > gap[layer, high] for layer in layers)
    narrower = _count(gap[layers[-1], p] < gap[layers[0], p] for p in percentiles)
    begin = f"the gap of {name}"
    return [
        (f"{begin} is wider at p = {low:g} than at p = {high:g}", "widens as p sharpens",
         wider + " layers"),
        (f"{begin} is narrower at layer {layers[-1]} than at layer {layers[0]}",
         "shrinks with depth", narrower + " percentiles"),
    ]  # fmt: skip


def _values(rows: pd.DataFrame, corpus: str, column: str) -> dict[tuple[int, float], object]:
    """{(layer, p): cell} of a corpus."""
    own = rows[rows.corpus == corpus]
    return dict(zip(zip(own.layer, own.p, strict=True), own[column], strict=True))


def _count(holds: Iterable[bool]) -> str:
    holds = list(holds)
    return f"{sum(holds)} of {len(holds)}"
