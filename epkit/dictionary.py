"""Dictionary: the regions of a partition as arrays, and the file they are kept in.

A dictionary is K exemplars (unit directions seen from a centre), each with the number of its
members, their spherical mean and their coherence. Every activation belongs to exactly one region,
that of its nearest exemplar. During a build an activation joins the nearest exemplar known *so
far*; `recount` gives the true Voronoi statistics of the final exemplars.

Does not know: models, tokenizers, how exemplars were chosen.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from epkit import checks
from epkit.blocks.nearest import nearest, nearest_of_activations
from epkit.checks import Arrays, as_activations, batches_of
from epkit.files import read_tensors, write_tensors
from epkit.geometry import ROWS, directions, distances
from epkit.members import Members
from epkit.soundness import check_dictionary
from epkit.sums import RegionSums

if TYPE_CHECKING:
    import pandas

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Dictionary:
    """The regions of one partition.

    Attributes
    ----------
    centre : (D,) float32.
    threshold : cosine distance within which an activation joined a region.
    exemplars : (K, D) float32, unit: observed directions, in order of founding.
    means : (K, D) float32, unit: spherical means of the members (the exemplar where there is none).
    counts : (K,) int64, members.
    coherence : (K,) float32, length of the mean of the members' directions, in [0, 1]; 0 for none.
    exemplar_index : (K,) int64, position of the exemplar in the stream, ascending.
    distance_mean, distance_std : (K,) float32, of the members' distances to the exemplar.
    metadata : JSON-able facts about the making (layer, percentile, model, corpus, ...).
    members : which tokens lie in which region, if the maker kept them.
    """

    centre: Tensor
    threshold: float
    exemplars: Tensor
    means: Tensor
    counts: Tensor
    coherence: Tensor
    exemplar_index: Tensor
    distance_mean: Tensor
    distance_std: Tensor
    metadata: dict = field(default_factory=dict)
    members: Members | None = None

    def __len__(self) -> int:
        return len(self.exemplars)

    def __repr__(self) -> str:
        made = {k: self.metadata[k] for k in ("model", "layer", "percentile") if k in self.metadata}
        about = "".join(f", {k}={v}" for k, v in made.items())
        return (
            f"Dictionary({len(self):,} regions of {self.n:,} activations, "
            f"θ={self.threshold:.4f}{about})"
        )

    @property
    def n(self) -> int:
        """Activations that are members of some region."""
        return int(self.counts.sum())

    @classmethod
    def from_sums(
        cls,
        centre: Tensor,
        threshold: float,
        exemplars: Tensor,
        exemplar_index: Tensor,
        sums: RegionSums,
        metadata: dict,
    ) -> "Dictionary":
        """Statistics of every region from the sums over its members (of the first K slots)."""
        k = len(exemplars)
        counts = sums.counts[:k].clone()
        total = sums.directions[:k]
        length = total.norm(dim=1)
        some = counts.clamp(min=1).double()
        mean = sums.distance[:k] / some
        variance = (sums.squared_distance[:k] / some - mean.square()).clamp(min=0)
        means = torch.where(
            (length > 1e-9)[:, None], total / length.clamp(min=1e-300)[:, None], exemplars.double()
        )
        return cls(
            centre, threshold, exemplars, means.float(), counts, (length / some).float(),
            exemplar_index, mean.float(), variance.sqrt().float(), _jsonable(metadata),
        )  # fmt: skip

    def assign(self, x: Arrays) -> tuple[Tensor, Tensor]:
        """Region of every activation: the nearest exemplar, ties to the lowest index.

        Parameters
        ----------
        x : (N, D) activations.

        Returns
        -------
        region : (N,) int64.
        distance : (N,) float32 cosine distance in [0, 2].
        """
        return nearest_of_activations(x, self.centre, self.exemplars)

    def distances(self, x: Arrays) -> Tensor:
        """Cosine distance of every activation to every exemplar: (N, D) -> (N, K) float32."""
        return distances(self.directions(x), self.exemplars)

    def directions(self, x: Arrays) -> Tensor:
        """Unit directions of activations seen from this dictionary's centre: (N, D) -> (N, D)."""
        x = as_activations(x, len(self.centre), self.centre.device)
        return directions(x, self.centre)

    def recount(self, x: Arrays | Iterable[Arrays]) -> "Dictionary":
        """The same exemplars with the true Voronoi statistics over x.

        Parameters
        ----------
        x : (N, D) activations or an iterable of them.

        Returns
        -------
        a dictionary with new counts, means, coherence and distances; `members` is None, since the
        members kept by the build joined in stream order.

        Raises
        ------
        ValueError : x holds no activations, or unusable ones.
        """
        sums = RegionSums.empty(len(self), len(self.centre), self.centre.device)
        for batch in batches_of(x):
            u = self.directions(batch)
            parts = (part.split(ROWS) for part in (u, *nearest(u, self.exemplars)))
            for rows in zip(*parts, strict=True):
                sums.add(*rows)
        if not sums.counts.any():
            raise ValueError("recount needs at least one activation; the stream is empty")
        return self.from_sums(
            self.centre, self.threshold, self.exemplars, self.exemplar_index, sums,
            self.metadata | {"recounted": True},
        )  # fmt: skip

    def refine(self, x: Arrays | Iterable[Arrays], rounds: int = 5) -> "Dictionary":
        """Spherical k-means from these exemplars (Dhillon and Modha 2001), with Lloyd's rounds.

        A round assigns every activation to its nearest direction and puts the members' unit mean
        in the direction's place; a region without members keeps the one it has. The mean cosine
        to the assigned direction never falls.

        Parameters
        ----------
        x : (N, D) activations, or an iterable of them that can be read again (`rounds` + 1 passes).
        rounds : at least 0, which is `recount`.

        Returns
        -------
        a dictionary of the same K regions: `exemplars` are unit means now, not observed directions,
        and `exemplar_index` says where in the stream each of them started from. Statistics are
        those of `recount`, `members` is None, `metadata["refined"]` the number of rounds.

        Raises
        ------
        TypeError : x can be read only once, or rounds is no whole number.
        ValueError : x holds no activations, or unusable ones; rounds is outside 0 … 10,000.
        """
        rounds = checks.whole("rounds", rounds, 0, 10_000)
        if isinstance(x, Iterator):
            raise TypeError(
                f"x is a {type(x).__name__}, which can be read once, and refining reads it "
                f"{rounds + 1} times: give an array, or a list of them"
            )
        refined = self.recount(x)
        for _ in range(rounds):
            refined = replace(refined, exemplars=refined.means).recount(x)
        return replace(refined, metadata=refined.metadata | {"refined": rounds})

    def growth(self, points: int = 200) -> tuple[Tensor, Tensor]:
        """Growth curve: activations seen (P,) and regions founded among them (P,), both int64.

        At P <= `points` places of the stream; on the CPU, since a curve is there to be drawn.
        """
        points = checks.whole("points", points, 2, 10**6)
        seen = torch.linspace(0, self._stream_length(), points).long().unique()
        return seen, torch.searchsorted(self.exemplar_index.cpu(), seen)

    def saturated_at(self, window: int) -> int | None:
        """Activations after which `window` in a row had founded no region; None if never."""
        window = checks.whole("window", window, 1, 2**53)
        founded = self.exemplar_index.cpu()
        ends = torch.cat([founded[1:], torch.tensor([self._stream_length()])])
        quiet = (ends - founded - 1 >= window).nonzero()
        return int(founded[quiet[0, 0]]) + 1 + window if len(quiet) else None

    def _stream_length(self) -> int:
        return int(self.metadata.get("n_activations", self.n))

    def to_frame(self, tokenizer=None) -> "pandas.DataFrame":
        """One row a region, as a pandas table.

        tokenizer : of the model, for the last column; the dictionary must have its members.

        Columns
        -------
        region : 0 … K − 1.
        name : of the region in metadata "names"; "" where there is none.
        count, share : members, and their part of all members.
        coherence : length of the mean of the members' directions, in [0, 1].
        threshold : cosine distance within which an activation joined, the same in every row.
        position : of the exemplar in the stream.
        distance_mean, distance_std : of the members' distances to the exemplar.
        top_tokens : with a tokenizer, list of the closest members' distinct tokens, nearest first.

        Raises ValueError for a tokenizer where there are no members.
        """
        import pandas

        names = self.metadata.get("names", [])
        named = isinstance(names, list) and len(names) == len(self)
        columns = {
            "name": names if named else [""] * len(self),
            "count": self.counts,
            "share": self.counts / max(self.n, 1),
            "coherence": self.coherence,
            "threshold": self.threshold,
            "position": self.exemplar_index,
            "distance_mean": self.distance_mean,
            "distance_std": self.distance_std,
        }
        columns = {k: v.cpu().numpy() if isinstance(v, Tensor) else v for k, v in columns.items()}
        if tokenizer is not None:
            if self.members is None:
                raise ValueError(
                    "there are no members to take tokens of: use what epkit.build made"
                )
            columns["top_tokens"] = self.members.closest_tokens(tokenizer)
        return pandas.DataFrame({"region": range(len(self))} | columns)

    def to(self, device: str | torch.device) -> "Dictionary":
        """The same dictionary with its tensors on a device (members stay on the CPU)."""
        device = checks.device(device)
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)

    def checked(self) -> "Dictionary":
        """This dictionary if it is sound, for one that was made of outside data.

        Raises
        ------
        ValueError, TypeError : a field is not as it must be (see `soundness`).
        """
        check_dictionary(self._tensors(), self.threshold, self.metadata)
        return self

    def _tensors(self) -> dict[str, Tensor]:
        """All tensors under the names they have in a file."""
        members = vars(self.members) if self.members is not None else {}
        own = {k: v for k, v in vars(self).items() if isinstance(v, Tensor)}
        return own | {f"members.{k}": v for k, v in members.items()}

    def save(self, path: str | os.PathLike) -> Path:
        """Write one safetensors file, beside and then moved into place. Returns the path.

        Raises
        ------
        ValueError, TypeError : the dictionary is not sound, so that `load` would refuse the file.
        """
        path = checks.path("path", path)
        about = {"format": FORMAT, "threshold": float(self.threshold), "metadata": self.metadata}
        write_tensors(path, self.checked()._tensors(), about)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike, device: str | torch.device = "cpu") -> "Dictionary":
        """Read a file written by `save`, into memory of its own.

        Raises
        ------
        FileNotFoundError : no such file.
        ValueError : not a dictionary file, or truncated, altered, of another format or not sound.
        """
        path, device = checks.path("path", path), checks.device(device)
        tensors, about = read_tensors(path)
        found = about.get("format") if isinstance(about, dict) else None
        if type(found) is not int or found != FORMAT:
            raise ValueError(f"{path} is not a dictionary of format {FORMAT}; build it again")
        try:
            for name in about.keys() - {"format", "threshold", "metadata"}:
                raise ValueError(f"{checks.shown(name)} is no field")
            check_dictionary(tensors, about.get("threshold"), about.get("metadata"))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is not a sound dictionary: {error}; build it again"
            ) from error
        own = {k: v.to(device) for k, v in tensors.items() if not k.startswith("members.")}
        kept = {k[8:]: v for k, v in tensors.items() if k.startswith("members.")}
        return cls(
            threshold=float(about["threshold"]), metadata=about["metadata"], **own,
            members=Members(**kept) if kept else None,
        )  # fmt: skip


def _jsonable(metadata: dict) -> dict:
    """The metadata as JSON gives it back, so that a saved dictionary equals the one in memory."""
    try:
        return json.loads(json.dumps(metadata))
    except TypeError as error:
        raise ValueError(f"metadata must be JSON-able: {error}") from error
