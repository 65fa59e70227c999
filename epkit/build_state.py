"""How far a build has come: clusterings, members and tokens of every dictionary, and their file.

The state changes by whole chunks of the stream, so that what is written is always consistent; read
back, it goes on to the same bytes.

Does not know: when to stop, when to write, where chunks come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from epkit.calibration import Calibration
from epkit.clustering import LeaderClustering
from epkit.dictionary import Dictionary
from epkit.files import read_tensors, write_tensors
from epkit.geometry import as_activations, directions
from epkit.lm.chunks import Chunk, truncate
from epkit.members import MemberCollector

Atlas = dict[tuple[int, float], Dictionary]
"""Dictionaries by (layer, percentile)."""

_TOKENS = ("tokens", "lengths", "clustered")


@dataclass
class BuildState:
    """`n` of at most `limit` activations, and `cursor` windows of the stream, taken in."""

    limit: int
    percentiles: Sequence[float]
    seed: int
    device: torch.device
    n: int = 0
    cursor: int = 0
    calibrations: dict[int, Calibration] = field(default_factory=dict)
    parts: dict[tuple[int, float], LeaderClustering] = field(default_factory=dict)
    collectors: dict[tuple[int, float], MemberCollector] = field(default_factory=dict)
    tokens: list[Tensor] = field(default_factory=list)
    lengths: list[Tensor] = field(default_factory=list)
    clustered: list[Tensor] = field(default_factory=list)

    def start(self, layers: Sequence[int], calibrations: dict[int, Calibration]) -> None:
        """Empty regions for every layer and percentile."""
        for layer in layers:
            if layer not in calibrations:
                raise ValueError(f"calibrations has none for layer {layer}")
            cal = self.calibrations[layer] = calibrations[layer]
            for p in self.percentiles:
                if p not in cal.thresholds:
                    raise ValueError(f"the calibration of layer {layer} has no percentile {p:g}")
                part = LeaderClustering(cal.centre, cal.thresholds[p], self.device)
                self.parts[layer, p] = part
                self.collectors[layer, p] = MemberCollector(self.seed, self.device)

    def take(self, chunk: Chunk) -> None:
        """Cluster a chunk, cut at the limit."""
        chunk = truncate(chunk, self.limit - self.n)
        u: dict[int, Tensor] = {}
        for (layer, p), part in self.parts.items():
            if layer not in u:
                x = as_activations(chunk.activations[layer], len(part.centre), part.device)
                u[layer] = directions(x, part.centre)
            region, distance = part.fit_directions(u[layer])
            self.collectors[layer, p].update(self.n, region, distance, part.n_regions)
        self.n += int(chunk.clustered.sum())
        self.cursor = chunk.cursor
        for name in _TOKENS:
            getattr(self, name).append(getattr(chunk, name))

    def regions_line(self) -> str:
        """Regions so far, for a line of progress."""
        return " ".join(f"{layer}/p{p:g}:{c.n_regions}" for (layer, p), c in self.parts.items())

    def dictionaries(self, **metadata: object) -> Atlas:
        """The regions so far, with their members, on the CPU."""
        tokens = [torch.cat(getattr(self, name)) for name in _TOKENS]
        atlas = {}
        for (layer, p), part in self.parts.items():
            cal = self.calibrations[layer]
            d = part.dictionary(
                **metadata, layer=layer, percentile=p, seed=self.seed, n_activations=self.n,
                n_calibration=cal.n, threshold_error=cal.threshold_errors.get(p, 0.0),
            )  # fmt: skip
            members = self.collectors[layer, p].members(*tokens)
            atlas[layer, p] = replace(d.to("cpu"), members=members)
        return atlas

    def write(self, path: Path) -> None:
        """Everything, as one checked file."""
        tensors = {name: torch.cat(getattr(self, name)) for name in _TOKENS}
        for (layer, p), part in self.parts.items():
            own = part.state() | self.collectors[layer, p].state()
            tensors |= {f"{layer}/{p!r}/{name}": value for name, value in own.items()}
        for layer, cal in self.calibrations.items():
            tensors[f"{layer}/centre"] = cal.centre
        calibrations = {
            layer: [list(cal.thresholds.items()), list(cal.threshold_errors.items()), cal.n]
            for layer, cal in self.calibrations.items()
        }
        about = {"n": self.n, "cursor": self.cursor, "calibrations": calibrations}
        write_tensors(path, tensors, about)

    @classmethod
    def read(cls, path: Path, new: "BuildState") -> "BuildState":
        """What `write` wrote, for the job that `new` would start; ValueError for a damaged file."""
        tensors, about = read_tensors(path)
        self = cls(new.limit, new.percentiles, new.seed, new.device)
        calibrations = {
            int(layer): Calibration(tensors[f"{layer}/centre"], dict(thresholds), n, dict(errors))
            for layer, (thresholds, errors, n) in about["calibrations"].items()
        }
        self.start(list(calibrations), calibrations)
        self.n, self.cursor = about["n"], about["cursor"]
        for (layer, p), part in self.parts.items():
            prefix = f"{layer}/{p!r}/"
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            part.load_state(own)
            self.collectors[layer, p].load_state(own)
        for name in _TOKENS:
            getattr(self, name).append(tensors[name])
        return self
