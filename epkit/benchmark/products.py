"""Clustering against the bare product on random directions: a table, of a CPU or a CUDA card.

K exemplars are random unit rows, far from one another; the stream is noisy copies of them, so that
every row is compared with all K and joins one. Beside the time of clustering stands that of the
product with the row maximum alone, in float32, TF32 and float16, on the same rows, and what one
block of rows asks of a device: operations, and how often the host waits (`counts`). What a device
does not have, and what does not run there, is "not measured".

Does not know: models, real activations (`benchmark` measures those).
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from epkit.benchmark.counts import Counter
from epkit.blocks.nearest import block_rows
from epkit.blocks.products import full_precision
from epkit.clustering import LeaderClustering

SIZES = {"cuda": ((1024, 4096, 16384, 65536), (576, 2304, 3584), 65536),
         "cpu": ((256, 1024), (64, 576), 4096)}  # fmt: skip
"""K, D and rows of the stream."""

THRESHOLD = 0.2
"""Random directions are about 1 apart, copies about .04 from their exemplar."""


def print_table(device: torch.device) -> None:
    """Measure every K and D on a device, and print a line for each."""
    ks, dims, rows = SIZES[device.type]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"clustering {rows:,} random directions on {name}; milliseconds, least of three")
    names = ("clustering", "float32", "TF32", "float16", "peak GB", "operations", "waits")
    print(f"operations and waits are those of a block of {block_rows(device):,} rows")
    print("".join(f"{title:>14}" for title in ("D", "K", *names)))
    for dim in dims:
        for k in ks:
            found = measure(k, dim, rows, device)
            cells = [f"{dim:,}", f"{k:,}"] + [
                "not measured" if v is None else f"{v:.2f}" if isinstance(v, float) else f"{v:,}"
                for v in found
            ]
            print("".join(f"{cell:>14}" for cell in cells), flush=True)


def measure(k: int, dim: int, rows: int, device: torch.device) -> tuple[float | None, ...]:
    """Milliseconds of clustering and of the product in float32, TF32 and float16; peak GB;
    operations and waits of a block."""
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    generator = torch.Generator().manual_seed(0)
    exemplars = normalize(torch.randn(k, dim, generator=generator)).to(device)
    noise = torch.randn(rows, dim, generator=generator).to(device)
    which = torch.randint(k, (rows,), generator=generator).to(device)
    u = normalize(exemplars[which] + 0.3 * dim**-0.5 * noise)
    part = LeaderClustering(torch.zeros(dim), THRESHOLD, device)
    part.fit_directions(exemplars)
    clustering = _least(lambda: part.fit_directions(u), device)
    if part.n_regions != k:
        raise RuntimeError(f"{part.n_regions} regions of {k} exemplars: the data are not as meant")
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if cuda else None
    with Counter(device) as count:
        part.fit_directions(u[: block_rows(device)])
    with full_precision():
        single = _least(lambda: _largest(u, exemplars), device)
    cores = _in_tensor_cores(u, exemplars) if cuda else (None, None)
    return clustering, single, *cores, peak, count.operations, count.waits if cuda else None


def _in_tensor_cores(u: Tensor, exemplars: Tensor) -> tuple[float | None, float | None]:
    """Milliseconds of the product in TF32 and in float16 with float32 sums."""
    tf32 = half = None
    if torch.cuda.get_device_capability(u.device) >= (8, 0):
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            tf32 = _least(lambda: _largest(u, exemplars), u.device)
        finally:
            torch.set_float32_matmul_precision(before)
    if "dtype" in torch.ops.aten.mm.overloads():
        a, b = u.half(), exemplars.half()
        half = _least(lambda: _largest(a, b, out_dtype=torch.float32), u.device)
    return tf32, half


def _largest(u: Tensor, exemplars: Tensor, **options) -> None:
    for some in u.split(8192):
        torch.mm(some, exemplars.T, **options).max(dim=1)


def _least(work: Callable[[], object], device: torch.device, times: int = 3) -> float:
    """Least milliseconds of a few runs after one to warm up."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 1e3 * min(seconds[1:])
