"""What reads an activation: the nearest region of a dictionary, or the latents of an SAE.

All have the same K. A reader turns activations into pairs (row, region): one a row for
dictionaries, one or more for an SAE.

Does not know: kinds, streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from epkit.controls import (
    DRAWN,
    EP,
    ITDA,
    KMEANS,
    REFINED,
    itda_dictionary,
    kmeans_dictionary,
    random_dictionary,
)
from epkit.dictionary import Dictionary
from epkit.share.sae import SparseAutoencoder, train_topk_sae

RANDOM = DRAWN
SAE_LARGEST, SAE_ACTIVE = "TopK SAE, largest latent", "TopK SAE, active latents"
METHODS = (EP, REFINED, RANDOM, KMEANS, ITDA, SAE_LARGEST, SAE_ACTIVE)

Pairs = tuple[Tensor, Tensor]
Reader = Callable[[Tensor], Pairs]

ROWS = 2048


def dictionaries(
    ep: Dictionary, x: Tensor, *, rounds: int, seed: int
) -> Iterator[tuple[str, Dictionary]]:
    """EP and its controls with as many regions, of the same stream, one after the other."""
    yield EP, ep
    yield REFINED, ep.refine(x, rounds=rounds)
    yield RANDOM, random_dictionary(ep, x, seed=seed)
    yield KMEANS, kmeans_dictionary(ep, x, seed=seed, rounds=rounds)
    yield ITDA, itda_dictionary(ep, x)


def region_reader(d: Dictionary) -> Reader:
    """The nearest region of every row."""

    def read(x: Tensor) -> Pairs:
        region = d.assign(x)[0].cpu()
        return torch.arange(len(region)), region

    return read


def sae_readers(
    x: Tensor, n_latents: int, *, k: int, epochs: int, seed: int
) -> Iterator[tuple[str, Reader]]:
    """One TopK SAE of x, read in two ways: the largest latent of a row, and all active ones."""
    sae = train_topk_sae(x, n_latents, min(k, n_latents), epochs=epochs, seed=seed)
    yield SAE_LARGEST, lambda rows: _active(sae, rows, 1)
    yield SAE_ACTIVE, lambda rows: _active(sae, rows, sae.k)


def _active(sae: SparseAutoencoder, x: Tensor, k: int) -> Pairs:
    """The k largest latents of every row that are above zero."""
    rows, latents = [], []
    for start in range(0, len(x), ROWS):
        top = sae.pre_activations(x[start : start + ROWS]).topk(k, dim=1)
        row, place = (top.values > 0).nonzero(as_tuple=True)
        rows.append(row.cpu() + start)
        latents.append(top.indices[row, place].cpu())
    return torch.cat(rows), torch.cat(latents)
