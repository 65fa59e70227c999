"""The tokens that both checkpoints read, and where an activation stands in its prompt.

- `stream_activations`: one pass for all layers, through the cache.
- `PromptPlaces`: of every activation of a set of prompts its prompt and its place in it.
- `moved_table`: how far the fine-tune moved the same token.

Does not know: dictionaries, where the texts come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import calibrate
from epkit.lm.activations import ActivationStream
from epkit.lm.models import LanguageModel
from epkit.lm.store import ActivationSet, cached
from epkit.lm.text import visible

LONGEST_TEMPLATE = 12
"""Tokens at most that are taken for the template's end."""


def stream_activations(
    model: LanguageModel,
    documents: object,
    layers: Sequence[int],
    n: int | None = None,
    *,
    context: int = 128,
) -> ActivationSet:
    """The first n activations of the documents, all of them by default, from the cache if there."""
    stream = ActivationStream(model, documents, layers, context=context)
    n = n or sum(len(window.tokens) - window.first for window in stream.windows())
    return cached(stream, n)


@dataclass(frozen=True, eq=False)
class PromptPlaces:
    """Where the n activations of P prompts stand; all on the CPU.

    tokens (n,) int32 ids. prompt (n,) int64: of which prompt. is_final (n,) bool: the last token of
    a prompt, where the answer opens. place (n,) of strings: "prompt", "template's end" or "final
    token". template (m,) int32: the tokens that end every prompt, in order. harmful (P,) bool.
    """

    tokens: Tensor
    prompt: Tensor
    is_final: Tensor
    place: np.ndarray
    template: Tensor
    harmful: Tensor

    def at_final(self, region: Tensor) -> Tensor:
        """Regions of the final tokens (P,), of the regions (n,) of all or (P,) of those alone."""
        return region if len(region) == len(self.harmful) else region[self.is_final]


def prompt_places(x: ActivationSet, harmful: Tensor) -> PromptPlaces:
    """Places in the prompts of a set (P windows), of which `harmful` (P,) bool are.

    Raises ValueError where a prompt did not fit one window.
    """
    if len(x.lengths) != len(harmful):
        raise ValueError(
            f"{len(harmful)} prompts gave {len(x.lengths)} windows: raise the stream's context"
        )
    ends = x.lengths.long().cumsum(0)
    is_final = torch.zeros(len(x.tokens), dtype=torch.bool)
    is_final[ends - 1] = True
    is_final = is_final[x.clustered]
    prompt = is_final.long().cumsum(0) - is_final.long()
    from_end = is_final.nonzero()[:, 0][prompt] - torch.arange(len(is_final))  # 0: the final token
    longest = min(LONGEST_TEMPLATE, int(x.lengths.min()))
    last = torch.stack([x.tokens[ends - 1 - i] for i in range(longest)])
    m = int((last == last[:, :1]).all(1).long().cumprod(0).sum())
    place = np.select(
        [(from_end == 0).numpy(), (from_end < m).numpy()],
        ["final token", "template's end"],
        "prompt",
    )
    template = last[:m, 0].flip(0)
    return PromptPlaces(x.tokens[x.clustered], prompt, is_final, place, template, harmful)


def commonest_tokens(tokenizer, tokens: Tensor, n: int = 3) -> str:
    """The n commonest of token ids (M,), as text in ‹›, the commonest first."""
    ids, counts = tokens.unique(return_counts=True)
    top = ids[counts.sort(descending=True, stable=True).indices[:n]]
    return " ".join(f"‹{visible(tokenizer.decode([t]))}›" for t in top.tolist())


def moved_table(
    web: Mapping[str, ActivationSet],
    chat: Mapping[str, ActivationSet],
    prompts: PromptPlaces,
    layers: Sequence[int],
    n_calibration: int,
) -> pd.DataFrame:
    """Median cosine distance of the same token in base and tuned, seen from the base's web centre.

    web, chat : {"base": …, "tuned": …}; of the base's web those tokens that the tuned model read.
    One row a layer; columns "web", "prompt", "template's end", and the final token by harm.
    """
    groups = {
        name: torch.from_numpy(prompts.place == name) for name in ("prompt", "template's end")
    }
    for name, chosen in (("benign", ~prompts.harmful), ("harmful", prompts.harmful)):
        groups[f"final token, {name}"] = prompts.is_final.nonzero()[chosen, 0]
    rows = []
    for layer in layers:
        a, b, c, d = (
            x[name].layer(layer).float() for x in (web, chat) for name in ("base", "tuned")
        )
        a = a[: len(b)]
        centre = calibrate(a[:n_calibration], [50]).centre.to(a.device)
        apart = {"web": (a, b)} | {name: (c[some], d[some]) for name, some in groups.items()}
        rows.append(
            {"layer": layer} | {name: _median_distance(*xs, centre) for name, xs in apart.items()}
        )
    return pd.DataFrame(rows).set_index("layer")


def _median_distance(x: Tensor, y: Tensor, centre: Tensor) -> float:
    return (1 - torch.cosine_similarity(x - centre, y - centre)).median().item()
