"""What a build costs beyond what cannot be avoided: `python -m epkit.benchmark`.

A cold start and three comparisons, in one run, on this machine:

0. `import epkit` beyond torch's own import, and the first `partial_fit` of a process against the
   second, in fresh processes.
1. Clustering against the bare matrix product with the row maximum (`u @ exemplars.T`), at the same
   final number of regions, on the same real activations.
2. The forward pass alone against the whole build, two layers and four percentiles, over the same
   tokens.
3. Peak memory of the process against the length of the stream (synthetic activations of a fixed
   number of directions, each length in a process of its own).

With `--device`, instead, and with no download: clustering on random directions against the bare
product in float32, TF32 and float16, with what a block of rows asks of the device (`products`); and
forward pass and build of a model of Gemma-2-2B's shape with random weights (`model`).

Does not know: whether the numbers are good. Machines are noisy; each time is the least of two.
"""

import argparse
import multiprocessing
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from epkit import checks
from epkit.benchmark.model import SHAPES, print_model
from epkit.benchmark.products import print_table
from epkit.blocks.products import full_precision
from epkit.build import build_from
from epkit.calibration import Calibration, calibrate
from epkit.clustering import LeaderClustering
from epkit.dictionary import Dictionary
from epkit.geometry import directions
from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import Chunk
from epkit.lm.corpora import load_corpus
from epkit.lm.models import load_model

BATCH = 4096

N_CALIBRATION = 12_000
"""As in the cpu profile."""


def main(arguments: list[str] | None = None) -> None:
    """Run the comparisons and print a line for each."""
    ask = argparse.ArgumentParser(prog="python -m epkit.benchmark", description=__doc__)
    ask.add_argument("--model", default="smollm2-135m-instruct")
    ask.add_argument("--source", default="wheel", help="wheel, hub, auto or a folder")
    ask.add_argument("--layers", type=int, nargs="+", default=[10, 20])
    ask.add_argument("--percentiles", type=float, nargs="+", default=[0.5, 1, 2, 4])
    ask.add_argument("-n", type=int, default=60_000, help="activations")
    ask.add_argument("--device", help="cpu or cuda: random directions and random weights alone")
    ask.add_argument(
        "--shape", choices=SHAPES, help="of the random weights; small is for the cpu, by default"
    )
    options = ask.parse_args(arguments)
    if options.device:
        device = checks.device(options.device)
        print_table(device)
        shape = options.shape or ("small" if device.type == "cpu" else "gemma-2-2b")
        print_model(shape, options.n, device, _seconds, _forward_alone)
        return
    imported, first, second = _cold_start()
    print(
        f"cold start: import epkit {imported:.2f} s beyond torch's own import; "
        f"first partial_fit {1e3 * first:.1f} ms, second {1e3 * second:.1f} ms"
    )
    model = load_model(options.model, source=options.source)
    stream = ActivationStream(model, load_corpus("web", source=options.source), options.layers)
    forward, activations = _forward_alone(stream, options.n)
    print(f"\nforward pass alone: {options.n:,} activations in {forward:.1f} s")
    x = activations[options.layers[-1]]
    for p in (0.1, 1.0):
        _clustering_line(x, p)
    quiet = {
        "n_calibration": N_CALIBRATION,
        "checkpoint": False,
        "keep": False,
        "show_progress": False,
    }
    whole = _seconds(lambda: build_from(stream, options.percentiles, options.n, **quiet))
    print(
        f"whole build, layers {options.layers}, percentiles {options.percentiles}: {whole:.1f} s "
        f"= {whole / forward:.2f} x the forward pass alone"
    )
    for n in (50_000, 100_000, 200_000):
        print(f"peak memory of a build of {n:,} synthetic activations: {_peak(n):,.0f} MB")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


_COLD = """
import time
import torch
start = time.perf_counter()
import epkit
print(time.perf_counter() - start)
x = torch.randn(4096, 576)
part = epkit.LeaderClustering(torch.zeros(576), 0.99)
for batch in x.split(2048):
    start = time.perf_counter()
    part.partial_fit(batch)
    part.n_activations + part.last_founded  # waits for the device
    print(time.perf_counter() - start)
"""


