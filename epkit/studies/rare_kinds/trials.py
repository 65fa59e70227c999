"""Everything that is measured on one stream, as rows: a reader, a percentile, a kind.

Does not know: texts, what the rows are summed up to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from epkit.calibration import calibrate
from epkit.dictionary import Dictionary
from epkit.partition import partition
from epkit.studies.rare_kinds import found, readers, unlike
from epkit.studies.rare_kinds.kinds import Kind
from epkit.studies.rare_kinds.streams import Mixture, mixture

CALIBRATION_ROWS = 5000
"""Activations of a stream that set its thresholds."""


@dataclass(frozen=True)
class Setting:
    """What does not change between streams.

    n : activations of a stream. passage : of a kind together. rounds : of k-means and refinement.
    sae_k, sae_epochs : of the SAE; with no epochs there is none. sae_percentile : the one whose K
    is the SAE's width.
    """

    n: int
    passage: int
    rounds: int
    sae_k: int
    sae_epochs: int
    sae_percentile: float


def run_trials(
    web: Tensor,
    document: Tensor,
    kinds: Mapping[str, Kind],
    heldout: Tensor,
    prevalences: Sequence[float],
    percentiles: Sequence[float],
    seeds: Sequence[int],
    setting: Setting,
) -> pd.DataFrame:
    """Rows of all streams: one a seed and prevalence (in per cent). See `stream_rows`.

    web, document : as in `mixture`. heldout : (M, D) held-out web activations.
    """
    rows = []
    for seed in seeds:
        for prevalence in prevalences:
            made = mixture(
                web, document, kinds, n=setting.n, prevalence=prevalence / 100,
                passage=setting.passage, seed=seed,
            )  # fmt: skip
            for row in stream_rows(made, kinds, heldout, percentiles, seed, setting):
                rows.append({"seed": seed, "prevalence": prevalence} | row)
    return pd.DataFrame(rows)


def stream_rows(
    made: Mixture,
    kinds: Mapping[str, Kind],
    heldout: Tensor,
    percentiles: Sequence[float],
    seed: int,
    setting: Setting,
) -> Iterator[dict]:
    """A row a percentile, reader and kind.

    Columns: p, K, method, kind, planted (activations), regions (of the kind), recall, false_share,
    readable (regions with members enough to be read), and `read: RULE` for every rule, the number
    read until the kind is seen (none for an SAE).
    """
    calibration = calibrate(made.x, percentiles, max_rows=CALIBRATION_ROWS, seed=seed)
    held = [*(kinds[name].heldout for name in made.names), heldout]
    for p, ep in partition(made.x, percentiles, calibration=calibration).items():
        about = {"p": p, "K": len(ep)}
        for method, d in readers.dictionaries(ep, made.x, rounds=setting.rounds, seed=seed):
            for row in _kind_rows(readers.region_reader(d), made, held, len(ep), d, seed):
                yield about | {"method": method} | row
        if setting.sae_epochs and p == setting.sae_percentile:
            options = {"k": setting.sae_k, "epochs": setting.sae_epochs, "seed": seed}
            for method, reader in readers.sae_readers(made.x, len(ep), **options):
                for row in _kind_rows(reader, made, held, len(ep), None, seed):
                    yield about | {"method": method} | row


def _kind_rows(
    reader: readers.Reader,
    made: Mixture,
    held: Sequence[Tensor],
    n_regions: int,
    d: Dictionary | None,
    seed: int,
) -> Iterator[dict]:
    counts = found.member_counts(reader(made.x), made.kind, n_regions, len(made.names))
    regions = found.regions_of(counts)
    row, region = reader(torch.cat([part.to(made.x.device) for part in held]))
    edges = torch.tensor([0, *map(len, held)]).cumsum(0).tolist()
    bounds = torch.searchsorted(row, torch.tensor(edges)).tolist()
    pairs = [
        (row[low:high] - edge, region[low:high])
        for edge, low, high in zip(edges, bounds, bounds[1:], strict=False)
    ]
    total = counts.sum(1)
    orders = {} if d is None else {
        rule: unlike.reading_order(score(d), total, seed) for rule, score in unlike.RULES.items()
    }  # fmt: skip
    read = {rule: unlike.read_until_seen(order, regions) for rule, order in orders.items()}
    for i, name in enumerate(made.names):
        of_kind = regions[:, i]
        yield {
            "kind": name,
            "planted": int((made.kind == i).sum()),
            "regions": int(of_kind.sum()),
            "recall": found.held_share(pairs[i], len(held[i]), of_kind),
            "false_share": found.held_share(pairs[-1], len(held[-1]), of_kind),
            "readable": int((total >= found.MIN_MEMBERS).sum()),
            **{f"read: {rule}": numbers[i] for rule, numbers in read.items()},
        }
