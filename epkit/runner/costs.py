"""What a notebook will need, by arithmetic from its parameters: disk, memory and a rough time.

1. Stored: activations x layers x d_model x bytes, for every stream that the notebook keeps.
2. Memory: the weights, what is held for calibration, the rows that a notebook holds whole, and the
   exemplars with their float64 sums.
3. Time: 2 x parameters operations a token for every pass, as far up as it reads; 2 x d_model x K an
   activation for every dictionary; weights read once a step for every batch of answers; `OTHER`
   times that for statistics and pictures. Cross-validated probes (03, 08, 10) run on the CPU and
   come on top. K is taken as `REGIONS` / percentile, at most a third of the stream. Rates are those
   in `machine`, well below what the makers promise.

Does not know: what is in the cache already, what a download takes, how a notebook is run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from epkit.files import cache_dir
from epkit.lm.room import cap

GB = 1e9
OTHER = 2.0
START = 8
"""Seconds until a notebook has its libraries and its model."""
REGIONS = 20_000
CALIBRATION = 20_000
STEP_ROWS = 64
"""Answers that are made together."""


class Size(NamedTuple):
    """A model: parameters, width of the residual stream, blocks."""

    parameters: float
    d_model: int
    layers: int


MODELS = {
    "smollm2-135m": Size(135e6, 576, 30),
    "smollm2-360m": Size(362e6, 960, 32),
    "gemma-3-270m": Size(268e6, 640, 18),
    "qwen2.5-coder-0.5b": Size(494e6, 896, 24),
    "gemma-2-2b": Size(2.61e9, 2304, 26),
    "gemma-2-9b": Size(9.24e9, 3584, 42),
}


@dataclass(frozen=True)
class Machine:
    """Bytes free on the disk, below the cache's cap and in the model's memory; operations and bytes
    a second; bytes of a number of the model's."""

    disk: float
    cap: float
    memory: float
    flops: float
    bandwidth: float
    number: int


