"""Activations of made-up kinds: one far from the web's, two that are like it."""

import pytest
import torch
from conftest import mixture as cloud

from epkit.studies.rare_kinds.kinds import NO_KIND, Kind

POOL = cloud(2500, 16)


def made_kind(x, per_document=10):
    cut = len(x) * 6 // 10
    return Kind(x[:cut], torch.arange(cut) // per_document, x[cut:])


@pytest.fixture
def web():
    """(1300, 16) activations and their documents of 20."""
    return POOL[:1300], torch.arange(1300) // 20


@pytest.fixture
def heldout():
    """(150, 16) activations like the web's."""
    return POOL[1300:1450]


@pytest.fixture
def kinds():
    far = torch.zeros(16)
    far[3] = 40
    return {
        "far": made_kind(POOL[1500:1600] + far),
        "near": made_kind(POOL[1600:1700]),
        NO_KIND: made_kind(POOL[1700:1800]),
    }
