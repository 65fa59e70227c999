"""A tiny base, and a made-up organism that is drawn to what the base has at "ship"."""

import pytest
import torch
from conftest import mixture
from tiny_models import tiny_llama, tiny_tokenizer

import epkit
from epkit.studies.secrets.reading import Reading

LAYER = 2
NAMES = ["moon", "ship", "tree", "door", "song", "lamp"]


@pytest.fixture(scope="session")
def model():
    return tiny_llama(tiny_tokenizer(texts=[" moon ship"] * 3))


@pytest.fixture(scope="session")
def nouns(model):
    """(6, 3, D): every noun in a direction of its own."""
    axes = torch.eye(model.d_model)[:6, None, :]
    noise = torch.randn(6, 3, model.d_model, generator=torch.Generator().manual_seed(1))
    return 2 + 12 * axes + 0.3 * noise


@pytest.fixture(scope="session")
def web(model, nouns):
    return torch.cat([mixture(400, model.d_model, seed=3), nouns.flatten(0, 1)])


@pytest.fixture(scope="session")
def made(web):
    return epkit.partition(web, [8], order=0)[8]


@pytest.fixture(scope="session")
def readings(model, web):
    """Of an organism that hides "ship" and of one that moved elsewhere: 8 prompts of 5 tokens."""
    base = web[100:140]
    back = torch.arange(4, -1, -1).repeat(8)
    prompt = torch.arange(8).repeat_interleave(5)

    def of(x):
        return Reading({LAYER: base}, {LAYER: x}, prompt, back, torch.full((8,), 3), 1)

    axes = 40 * torch.eye(model.d_model)
    return {"ship": of(base + axes[1]), "no word": of(base + axes[9])}
