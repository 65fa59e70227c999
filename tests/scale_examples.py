"""Workers that are plain objects, and what a clustering by them should be."""

import torch

from epkit.clustering import LeaderClustering
from epkit.scale.shard import Shard


class PlainCrew:
    """Shards in this process; before a step some are lost and made again, if `losing`."""

    seed = None

    def __init__(self, parts, size, losing=None):
        self.size, self.losing, self.parts = size, losing, parts
        self.speeds = [1.0] * size
        self.shards = [self.made() for _ in range(size)]

    def made(self):
        return Shard(
            {layer: part.centre for (layer, _), part in self.parts.items()},
            {key: part.threshold for key, part in self.parts.items()},
            {key: part.exemplars.clone() for key, part in self.parts.items()},
            "cpu",
            self.seed,
        )

    def lose(self):
        lost = [i for i in range(self.size) if self.losing and self.losing.random() < 0.3]
        for i in lost:
            self.shards[i] = self.made()
        return lost

    def find(self, starts, parts):
        self.given = list(zip(starts, parts, strict=True))
        if self.losing:  # machines that are now fast and now slow
            self.speeds = [self.losing.choice([1, 2, 50]) for _ in range(self.size)]
        self.lose()
        return [shard.find(*one) for shard, one in zip(self.shards, self.given, strict=True)]

    def settle(self, founders, end):
        for i in self.lose():
            self.shards[i].find(*self.given[i])
        return [shard.settle(founders, end) for shard in self.shards]


class PlainBuildCrew(PlainCrew):
    """`RayCrew`'s face for a build, in this process."""

    def __init__(self, parts, size, *, gpu, seed, reader, losing=None):
        self.seed, self.read = seed, reader()
        super().__init__(parts, size, losing)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        pass

    def find(self, starts, parts):
        return super().find(starts, [self.read(part) for part in parts])


def same(one, two):
    for name, value in vars(one).items():
        other = getattr(two, name)
        if isinstance(value, torch.Tensor):
            assert value.numpy().tobytes() == other.numpy().tobytes(), name
            assert value.dtype == other.dtype
        else:
            assert value == other, name
    return True


def cut(x, rng):
    """A stream in batches of any size, empty ones included."""
    while len(x):
        n = rng.randrange(0, 200)
        yield x[:n]
        x = x[n:]


def expected(x, centre, threshold, **metadata):
    return LeaderClustering(centre, threshold, "cpu").partial_fit(x).dictionary(**metadata)
