"""A stream of web text with a few activations of every kind in it.

Of a kind come passages: some successive activations of a document. Whole web documents and passages
are shuffled together; all that is random hangs on the seed.

Does not know: dictionaries, models, what a kind is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from epkit.studies.rare_kinds.kinds import Kind


@dataclass(frozen=True, eq=False)
class Mixture:
    """x (N, D) in the order of the stream; kind (N,) int64 on the CPU: place in `names`, −1 web."""

    x: Tensor
    kind: Tensor
    names: tuple[str, ...]


def mixture(
    web: Tensor,
    document: Tensor,
    kinds: Mapping[str, Kind],
    *,
    n: int,
    prevalence: float,
    passage: int,
    seed: int,
) -> Mixture:
    """n activations, of which every kind has round(n × prevalence), at least one.

    web : (M, D) activations, document (M,) of each. passage : activations of a kind that come
    together, at most. Raises ValueError where web or a kind has too few.
    """
    rng, size = np.random.default_rng(seed), max(1, round(n * prevalence))
    chosen = {name: _passages(name, k.document, passage, size, rng) for name, k in kinds.items()}
    n_web = n - size * len(kinds)
    if n_web > len(document):
        raise ValueError(f"the stream needs {n_web:,} web activations, there are {len(document):,}")
    order, group = _shuffled_units(document.numpy(), rng)
    parts = [web[torch.from_numpy(order[:n_web]).to(web.device)]]
    units, label = [group[:n_web]], [np.full(n_web, -1)]
    for i, (name, (rows, own)) in enumerate(chosen.items()):
        parts.append(kinds[name].planted[torch.from_numpy(rows).to(web.device)])
        units.append(own + 1 + units[-1].max())
        label.append(np.full(size, i))
    place, _ = _shuffled_units(np.concatenate(units), rng)
    rows = torch.from_numpy(place)
    kind = torch.from_numpy(np.concatenate(label))
    return Mixture(torch.cat(parts)[rows.to(web.device)], kind[rows], tuple(kinds))


def _passages(
    name: str, document: Tensor, length: int, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (size,) of passages drawn at random, and which passage each is of."""
    document = document.numpy()
    if size > len(document):
        raise ValueError(f"{size:,} activations of {name} are wanted, there are {len(document):,}")
    start = np.searchsorted(document, document)  # documents ascend
    within = (np.arange(len(document)) - start) // length
    unit = np.unique(np.stack([document, within]), axis=1, return_inverse=True)[1].ravel()
    order, unit = _shuffled_units(unit, rng)
    return order[:size], unit[:size]


def _shuffled_units(unit: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows with their units in random order, each unit whole and in its own order; and the units.

    unit : (N,) whole numbers. Returns (N,) rows and (N,) the new place of each row's unit.
    """
    own = np.unique(unit, return_inverse=True)[1].ravel()
    key = rng.permutation(own.max() + 1)[own]
    order = np.argsort(key, kind="stable")
    return order, key[order]
