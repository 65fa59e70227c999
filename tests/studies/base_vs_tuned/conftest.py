"""A made-up pair of checkpoints: activations of running text and of prompts, and what they give."""

from types import SimpleNamespace

import pytest
import torch
from conftest import mixture

from epkit.studies.base_vs_tuned.dictionaries import prompt_dictionaries, web_dictionaries
from epkit.studies.base_vs_tuned.final_tokens import FINAL
from epkit.studies.base_vs_tuned.tokens import prompt_places

DIM = 12
N_PROMPTS = 24


def noise(x: torch.Tensor, seed: int = 7) -> torch.Tensor:
    return 0.15 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))


class Words:
    """A tokenizer whose token i reads "wi"."""

    def decode(self, ids):
        return "".join(f"w{i}" for i in torch.as_tensor(ids).tolist())


@pytest.fixture
def tokenizer():
    return Words()


@pytest.fixture
def web():
    """{"base", "tuned", "fresh"} (N, D): the tuned checkpoint moved every activation a little."""
    base = mixture(240, DIM)
    return {"base": base, "tuned": base + noise(base), "fresh": mixture(200, DIM, seed=3)}


@pytest.fixture
def web_sets(web):
    """How to make {percentile: sets} of the running text on a device."""

    def make(device="cpu", percentiles=(4, 10), orders=range(3)):
        x = {name: y.to(device) for name, y in web.items()}
        return web_dictionaries(
            x["base"], x["tuned"], x["fresh"], percentiles, orders, n_calibration=150
        )

    return make


@pytest.fixture
def two_orders(web_sets):
    """Sets of the running text in two orders."""
    return web_sets(percentiles=[10], orders=[0, 1])[10]


@pytest.fixture
def prompt_set():
    """Prompts of 7 to 10 tokens: a start that is no activation, words, and 3 that end all."""
    lengths = torch.tensor([7 + i % 4 for i in range(N_PROMPTS)], dtype=torch.int32)
    tokens, clustered = [], []
    for i, n in enumerate(lengths.tolist()):
        tokens += [0, *(10 + (i + j) % 5 for j in range(n - 4)), 1, 2, 3]
        clustered += [False] + [True] * (n - 1)
    return SimpleNamespace(
        tokens=torch.tensor(tokens, dtype=torch.int32), lengths=lengths,
        clustered=torch.tensor(clustered),
    )  # fmt: skip


@pytest.fixture
def prompts(prompt_set):
    """The first half of the prompts is harmful."""
    return prompt_places(prompt_set, torch.arange(N_PROMPTS) < N_PROMPTS // 2)


@pytest.fixture
def refused():
    """All harmful prompts but one, and a benign one."""
    return (torch.arange(N_PROMPTS) > 0) & (torch.arange(N_PROMPTS) <= N_PROMPTS // 2)


@pytest.fixture
def chat(prompts, refused):
    """{"base", "tuned"} (n, D): the tuned checkpoint moved the refused final tokens far off."""
    n = len(prompts.prompt)
    base = mixture(n, DIM, seed=1, clusters=6)
    far_off = mixture(1, DIM, seed=9) + 3 * torch.eye(DIM)[0]
    tuned = base + noise(base)
    rows = prompts.is_final.nonzero()[refused, 0]
    tuned[rows] = far_off + noise(base[rows]) / 3
    return {"base": base, "tuned": tuned}


@pytest.fixture
def on_prompts(chat, prompts):
    """How to make {(layer 5, kind): sets} of the prompts on a device."""

    def make(device="cpu", percentiles=(4, 10), orders=range(3)):
        x = {name: y.to(device) for name, y in chat.items()}
        found = {(5, p): sets for p, sets in prompt_dictionaries(x, percentiles, orders).items()}
        x = {name: y[prompts.is_final] for name, y in x.items()}
        return found | {(5, FINAL): prompt_dictionaries(x, [40], orders)[40]}

    return make


@pytest.fixture
def few_prompts(on_prompts):
    """{(layer 5, kind): sets} of one percentile and two orders."""
    return on_prompts(percentiles=[10], orders=[0, 1])


@pytest.fixture
def far_prompts(few_prompts, far):
    """`few_prompts` with its dictionaries on the device that is not there."""
    return {
        key: {name: [r._replace(dictionary=r.dictionary.to(far)) for r in readings]
              for name, readings in sets.items()}
        for key, sets in few_prompts.items()
    }  # fmt: skip
