"""Three small domains on no disk, pooled, with their builds planned."""

from types import SimpleNamespace

import pytest
import torch
from conftest import mixture

from epkit.studies.saturation.pool import plan_builds, pool_streams

DOMAINS = ["web", "maths", "code"]


def fake_set(n: int, seed: int) -> SimpleNamespace:
    """What a pool reads of an `ActivationSet`: windows of 11 tokens, documents of two windows."""
    windows = -(-n // 10)
    lengths = torch.full((windows,), 11, dtype=torch.int32)
    lengths[-1] = 1 + n - 10 * (windows - 1)
    clustered = torch.cat([torch.arange(int(length)) > 0 for length in lengths])
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(90, (len(clustered),), generator=generator, dtype=torch.int32)
    x = mixture(n, 12, seed=seed)
    documents = torch.arange(windows, dtype=torch.int32) // 2
    return SimpleNamespace(
        n=n, lengths=lengths, clustered=clustered, tokens=tokens, documents=documents,
        layer=lambda layer: (x + layer).half(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def sets():
    sizes = {"web": 500, "maths": 400, "code": 430}
    return {name: fake_set(n, seed) for seed, (name, n) in enumerate(sizes.items())}


@pytest.fixture(scope="module")
def pool(sets):
    return pool_streams(sets, 450)


@pytest.fixture(scope="module")
def plan(pool):
    return plan_builds(pool, n_orders=3, n_blocks=3, n_block=70, seed=1)
