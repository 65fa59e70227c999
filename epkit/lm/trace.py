"""Trace a prompt: the path of one text through the regions of several layers.

Every token of the prompt is read at every layer that has a dictionary, and assigned to its nearest
exemplar there. BOS (and what a chat template starts every chat with) is fed to the model and not
assigned, as in a build.

Does not know: how dictionaries were made, how a trace is drawn (`plots.plot_trace`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from epkit import checks
from epkit.dictionary import Dictionary
from epkit.lm.activations import ActivationStream
from epkit.lm.corpora import check_document
from epkit.lm.lens import token_texts
from epkit.lm.models import LanguageModel, check_model


@dataclass(frozen=True, eq=False)
class Trace:
    """One prompt of T tokens in the regions of L layers.

    Attributes
    ----------
    tokens : (T,) int32 token ids as fed, BOS included.
    texts : T strings, each token's text by itself.
    clustered : (T,) bool, which tokens are assigned to regions (BOS is not).
    layers : the L layers, ascending.
    region : (L, T) int64, -1 where not clustered.
    distance : (L, T) float32 cosine distance to the region's exemplar, nan where not clustered.
    thresholds : (L,) float32, each layer's θ.
    """

    tokens: Tensor
    texts: list[str]
    clustered: Tensor
    layers: tuple[int, ...]
    region: Tensor
    distance: Tensor
    thresholds: Tensor

    @property
    def within(self) -> Tensor:
        """(L, T) bool: the distance is within θ, so a build would have joined it to a region."""
        return self.distance <= self.thresholds[:, None]

    def named(self, names: Mapping[int, Sequence[str]]) -> list[list[str]]:
        """The names of the regions, L lists of T strings, "" where not clustered.

        names : {layer: K names of its dictionary's regions}, `Regions.names`, say.

        Raises ValueError for a layer without names, or with too few.
        """
        found = []
        for layer, row in zip(self.layers, self.region.tolist(), strict=True):
            if layer not in names or len(names[layer]) <= max(row):
                raise ValueError(
                    f"the names given do not cover the regions of layer {layer}; "
                    "give {layer: one name for every region of its dictionary}"
                )
            found.append([names[layer][k] if k >= 0 else "" for k in row])
        return found

    def table(self, names: Mapping[int, Sequence[str]] | None = None) -> pd.DataFrame:
        """One row per token; region, distance and within θ as columns under every layer.

        Where a token is not clustered its cells are missing. With `names`, as for `named`, the
        region's name is a column too.
        """
        said = None if names is None else self.named(names)
        index = pd.Index(range(len(self.tokens)), name="position")
        columns: dict[tuple[str, str], object] = {("token", ""): self.texts}
        clustered = self.clustered.numpy()
        for i, layer in enumerate(self.layers):
            name = f"layer {layer}"
            region = pd.Series(self.region[i].numpy(), index, dtype="Int64")
            within = pd.Series(self.within[i].numpy(), index, dtype="boolean")
            columns[name, "region"] = region.where(clustered)
            if said is not None:
                columns[name, "name"] = said[i]
            columns[name, "distance"] = self.distance[i].numpy()
            columns[name, "within θ"] = within.where(clustered)
        return pd.DataFrame(columns, index=index)


def trace_prompt(
    model: LanguageModel,
    dictionaries: Mapping[int, Dictionary],
    prompt: str | list[dict],
    *,
    context: int = 128,
) -> Trace:
    """The regions that a prompt's tokens fall into at several layers.

    Parameters
    ----------
    model : the model whose activations the dictionaries partition.
    dictionaries : {layer: Dictionary}.
    prompt : a text, or a chat [{"role": ..., "content": ...}, ...].
    context : the most tokens, BOS included; give the context of the dictionaries' build.

    Raises
    ------
    TypeError : an argument of the wrong type.
    ValueError : an empty prompt, one longer than the context, no dictionary, or dictionaries of
        another dimension than the model's.
    """
    check_model(model)
    check_document(prompt, "the prompt", kinds="a string or a chat")
    context = checks.whole("context", context, 2)
    if not isinstance(dictionaries, Mapping):
        raise TypeError(
            f"dictionaries must be {{layer: dictionary}}, got {type(dictionaries).__name__}"
        )
    if not dictionaries:
        raise ValueError("no dictionary given; pass {layer: dictionary} with one layer or more")
    dictionaries = {
        checks.whole("a layer", layer, 0, model.n_layers - 1): dictionary
        for layer, dictionary in dictionaries.items()
    }
    for layer, dictionary in dictionaries.items():
        if not isinstance(dictionary, Dictionary):
            raise TypeError(f"layer {layer} has no Dictionary but a {type(dictionary).__name__}")
        if len(dictionary.centre) != model.d_model:
            raise ValueError(
                f"the dictionary of layer {layer} has {len(dictionary.centre)} dimensions and "
                f"{model.name} has {model.d_model}: it was built with another model"
            )
    stream = ActivationStream(model, [prompt], sorted(dictionaries), context=context)
    windows = list(stream.windows())
    if not windows:
        raise ValueError("the prompt is empty: there is no token to trace")
    if len(windows) > 1:
        repeated = len(windows) - 1 if model.tokenizer.bos_token_id is not None else 0
        n = sum(len(w.tokens) for w in windows) - repeated
        raise ValueError(
            f"the prompt has {n} tokens, BOS included, and the context is {context}: shorten it"
        )
    (chunk,) = stream.chunks()
    region = torch.full((len(stream.layers), len(chunk.tokens)), -1)
    distance = torch.full(region.shape, torch.nan)
    for i, layer in enumerate(stream.layers):
        at, far = dictionaries[layer].assign(chunk.activations[layer])
        region[i, chunk.clustered], distance[i, chunk.clustered] = at.cpu(), far.cpu()
    return Trace(
        tokens=chunk.tokens,
        texts=token_texts(model.tokenizer, chunk.tokens),
        clustered=chunk.clustered,
        layers=stream.layers,
        region=region,
        distance=distance,
        thresholds=torch.tensor([dictionaries[layer].threshold for layer in stream.layers]),
    )
