"""Where the final tokens of instructions lie: who shares a region, and which region refuses.

1. `prompt_occupancy`, `final_token_table`: prompts by the region of their final token, and harm.
2. `refusal_region`: the region in which the tuned model refuses, by a stated rule;
   `refusal_regions` over all layers, percentiles and orders, `coarsest_percentile` that has one.

A kind of dictionary is a percentile (of all positions) or `FINAL` (of the final positions alone).

Does not know: tokens, models, how answers are judged.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from epkit.matching import adjusted_mutual_information
from epkit.studies.base_vs_tuned.agreement import order_spread
from epkit.studies.base_vs_tuned.dictionaries import Reading, Sets
from epkit.studies.base_vs_tuned.tokens import PromptPlaces

FINAL = "final"
Kind = float | str
OnPrompts = Mapping[tuple[int, Kind], Sets]
"""{(layer, kind): sets of `prompt_dictionaries`}."""

CHECKPOINT_LABELS = {
    "base": "base", "tuned": "tuned", "shared": "tuned, shared centre",
    "random base": "base, random exemplars", "random tuned": "tuned, random exemplars",
}  # fmt: skip
FEWEST = 8
"""Final tokens from which on a share of them counts."""
MAJORITY_REFUSED = 2 / 3


def kind_label(kind: Kind) -> str:
    """How tables call a kind of dictionary."""
    return FINAL if kind == FINAL else f"all, p {kind:g}"


def prompt_occupancy(region: Tensor, prompts: PromptPlaces) -> pd.DataFrame:
    """Prompts by the region of their final token: one row a region, columns harmful, benign."""
    at = pd.Series(prompts.at_final(region).cpu().numpy(), name="region")
    side = np.where(prompts.harmful.cpu(), "harmful", "benign")
    return pd.crosstab(at, side)[["harmful", "benign"]]


def final_token_table(
    on_prompts: OnPrompts, prompts: PromptPlaces, final_percentile: float
) -> pd.DataFrame:
    """Regions of the final token, a row a (layer, dictionary, checkpoint); spreads over orders."""
    rows = []
    for (layer, kind), sets in on_prompts.items():
        name = f"final, p {final_percentile:g}" if kind == FINAL else kind_label(kind)
        for checkpoint, label in CHECKPOINT_LABELS.items():
            row = {"layer": layer, "dictionary": name, "checkpoint": label}
            rows.append(row | _final_row(sets[checkpoint], prompts))
    return pd.DataFrame(rows).set_index(["layer", "dictionary", "checkpoint"])


def _final_row(readings: Sequence[Reading], prompts: PromptPlaces) -> dict[str, object]:
    tables = [prompt_occupancy(region, prompts) for _, region in readings]
    sums = [table.sum(axis=1) for table in tables]
    tops = [table.loc[n.idxmax()] for table, n in zip(tables, sums, strict=True)]
    shares = [(t.harmful / n)[n >= FEWEST] for t, n in zip(tables, sums, strict=True)]
    harm = prompts.harmful.long()
    return {
        "K": int(np.median([len(d) for d, _ in readings])),
        "regions with final tokens": order_spread(map(len, tables)),
        "prompts in the largest": order_spread(n.max() / n.sum() for n in sums),
        "harmful share there": order_spread(top.harmful / top.sum() for top in tops),
        f"highest harmful share (N ≥ {FEWEST})": order_spread(max(s.max(), 0) for s in shares),
        "AMI of region and harm": order_spread(
            adjusted_mutual_information(prompts.at_final(region), harm) for _, region in readings
        ),
    }


def refusal_region(
    own: Reading, prompts: PromptPlaces, refused: Tensor, least: int = FEWEST
) -> int | None:
    """The region with the most refused final tokens; None where none fits.

    It fits with at least `least` final tokens, of which at least two thirds were refused.
    refused : (P,) bool, whose answer refuses.
    """
    at, k = prompts.at_final(own.region).cpu(), len(own.dictionary)
    n, no = (some.bincount(minlength=k) for some in (at, at[refused.cpu()]))
    fit = (n >= least) & (no >= MAJORITY_REFUSED * n)
    return int((no * fit).argmax()) if fit.any() else None


RefusalRegions = Mapping[tuple[int, Kind, str], Sequence[int | None]]
"""{(layer, kind, checkpoint): the refusal region in every order}."""


def refusal_regions(
    on_prompts: OnPrompts, prompts: PromptPlaces, refused: Tensor
) -> RefusalRegions:
    """The refusal region of every dictionary of the tuned model, from its own and a shared centre.

    Raises ValueError where no dictionary has one.
    """
    found = {
        (layer, kind, name): [refusal_region(one, prompts, refused) for one in sets[name]]
        for (layer, kind), sets in on_prompts.items()
        for name in ("tuned", "shared")
    }
    if all(k is None for regions in found.values() for k in regions):
        raise ValueError(
            "the tuned model has no refusal region at any of prompt_percentiles: give lower ones"
        )
    return found


def orders_table(region_of: RefusalRegions) -> pd.DataFrame:
    """In how many orders the tuned model has a refusal region: a row a layer, a column a kind."""
    rows = {}
    for (layer, kind, name), regions in region_of.items():
        if name == "tuned":
            row = rows.setdefault(layer, {"orders": len(regions)})
            row[kind_label(kind)] = sum(k is not None for k in regions)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("layer")


def coarsest_percentile(
    region_of: RefusalRegions, layer: int, percentiles: Iterable[float]
) -> float:
    """The highest at which the tuned model has its region in every order; the lowest if none."""
    percentiles = sorted(percentiles)
    whole = [p for p in percentiles if None not in region_of[layer, p, "tuned"]]
    return whole[-1] if whole else percentiles[0]
