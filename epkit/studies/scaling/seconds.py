"""Time of a build by many workers, from rates: a model on paper, epoch by epoch.

An epoch takes, one after the other: the slowest worker's forward pass and products, the driver's
link for misses, founders and sums, the leader rule over the misses, the addition of the sums, and a
fixed time for the calls. Nothing overlaps, as in `epkit.scale`. Beyond the measured stream K grows
by a fitted power of its length, or not at all: two cases between which a real stream should lie.

Two levels: groups of about √W workers have a driver each, which adds up the sums of its group; the
drivers find the founders together in rounds (the lexicographically first independent set has an
exact parallel form), so that misses, sums and founders pass √W links at once.

Does not know: how rates were measured or assumed.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from epkit.scale.epochs import FIRST, next_length
from epkit.studies.scaling.passes import StreamPass
from epkit.studies.scaling.traffic import burst, row_bytes, sum_bytes

TERMS = ("forward", "products", "link", "rule", "adding", "calls")
BLOCK = 1024
"""Rows of the driver's block: a miss is compared with the founders, and with half of its block."""
STEP = 0.01
"""Epochs are taken together while the stream grows by this share."""


@dataclass(frozen=True)
class Rates:
    """Of a worker: `forward` activations a second (inf for arrays) and `product` operations a
    second. Of the driver: `rule` operations a second, `link` and `adding` bytes a second; `call`
    seconds an epoch; `decided` misses a second, beside their products. `dealt` rows are dealt as
    one."""

    forward: float
    product: float
    rule: float
    link: float
    adding: float
    call: float
    decided: float = np.inf
    dealt: int = 1


@dataclass(frozen=True)
class Growth:
    """K after n activations, a · n^b up to `end`; distinct regions among r rows, c · r^e; misses
    of an epoch, `burst` times what the rate of founding foretells (`traffic.burst`)."""

    a: float
    b: float
    c: float
    e: float
    burst: float = 1.0
    end: float = field(default=np.inf)

    @classmethod
    def fitted(cls, made: StreamPass, points: int = 12) -> "Growth":
        """Least squares of logarithms over the last seven eighths of a pass."""
        n = np.geomspace(len(made) / 8, len(made), points).astype(int)
        b, a = np.polyfit(np.log(n), np.log([made.regions_before(x) for x in n]), 1)
        rows = np.unique(np.geomspace(len(made) / 64, len(made) / 2, points).astype(int))
        seen = [len(np.unique(made.region[-r:])) for r in rows]
        e, c = np.polyfit(np.log(rows), np.log(seen), 1)
        return cls(float(np.exp(a)), float(b), float(np.exp(c)), float(e), max(1.0, burst(made)))

    def stopped(self, n: float) -> "Growth":
        """The same growth, which ends at n."""
        return replace(self, end=n)

    def regions(self, n: float) -> float:
        return min(self.a * min(n, self.end) ** self.b, n)

    def rate(self, n: float) -> float:
        """Of rows after n, the share that the exemplars of the first n miss."""
        if n >= self.end:
            return 0.0
        return min(1.0, self.burst * self.a * self.b * max(n, 1.0) ** (self.b - 1))

    def touched(self, rows: float, known: float) -> float:
        return min(self.c * rows**self.e, rows, known)


def epoch_seconds(
    rows: float, misses: float, founders: float, regions: float, touched: float,
    workers: int, dim: int, rates: Rates, *, groups: int = 1, rounds: int = 0,
) -> dict[str, float]:  # fmt: skip
    """Seconds of an epoch by `TERMS`. touched : regions that a worker returns sums of, on average.

    groups : drivers that share the work; rounds : that they need to find the founders together.
    """
    parts = np.ceil(rows / rates.dealt)
    own = np.ceil(parts / workers) * rates.dealt if rates.dealt > 1 else rows / workers
    busy = min(workers, parts)
    spread = workers if groups == 1 else workers / groups + groups
    tables = busy if groups == 1 else min(busy, spread)
    moved = misses * row_bytes(dim) + spread * founders * row_bytes(dim)
    sums = tables * touched * sum_bytes(dim)
    compared = misses * (founders / 2 + min(misses, BLOCK) / 2)
    return {
        "forward": own / rates.forward,
        "products": own * 2 * dim * (regions + founders) / rates.product,
        "link": (moved + sums) / rates.link,
        "rule": (compared * 2 * dim / rates.rule + misses / rates.decided) / groups,
        "adding": sums / rates.adding,
        "calls": rates.call * (1 + rounds),
    }


def project(
    total: float, workers: int, growth: Growth, dim: int, rates: Rates,
    *, groups: int = 1, rounds: int = 0,
) -> dict[str, float]:  # fmt: skip
    """Seconds of a build of `total` activations by `TERMS`, and `regions`, `epochs`."""
    n, length, epochs = 0.0, float(FIRST), 0.0
    sums = dict.fromkeys(TERMS, 0.0)
    while n < total:
        rows = min(np.ceil(length / rates.dealt) * rates.dealt, total - n)
        many = max(1.0, min(np.floor(STEP * n / rows), np.floor((total - n) / rows)))
        known = growth.regions(n)
        founders = growth.regions(n + rows) - known
        misses = max(founders, rows * growth.rate(n))
        touched = growth.touched(rows / min(workers, np.ceil(rows / rates.dealt)), known + founders)
        one = epoch_seconds(
            rows, misses, founders, known, touched, workers, dim, rates,
            groups=groups, rounds=rounds,
        )  # fmt: skip
        for term, value in one.items():
            sums[term] += many * value
        n, epochs = n + many * rows, epochs + many
        length = next_length(int(rows), int(misses / groups), workers, *sides(one))
    return sums | {"regions": growth.regions(total), "epochs": epochs}


def sides(found: dict[str, float]) -> tuple[float, float]:
    """Seconds of the driver, and those in which it waits for workers and the link."""
    driver = found["rule"] + found["adding"]
    return driver, sum(found[term] for term in TERMS) - driver


def seconds_of(found: dict[str, float]) -> float:
    return sum(found[term] for term in TERMS)
