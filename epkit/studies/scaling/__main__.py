"""Time workers on this machine: `python -m epkit.studies.scaling`, into `data/results/`.

Writes `scale_workers.csv` (clustering) and `scale_builds.csv` (builds, forward pass included),
seconds by the clock on the wall. Takes some minutes with the activations cached.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch

import epkit
from epkit.scale.connection import connected
from epkit.studies.scaling.workers import record


def main() -> None:
    """Measure and write; options as named."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--source", default="wheel")
    parser.add_argument("--layer", type=int, default=12)
    parser.add_argument("--percentile", type=float, default=2)
    parser.add_argument("-n", type=int, default=60_000)
    parser.add_argument("--n-calibration", type=int, default=12_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--builds", type=int, default=6_000, help="activations of a build, 0: none")
    parser.add_argument("--to", type=Path, default=Path("data/results"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = epkit.load_model(given.model, source=given.source)
    texts = epkit.load_corpus("web", "build", source=given.source, seed=0)
    stream = epkit.cached(epkit.ActivationStream(model, texts, [given.layer]), given.n)
    x = stream.layer(given.layer).float()
    p = given.percentile
    calibration = epkit.calibrate(x[: given.n_calibration], [p], seed=0)
    with connected(max(given.workers)):
        made = record(x, calibration, p, given.workers, given.repeats)
        made.assign(percentile=p).to_csv(given.to / "scale_workers.csv", index=False)
        if given.builds:
            found = builds(model, texts, given.layer, p, given.builds, given.workers[:2])
            found.to_csv(given.to / "scale_builds.csv", index=False)


def builds(
    model: object, texts: object, layer: int, p: float, n: int, workers: list[int]
) -> pd.DataFrame:
    """Seconds of builds in this process (0) and by workers, their start included."""
    options = {"n_calibration": 1000, "context": 32, "checkpoint": False, "keep": False}
    rows = []
    for w in (0, *workers):
        began = time.perf_counter()
        if w:
            made = epkit.scale.build(model, texts, [layer], [p], n, workers=w, **options)
        else:
            made = epkit.build(model, texts, [layer], [p], n, **options)
        rows.append((w, time.perf_counter() - began, n, len(made[layer, p])))
    return pd.DataFrame(rows, columns=["workers", "seconds", "activations", "regions"])


if __name__ == "__main__":
    main()
