"""Shared test data: seeded streams with the shape of activations, and the golden streams."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from far_device import far  # noqa: F401  (a fixture)

# Tiny products: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared"
GOLDEN = {
    "mixture48": Path(__file__).resolve().parent / "golden",
    "smollm2_l20": SHARED / "golden",
}


def mixture(n: int, dim: int, seed: int = 0, clusters: int = 12, spread: float = 0.35):
    """(n, dim) float32: a seeded mixture around an off-origin centre, norms log-normal."""
    rng = np.random.default_rng(seed)
    anchors = rng.normal(size=(clusters, dim))
    x = anchors[rng.integers(clusters, size=n)] + spread * rng.normal(size=(n, dim))
    x = x * rng.lognormal(0, 0.2, size=(n, 1)) + 2 * np.ones(dim)
    return torch.tensor(x, dtype=torch.float32)


@pytest.fixture
def read_only():
    """A block in which nothing below a folder can be written, by root neither."""

    @contextlib.contextmanager
    def block(folder: Path):
        root = os.geteuid() == 0
        modes = {x: x.stat().st_mode for x in [folder, *folder.rglob("*")]}
        for x in modes:
            x.chmod(0o555 if x.is_dir() else 0o444)
        passed = {x: x.stat().st_mode for x in folder.parents if root and not x.stat().st_mode & 1}
        for x, mode in passed.items():  # a folder for tests is root's alone
            x.chmod(mode | 0o011)
        try:
            if root:
                os.seteuid(65534)
            yield
        finally:
            if root:
                os.seteuid(0)
            for x, mode in (passed | modes).items():
                x.chmod(mode)

    return block


@pytest.fixture
def stream() -> torch.Tensor:
    return mixture(1500, 24)


@pytest.fixture(params=GOLDEN)
def golden(request):
    """(arrays, description) of one golden stream."""
    arrays = GOLDEN[request.param] / f"{request.param}.npz"
    if request.param != "mixture48" and not arrays.is_file():
        pytest.skip(f"the golden stream {request.param} is not on this machine")
    about = json.loads(arrays.with_suffix(".json").read_text())
    with np.load(arrays, allow_pickle=False) as file:
        return dict(file), about
