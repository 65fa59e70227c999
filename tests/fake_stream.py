"""A stream of given activations with made-up tokens, for tests that need no model."""

import hashlib
from collections.abc import Iterator

import torch

from epkit.lm.chunks import Chunk

WINDOW = 11
"""Tokens per window; the first is not clustered."""


class FakeStream:
    """`ActivationStream`'s face over {layer: (N, D)} tensors; `stop_after` chunks it breaks off."""

    def __init__(self, activations: dict[int, torch.Tensor], windows_per_chunk: int = 9):
        self.activations = activations
        self.layers = tuple(activations)
        self.windows_per_chunk = windows_per_chunk
        digest = hashlib.sha256(str(windows_per_chunk).encode())
        for x in activations.values():
            digest.update(x.numpy())
        self.fingerprint = f"fake-{digest.hexdigest()}"
        self.about = {"model": "fake"}
        self.stop_after: int | None = None

    def chunks(self, start: int = 0) -> Iterator[Chunk]:
        n = len(next(iter(self.activations.values())))
        windows = -(-n // (WINDOW - 1))
        for done, first in enumerate(range(start, windows, self.windows_per_chunk)):
            if done == self.stop_after:
                raise KeyboardInterrupt
            last = min(first + self.windows_per_chunk, windows)
            yield self._chunk(first, last, n)

    def _chunk(self, first: int, last: int, n: int) -> Chunk:
        rows = slice(first * (WINDOW - 1), min(last * (WINDOW - 1), n))
        length = rows.stop - rows.start
        sizes = [min(WINDOW - 1, length - i) + 1 for i in range(0, length, WINDOW - 1)]
        clustered = torch.cat([torch.arange(size) > 0 for size in sizes])
        tokens = torch.zeros(len(clustered), dtype=torch.int32)
        tokens[clustered] = torch.arange(rows.start, rows.stop, dtype=torch.int32) + 1
        return Chunk(
            tokens=tokens,
            lengths=torch.tensor(sizes, dtype=torch.int32),
            documents=torch.arange(first, last, dtype=torch.int32),
            clustered=clustered,
            activations={layer: x[rows] for layer, x in self.activations.items()},
            cursor=last,
        )


def same(a, b):
    """Whether two atlases are equal to the bit, members included."""
    assert list(a) == list(b)
    for key in a:
        for one, two in ((a[key], b[key]), (a[key].members, b[key].members)):
            for name, value in vars(one).items():
                other = getattr(two, name)
                if isinstance(value, torch.Tensor):
                    assert value.numpy().tobytes() == other.numpy().tobytes(), (key, name)
                elif name == "metadata":
                    assert value == other
    return True
