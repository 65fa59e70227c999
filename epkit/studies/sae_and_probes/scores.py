"""Probes on dictionaries and latents over many labelled sets, and their comparison.

Every set counts alike. The runs of a kind (orders, draws, seeds) are averaged within a set;
intervals and paired differences are Student's over sets, since a bootstrap of so few is too narrow;
what the choice of a run does stands beside, as the spread of their means.

Does not know: texts, models.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from epkit.dictionary import Dictionary
from epkit.plots.criteria import criterion_row
from epkit.progress import progress
from epkit.share.sae import SparseAutoencoder
from epkit.stats import minimum_detectable, t_interval
from epkit.studies.sae_and_probes import KINDS, RANDOM, SAE
from epkit.studies.sae_and_probes.probing import (
    BEFORE,
    LATENTS,
    MEAN,
    READOUTS,
    best_columns,
    latent_probes,
    raw_probe,
    region_probes,
    scores,
)
from epkit.studies.sae_and_probes.sets import ProbingSet
from epkit.studies.sae_and_probes.strata import STRATA, stratum_of

Activations = Sequence[tuple[np.ndarray, np.ndarray]]

RAW, COORDINATES, COORDINATE, MAJORITY = "raw", "raw, k best", "raw, best one", "majority"


@dataclass(frozen=True, eq=False)
class ProbeScores:
    """AUROC and accuracy of every readout of every dictionary on every set.

    results : columns AUROC, accuracy; index kind, p, readout, run, set. Kind is that of the
        dictionary, "TopK SAE", or "" for probes on the activation itself; p is 0 where there is
        none. trained : {set: AUROC of the raw probe in cross-validation on training rows}, in the
        order in which `values` gives the S sets.
    """

    results: pd.DataFrame
    trained: dict[str, float]

    @property
    def names(self) -> list[str]:
        """The sets."""
        return [*self.trained]

    @property
    def strata(self) -> np.ndarray:
        """(S,) the stratum of every set."""
        return np.array([stratum_of(value) for value in self.trained.values()])

    def runs(self, kind: str, p: float, readout: str, of: str = "AUROC") -> np.ndarray:
        """(R, S) of every run on every set."""
        return self.results[of].loc[kind, p, readout].unstack("set")[self.names].to_numpy()

    def values(self, kind: str, p: float, readout: str, of: str = "AUROC") -> np.ndarray:
        """(S,) on every set, the mean over runs."""
        return self.runs(kind, p, readout, of).mean(0)

    def raw(self, probe: str, of: str = "AUROC") -> np.ndarray:
        """(S,) of a probe on the activation itself, or of the majority class."""
        return self.values("", 0, probe, of)

    def kinds(self, p: float) -> list[str]:
        """The dictionaries read at p, and the SAE where it was read beside them."""
        at = self.results.index.get_level_values
        found = set(at("kind")[at("p") == p])
        return [kind for kind in KINDS if kind in found]

    def headline(self, p: float) -> pd.DataFrame:
        """A row a kind at p by its headline readout, the SAE's its latents, against random ones."""
        control = self.values(RANDOM, p, MEAN)
        rows = []
        for kind in self.kinds(p):
            readout = headline_readout(kind)
            runs, own = self.runs(kind, p, readout), self.values(kind, p, readout)
            gap = t_interval(own - control) if kind != RANDOM else None
            rows.append({
                "dictionary": kind, "readout": readout, "runs": len(runs),
                "AUROC": t_interval(own),
                "spread of runs": runs.mean(1).std(ddof=1) if len(runs) > 1 else np.nan,
                "against random": gap,
                "detectable": np.nan if gap is None else minimum_detectable(gap),
            })  # fmt: skip
        return pd.DataFrame(rows).set_index("dictionary")

    def by_readout(self, p: float, of: str = "AUROC") -> pd.DataFrame:
        """Mean over sets: a row a kind at p, a column a readout; nan where a kind has it not."""
        part = self.results[of].reset_index()
        part = part[(part.p == p) & (part.kind != "")]
        table = part.groupby(["kind", "readout"])[of].mean().unstack("readout")
        columns = [name for name in (*READOUTS, LATENTS, BEFORE) if name in table]
        return table.loc[self.kinds(p), columns].rename_axis(columns=None)

    def by_stratum(self, p: float) -> pd.DataFrame:
        """Mean AUROC over the sets of a stratum: rows the probes on the activation, then the kinds
        by their headline readout; columns the strata that have sets."""
        columns = {name: self.strata == name for name in STRATA if (self.strata == name).any()}
        values = {probe: self.raw(probe) for probe in (RAW, COORDINATES, COORDINATE)}
        for kind in self.kinds(p):
            values[kind] = self.values(kind, p, headline_readout(kind))
        return pd.DataFrame(
            [[own[at].mean() for at in columns.values()] for own in values.values()],
            index=pd.Index([*values], name="probe"),
            columns=[f"{name} ({at.sum()} sets)" for name, at in columns.items()],
        )

    def criteria(self, p: float, setting: str) -> pd.DataFrame:
        """Rows of `headline` as the record over all notebooks keeps them."""
        return pd.DataFrame([
            criterion_row("probing", kind, row["AUROC"], row["detectable"], setting)
            for kind, row in self.headline(p).iterrows()
        ])  # fmt: skip


def headline_readout(kind: str) -> str:
    """What a kind is read by: cosines to the means, of an SAE its latents."""
    return LATENTS if kind == SAE else MEAN


def score_sets(
    sets: Sequence[ProbingSet],
    activations: Activations,
    found: Mapping[float, dict[str, list[Dictionary]]],
    saes: Mapping[float, Sequence[SparseAutoencoder]],
    *,
    k: int = 16,
    seed: int = 0,
) -> ProbeScores:
    """Train all probes on every set's training rows and score them on its test rows.

    Parameters
    ----------
    activations : of every set, (n_train, D) and (n_test, D).
    found, saes : {p: {kind: runs}}; {p: SAEs that are compared with its dictionaries, a run each}.
    k : columns that a probe is given.
    """
    rows, trained = [], {}
    with progress(len(sets), "sets", "probing") as update:
        for done, (one, (train, test)) in enumerate(zip(sets, activations, strict=True), 1):
            data = train, one.train_labels, test
            raw = raw_probe(*data, seed=seed)
            trained[one.name] = raw.trained
            plain = {
                RAW: raw.probability,
                COORDINATES: best_columns(*data, k)[0],
                COORDINATE: best_columns(*data, 1)[0],
                MAJORITY: np.full(len(test), one.train_labels.mean()),
            }
            for (kind, p, run), made in [(("", 0.0, 0), plain), *_probed(found, saes, data, k)]:
                about = {"kind": kind, "p": p, "run": run, "set": one.name}
                for readout, probability in made.items():
                    found_scores = scores(probability, one.test_labels)
                    rows.append(about | {"readout": readout} | found_scores)
            update(done)
    index = ["kind", "p", "readout", "run", "set"]
    return ProbeScores(pd.DataFrame(rows).set_index(index).sort_index(kind="stable"), trained)


def _probed(found, saes, data, k: int) -> Iterator[tuple[tuple[str, float, int], dict]]:
    """((kind, p, run), {readout: probabilities}) of every dictionary and SAE."""
    for p, kinds in found.items():
        for kind, runs in kinds.items():
            for run, dictionary in enumerate(runs):
                yield (kind, p, run), region_probes(dictionary, *data, k)
        for run, sae in enumerate(saes.get(p, ())):
            yield (SAE, p, run), latent_probes(sae, *data, k)
