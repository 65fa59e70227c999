"""Streams of several domains at equal length, and which of their rows every build reads.

1. `pool_streams` joins the first n activations of every domain, one domain behind the other.
2. `calibration_rows` and `plan_builds` choose rows of the pool: a sample to calibrate on; every
   domain in several orders of its documents and in disjoint sets of them; and the same of the
   mixed stream of several domains, which is what K would be if domain did not matter.

Does not know: clustering, dictionaries, what is measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit.checks import compute_device
from epkit.lm.chunks import places
from epkit.lm.store import ActivationSet
from epkit.studies.saturation.orders import document_blocks, document_orders, revisited

MIXED = "mixed"
"""The name of the stream that pools all domains."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The first n activations of every domain, one domain behind the other: N = n × domains rows.

    sets : {domain: its activations on disk, at least n}.
    token, window, document : (N,) int64 on the CPU; windows and documents are numbered apart.
    """

    sets: Mapping[str, ActivationSet]
    n: int
    token: Tensor
    window: Tensor
    document: Tensor

    @property
    def domains(self) -> list[str]:
        return list(self.sets)

    def rows(self, domain: str) -> Tensor:
        """(n,) int64 rows of a domain, in the order of its stream."""
        return torch.arange(self.n) + self.domains.index(domain) * self.n

    def activations(self, layer: int) -> Tensor:
        """(N, D) float32 of a layer, on CUDA where there is one."""
        device = compute_device(None)
        return torch.cat([s.layer(layer)[: self.n].to(device).float() for s in self.sets.values()])


def pool_streams(sets: Mapping[str, ActivationSet], n: int) -> Pool:
    """A pool of n activations of each domain; where one holds fewer, its number counts for all."""
    n = min(n, *(s.n for s in sets.values()))
    parts = [[part[:n] for part in places(s)] for s in sets.values()]
    token, *numbers = zip(*parts, strict=True)
    apart = [
        torch.cat([part + k * (1 + max(int(x.max()) for x in of)) for k, part in enumerate(of)])
        for of in numbers
    ]
    return Pool(dict(sets), n, torch.cat(token), *apart)


@dataclass(frozen=True, eq=False)
class Plan:
    """Which rows of a pool every build reads, by domain and "mixed".

    orders : {name: rows (n,) of each order}, whole documents permuted; a domain's first is its own.
    blocks : {name: rows (n_block,) of each set of documents}, disjoint.
    repeats : {(name, order): (n,) bool, what repeats an earlier window}.
    """

    orders: dict[str, list[Tensor]]
    blocks: dict[str, list[Tensor]]
    repeats: dict[tuple[str, int], Tensor]


def plan_builds(pool: Pool, *, n_orders: int, n_blocks: int, n_block: int, seed: int = 0) -> Plan:
    """Orders and disjoint sets of documents of every domain, and of several mixed, at length n.

    Raises ValueError where the sets of documents do not fit into a stream (`document_blocks`).
    """
    orders, blocks = {}, {}
    for name in pool.domains:
        rows = pool.rows(name)
        document = pool.document[rows]
        orders[name] = [rows[order] for order in document_orders(document, n_orders, seed=seed)]
        blocks[name] = [rows[block] for block in document_blocks(document, n_blocks, n_block)]
    if len(pool.domains) > 1:
        orders[MIXED], blocks[MIXED] = _mixed(pool, n_orders, n_blocks, n_block, seed + 1)
    repeats = {
        (name, i): revisited(pool.token[order], pool.window[order])
        for name, many in orders.items()
        for i, order in enumerate(many)
    }
    return Plan(orders, blocks, repeats)


def _mixed(
    pool: Pool, n_orders: int, n_blocks: int, n_block: int, seed: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Orders and sets of documents of all domains together."""
    # The pool's own order is not mixed; one order more is what the sets of documents are cut from.
    *mixed, apart = document_orders(pool.document, n_orders + 2, seed=seed)[1:]
    cut = document_blocks(pool.document[apart], n_blocks, n_block)
    return [order[: pool.n] for order in mixed], [apart[block] for block in cut]


def calibration_rows(pool: Pool, n_sample: int, *, seed: int = 0) -> Tensor:
    """Rows to calibrate on, `n_sample` of every domain: int64, where `Pool.activations` come."""
    rng = np.random.default_rng(seed)
    drawn = [pool.rows(name)[np.sort(rng.permutation(pool.n)[:n_sample])] for name in pool.domains]
    return torch.cat(drawn).to(compute_device(None))


def stream_facts(pool: Pool, plan: Plan, special: Sequence[int]) -> pd.DataFrame:
    """How diverse the streams are, one row a domain: sizes, distinct tokens, repeated text.

    special : token ids that stand for no text, such as a chat template's.
    """
    found = {}
    for name in pool.domains:
        rows, again = pool.rows(name), plan.repeats[name, 0].double()
        token = pool.token[rows]
        found[name] = {
            "activations": pool.n,
            "documents": len(pool.document[rows].unique()),
            "windows": len(pool.window[rows].unique()),
            "distinct tokens": len(token.unique()),
            "repeated": again.mean().item(),
            "repeated, second half": again[pool.n // 2 :].mean().item(),
            "special tokens": torch.isin(token, torch.tensor(special)).double().mean().item(),
        }
    return pd.DataFrame(found).T