def _cold_start(processes: int = 3) -> list[float]:
    """Seconds of the import, of the first and of the second batch: each the least of a few."""
    runs = [
        subprocess.run([sys.executable, "-c", _COLD], capture_output=True, text=True, check=True)
        for _ in range(processes)
    ]
    return [min(map(float, lines)) for lines in zip(*(r.stdout.split() for r in runs), strict=True)]


def _forward_alone(stream: ActivationStream, n: int) -> tuple[float, dict[int, Tensor]]:
    """Seconds to draw the first n activations, and the activations (N, D) by layer."""
    next(stream.chunks())  # the first call of a model is slower than the rest
    kept: dict[int, list[Tensor]] = {layer: [] for layer in stream.layers}

    def draw() -> None:
        seen = 0
        for chunk in stream.chunks():
            seen += int(chunk.clustered.sum())
            for layer, x in chunk.activations.items():
                kept[layer].append(x)
            if seen >= n:
                return

    seconds = _seconds(draw)
    return seconds, {layer: torch.cat(parts)[:n] for layer, parts in kept.items()}


def _clustering_line(x: Tensor, percentile: float) -> None:
    """Print the time of clustering x (N, D) against that of the bare product."""
    device = checks.device(None)
    cal = calibrate(x, [percentile])
    x = x.to(device)
    parts = [LeaderClustering(cal.centre, cal.thresholds[percentile], device) for _ in range(2)]
    clustering = min(
        _seconds(lambda p=p: [p.partial_fit(b) for b in x.split(BATCH)]) for p in parts
    )
    exemplars = parts[0].dictionary().exemplars
    u = directions(x.float(), cal.centre.to(device))

    def bare() -> None:
        with full_precision():
            for rows in u.split(BATCH):
                (rows @ exemplars.T).max(dim=1)

    product = min(_seconds(bare) for _ in range(2))
    print(
        f"clustering {len(x):,} x {x.shape[1]} at p = {percentile:g} (K = {len(exemplars):,}): "
        f"{clustering:.2f} s = {clustering / product:.2f} x the bare product ({product:.2f} s)"
    )


class _Synthetic:
    """A stream of n activations around 500 directions, made chunk by chunk."""

    layers, fingerprint, about = (0,), "synthetic", {"model": "synthetic"}
    windows, length, dim = 64, 128, 576

    def __init__(self, n: int) -> None:
        self.n = n

    def chunks(self, start: int = 0) -> Iterator[Chunk]:
        generator = torch.Generator().manual_seed(0)
        anchors = torch.randn(500, self.dim, generator=generator)
        lengths = torch.full((self.windows,), self.length, dtype=torch.int32)
        clustered = (torch.arange(self.length) > 0).repeat(self.windows)
        rows = int(clustered.sum())
        for window in range(0, -(-self.n // rows) * self.windows, self.windows):
            which = torch.randint(500, (rows,), generator=generator)
            x = anchors[which] + 0.3 * torch.randn(rows, self.dim, generator=generator)
            tokens = torch.zeros(len(clustered), dtype=torch.int32)
            documents = torch.arange(window, window + self.windows, dtype=torch.int32)
            yield Chunk(tokens, lengths, documents, clustered, {0: x}, window + self.windows)


def _build_synthetic(n: int) -> Dictionary:
    """500 regions: a threshold between the distances to one's own anchor (.08) and others (1)."""
    cal = Calibration(torch.zeros(_Synthetic.dim), {1: 0.5}, n)
    options = {"n_calibration": 2, "checkpoint": False, "keep": False, "show_progress": False}
    return build_from(_Synthetic(n), [1], n, calibrations={0: cal}, **options)[0, 1]


def _peak(n: int) -> float:
    """Peak resident memory in MB of a process that builds from n synthetic activations."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    job = context.Process(target=_peak_of_build, args=(n, sender))
    job.start()
    job.join()
    if job.exitcode:
        raise RuntimeError(f"the build of {n:,} synthetic activations failed (see above)")
    return receiver.recv()


def _peak_of_build(n: int, sender) -> None:
    _build_synthetic(n)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sender.send(peak / (2**20 if sys.platform == "darwin" else 2**10))
