"""The refusal region of the tuned model: what it was in the base, and what else is as new as it.

1. `counterpart_table`: the base region that overlaps it most, whose members that region has, and
   which held-out prompts fall into the refusal region.
2. `newest_table`: the regions that lack a counterpart most.

Does not know: models, how a refusal is judged, ranks.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from epkit import matching
from epkit.studies.base_vs_tuned.counterparts import RegionScores, all_but, region_similarities
from epkit.studies.base_vs_tuned.dictionaries import Reading, Sets
from epkit.studies.base_vs_tuned.final_tokens import FEWEST
from epkit.studies.base_vs_tuned.tokens import PromptPlaces, commonest_tokens

PLACES = {
    "at final tokens": "final token",
    "in the template's end": "template's end",
    "in the prompt": "prompt",
}


def counterpart_table(
    sets: Mapping[int, Sets],
    regions: Mapping[int, Sequence[int | None]],
    prompts: PromptPlaces,
    refused: Tensor,
    heldout: Mapping[int, Tensor],
    heldout_harmful: Tensor,
) -> pd.DataFrame:
    """The refusal region and its counterpart in the base, a row a (layer, order) that has one.

    Parameters
    ----------
    sets : {layer: sets of `prompt_dictionaries`, of all positions}.
    regions : {layer: the refusal region of "tuned" in every order, None where there is none}.
    refused : (P,) bool, whose answer refuses.
    heldout : {layer: (Q, D)}, final tokens of prompts that took no part, of the tuned model;
        heldout_harmful (Q,) bool.
    """
    rows = []
    for layer, here in sets.items():
        for o, k in enumerate(regions[layer]):
            if k is None:
                continue
            own, d = here["tuned"][o], here["tuned"][o].dictionary
            held = d.assign(heldout[layer])[0].cpu() == k
            rows.append({
                "layer": layer, "order": o, **_itself(own, k, prompts, refused),
                **_in_the_base(here, o, k, prompts),
                "held-out harmful": _share(held[heldout_harmful]),
                "held-out benign": _share(held[~heldout_harmful]),
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["layer", "order"])


def _itself(own: Reading, k: int, prompts: PromptPlaces, refused: Tensor) -> dict[str, object]:
    """The refusal region k: its size, and whose final tokens it holds."""
    at = prompts.at_final(own.region) == k
    return {
        "members": int((own.region == k).sum()), "final tokens": int(at.sum()),
        "harmful": _share(prompts.harmful[at]), "refused": _share(refused[at]),
        "of all refused": (refused & at).sum().item() / int(refused.sum()),
    }  # fmt: skip


def _in_the_base(sets: Sets, o: int, k: int, prompts: PromptPlaces) -> dict[str, object]:
    """Region k of the tuned model's order o: its overlaps, and its best counterpart's members."""
    own, base = sets["tuned"][o], sets["base"][o]
    overlap = region_similarities(own, [base])[0][:, k]
    near = matching.cosines(base.dictionary, own.dictionary, "mean", across_centres=True)[:, k]
    partner = int(overlap.argmax())
    theirs = base.region == partner
    place = prompts.place[theirs.numpy()]
    return {
        "overlap": overlap.max().item(),
        "overlap, base orders": _mean_best_of(own, all_but(sets["base"], o), k),
        "overlap, own orders": _mean_best_of(own, all_but(sets["tuned"], o), k),
        "base members": int(theirs.sum()),
        **{label: (place == name).mean() for label, name in PLACES.items()},
        "base harmful": _share(prompts.harmful[prompts.prompt[theirs]]),
        "nearest mean": near.max().item(),
        "is the same": bool(near.argmax() == partner),
    }


def _mean_best_of(own: Reading, others: Sequence[Reading], k: int) -> float:
    """Overlap of region k with its best match in the others, their mean."""
    best = [table[:, k].max() for table in region_similarities(own, others)]
    return torch.stack(best).mean().item()


def newest_table(
    scored: RegionScores,
    own: Reading,
    prompts: PromptPlaces,
    refused: Tensor,
    tokenizer,
    *,
    n: int = 10,
) -> pd.DataFrame:
    """The n regions of `FEWEST` members or more that lack a counterpart most, by "recurring".

    own : the dictionary that was scored, read with all positions of the prompts.
    """
    values, counts = scored.scores["recurring"], own.dictionary.counts.cpu()
    rows = []
    for j in torch.where(counts >= FEWEST, values, -torch.inf).topk(n).indices.tolist():
        mine = own.region == j
        place, prompt = prompts.place[mine.numpy()], prompts.prompt[mine]
        rows.append({
            "region": f"{j} (refusal)" if j == scored.region else j, "members": int(counts[j]),
            "missing counterpart": values[j].item(),
            "commonest tokens": commonest_tokens(tokenizer, prompts.tokens[mine], 4),
            "at final tokens": (place == "final token").mean(),
            "in the template's end": (place == "template's end").mean(),
            "of harmful prompts": _share(prompts.harmful[prompt]),
            "of refused prompts": _share(refused[prompt]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _share(flags: Tensor) -> float:
    return flags.double().mean().item()
