"""A made-up pair of checkpoints that read running text, prompts and answers, one taught a habit."""

from types import SimpleNamespace

import pytest
import torch
from conftest import mixture

import epkit
from epkit.studies.base_vs_tuned.membership import memberships
from epkit.studies.base_vs_tuned.rows import REFUSED, placed_rows

DIM, N_PROMPTS, BACK = 12, 24, 2


class Words:
    """A tokenizer whose token i reads "wi"."""

    def decode(self, ids):
        return "".join(f"w{i}" for i in torch.as_tensor(ids).tolist())


def made(lengths, skipped=1):
    """A set of windows of so many tokens, a document each, whose first tokens do not count."""
    lengths = torch.tensor(lengths, dtype=torch.int32)
    clustered = torch.cat([torch.arange(n) >= skipped for n in lengths.tolist()])
    tokens = torch.cat([torch.arange(n, dtype=torch.int32) for n in lengths.tolist()])
    return SimpleNamespace(
        tokens=tokens, lengths=lengths, clustered=clustered, n=int(clustered.sum()),
        documents=torch.arange(len(lengths), dtype=torch.int32),
    )  # fmt: skip


@pytest.fixture
def tokenizer():
    return Words()


@pytest.fixture
def refused():
    """The first half of the prompts, all but one."""
    return (torch.arange(N_PROMPTS) > 0) & (torch.arange(N_PROMPTS) <= N_PROMPTS // 2)


@pytest.fixture
def what(refused):
    web = made([21] * 20)
    asked = made([6 + i % 4 for i in range(N_PROMPTS)])
    answered = made([9 + i % 3 for i in range(N_PROMPTS // 2)])
    return placed_rows(web, asked, answered, refused, BACK)


@pytest.fixture
def pair(what):
    """(base, tuned) (n, DIM): in the base the refused final tokens are a cluster of their own; the
    tuned checkpoint moved every activation a little and those far."""
    n = len(what.tokens)
    base = mixture(n, DIM, seed=1, clusters=6)
    at = what.at(REFUSED)
    generator = torch.Generator().manual_seed(7)
    noise = 0.15 * torch.randn(base.shape, generator=generator)
    base[at] = 4 * torch.eye(DIM)[0] + noise[at] / 3
    tuned = base + noise
    tuned[at] += 4 * torch.eye(DIM)[1]
    return base, tuned


@pytest.fixture
def member(what, pair):
    """How to make the memberships of the pair on a device."""

    def make(device="cpu"):
        base, tuned = (x.to(device) for x in pair)
        d = epkit.partition(base[what.half.to(device) == 0], [10], order=0, device=device)[10]
        return memberships(d, base, tuned)

    return make