class Stream(NamedTuple):
    """A pass over a stream: activations, layers read, whether they are kept, percentiles."""

    n: int
    layers: int
    kept: bool = True
    percentiles: tuple[float, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a notebook needs, in bytes and seconds, and why it cannot run here ("" if it can)."""

    stored: float
    weights: float
    memory: float
    seconds: float
    refusal: str = ""


def machine() -> Machine:
    """This machine. Rates: 30 GFLOP/s a core; on CUDA by generation, 4 TFLOP/s before Ampere."""
    home = cache_dir().absolute()
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    disk, limit = shutil.disk_usage(there).free, cap()
    if not torch.cuda.is_available():
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return Machine(disk, limit, pages, 30e9 * (os.cpu_count() or 1), 10e9, 4)
    memory = torch.cuda.mem_get_info()[1]
    modern = torch.cuda.get_device_capability() >= (8, 0)
    return Machine(disk, limit, memory, *((60e12, 5e11, 2) if modern else (4e12, 2e11, 4)))


def size_of(name: str) -> Size:
    """The size of a model by its name or hub id; ValueError for one that is not in the table."""
    for known, size in MODELS.items():
        if known in name.lower():
            return size
    raise ValueError(
        f"the size of model {name!r} is not known: add it to epkit.runner.costs.MODELS, or run "
        "without --check"
    )


def streams(stem: str, p: Mapping[str, Any], layers: int) -> list[Stream]:
    """The passes of a notebook over text, from its parameters, for a model of so many blocks."""
    read = len(p["layers"]) if "layers" in p else 1
    wanted = tuple(p.get("percentiles", ()))
    n, heldout = p.get("n_activations", 0), p.get("n_heldout", 0)
    match stem[:2]:
        case "03":
            embedded = p["data"] == "embedded"
            rows = 1_200 * p["n_rows"] if embedded else (p["n_concepts"] or 500) * 250 * 130
            return [Stream(n, 1, True, wanted), Stream(rows, 1)]
        case "04":  # activations over a few hundred prompts are held and not kept
            return [Stream(20_000, read, False, wanted)]
        case "05":
            texts = (len(p["foreign"]) + 1) * p["n_texts"] * p["text_tokens"]
            fits = 500 * (p["n_fit"] + p["n_fresh"])
            return [Stream(n, read, True, wanted), Stream(texts, read + 1), Stream(fits, 1, False)]
        case "06":
            return [Stream(n, read, True, wanted * p["n_orders"])] * (2 + bool(p["other_model"]))
        case "07":
            long = n + (len(p["domains"]) - 2) * p["n_others"] + p["n_chat"]
            short = len(p["domains"]) * p["n_short"]
            return [Stream(long, 1, True, wanted * p["n_orders"]), Stream(short, read)]
        case "08":  # texts of the sets as long as one that may be chosen; all kinds of dictionaries
            texts = p["n_sets"] * p["max_texts"] * p["most_tokens"]
            kinds = p["n_orders"] + p["n_draws"] + 2 * p["rounds"]
            return [
                Stream(n, 1, True, wanted * kinds), Stream(heldout, 1), Stream(texts, 1, False)
            ]  # fmt: skip
        case "10":
            runs = (p["percentile"], *p["other_percentiles"]) * 4
            runs += (p["percentile"],) * p["n_orders"] * (2 * p["rounds"] + 6)
            walk = Stream(p["n_trajectory"] + p["n_followed"], layers, False, (4,))
            return [Stream(n, 1, True, runs), Stream(heldout, 1), walk]
        case "13":
            kinds = (len(p["kinds"]) + 1) * p["n_kind"]
            readers = 2 * p["rounds"] + 10  # k-means and refinement; every other, and who reads it
            made = wanted * len(p["prevalences"]) * p["n_seeds"] * readers
            mixed = Stream(p["n_stream"], 1, False, made)
            return [Stream(n, 1), Stream(heldout, 1), Stream(kinds, 1), mixed]
    return [Stream(n, read, True, wanted), Stream(heldout, read)]


def cost(stem: str, p: Mapping[str, Any], here: Machine) -> Cost:
    """What the notebook `stem` needs on a machine with parameters `p`; ValueError as `size_of`."""
    names = {p[key] for key in ("model", "base_model", "tuned_model", "other_model") if p.get(key)}
    sizes = [size_of(name) for name in sorted(names)] or [MODELS["smollm2-135m"]]
    size = max(sizes)
    passes = streams(stem, p, size.layers)
    number = here.number * size.d_model
    stored = sum(s.n * s.layers * number for s in passes if s.kept)
    shorter = streams(stem, {**p, "n_activations": 0}, size.layers)
    fixed = sum(s.n * s.layers * number for s in shorter if s.kept)
    weights = sum(one.parameters for one in sizes) * here.number
    held = p.get("n_calibration", CALIBRATION) * max(s.layers for s in passes) * number
    whole = {
        "02": "n_read", "08": "n_activations", "09": "n_read", "10": "n_activations",
        "13": "n_activations", "14": "n_activations",
    }.get(stem[:2])  # fmt: skip
    rows = (p[whole] + p.get("n_heldout", 0)) * size.d_model * 4 if whole else 0
    exemplars = sum(
        _regions(s.n, x) * s.layers * size.d_model * 14 for s in passes for x in set(s.percentiles)
    )
    memory = weights + held + rows + exemplars + 1 * GB
    read = p["layers"] if "layers" in p else [p.get("layer", size.layers)]
    depth = min(1.0, (max(read) + 1) / size.layers)
    work = sum(2 * size.parameters * depth * s.n for s in passes)
    work += sum(
        2 * size.d_model * _regions(s.n, x) * s.n * s.layers for s in passes for x in s.percentiles
    )
    step = size.parameters * here.number
    seconds = (work / here.flops + _answers(stem, p) * step / here.bandwidth) * OTHER + START
    found = Cost(stored, weights, memory, seconds)
    share = max(0.0, here.cap - fixed) / max(stored - fixed, 1)
    most = int(p.get("n_activations", 0) * share)
    return replace(found, refusal=_refusal(found, most, here))


def table(plan: Mapping[str, Mapping[str, Any]], here: Machine) -> tuple[str, list[str]]:
    """The costs of notebooks as text, and a sentence for each that does not fit."""
    rows = {stem: cost(stem, p, here) for stem, p in plan.items()}
    lines = [f"{'notebook':20} {'cache':>9} {'weights':>9} {'memory':>9} {'time':>9}"]
    for stem, c in rows.items():
        sizes = " ".join(f"{x / GB:6.2f} GB" for x in (c.stored, c.weights, c.memory))
        lines.append(f"{stem:20} {sizes} {c.seconds / 60:5.1f} min")
    total = sum(c.seconds for c in rows.values())
    lines.append(
        f"in all about {total / 60:.0f} min; here: {here.disk / GB:.0f} GB of disk, "
        f"{here.cap / GB:g} GB of cache, {here.memory / GB:.0f} GB of memory"
    )
    return "\n".join(lines), [f"{stem}: {c.refusal}" for stem, c in rows.items() if c.refusal]


def _answers(stem: str, p: Mapping[str, Any]) -> float:
    """Steps of generation: trials, conditions, controls and steering of the refusal study."""
    if stem[:2] != "04":
        return p.get("max_new_tokens", 0) * 10.0
    trials = len(p["layers"]) * len(p["trial_percentiles"]) * 2 * p["n_trial"]
    held_out = 6 * (p["n_harmful"] + p["n_benign"]) + 4 * (len(p["alphas"]) + 1) * p["n_steered"]
    controls = 2 * p["n_controls"] * p["n_control_prompts"]
    answers = 2 * p["n_build"] + trials + held_out + controls
    return answers / STEP_ROWS * p["max_new_tokens"]


def _regions(n: int, percentile: float) -> float:
    return min(REGIONS / percentile, n / 3)


def _refusal(c: Cost, most: int, here: Machine) -> str:
    """What does not fit and what to change; `most` activations would fit the cache."""
    if c.stored > here.cap:
        return (
            f"keeps {c.stored / GB:.1f} GB of activations and EPKIT_CACHE_GB allows "
            f"{here.cap / GB:g}: raise it, or pass -p n_activations {most}"
        )
    if c.stored + c.weights > here.disk:
        return (
            f"needs {(c.stored + c.weights) / GB:.1f} GB of disk, {here.disk / GB:.1f} are free: "
            "make room, or set EPKIT_CACHE to a larger disk"
        )
    if c.memory > here.memory:
        return (
            f"needs {c.memory / GB:.1f} GB of memory and the device has {here.memory / GB:.1f}: "
            "take a smaller model, or fewer n_activations, n_read and n_calibration"
        )
    return ""
