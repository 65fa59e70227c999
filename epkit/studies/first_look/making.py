"""Make the dictionary that comes with the kit: `python -m epkit.studies.first_look.making`.

Needs the embedded model and texts (a download of 290 MB the first time) and one forward pass.

Does not know: how anything is drawn.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from epkit.build import build_from
from epkit.controls import random_dictionary
from epkit.files import write_tensors, write_text
from epkit.inspect.regions import Regions
from epkit.interventions import typical_norm
from epkit.lm.activations import ActivationStream
from epkit.lm.corpora import load_corpus
from epkit.lm.models import load_model
from epkit.lm.store import cached
from epkit.members import KEPT
from epkit.plots.map import flat_places
from epkit.studies.first_look.shipped import EP, FACTS, RANDOM, Look, shipped_folder

CALIBRATION = 20_000


def make(facts: dict) -> Look:
    """Build a dictionary, its map, and the members of its regions and of random exemplars'.

    facts : as `FACTS`. An error is that of `load_model`, `load_corpus` or `build`.
    """
    model = load_model(facts["model"], source=facts["source"])
    texts = load_corpus(facts["corpus"], "build", source=facts["source"], seed=facts["seed"])
    layer, seed = facts["layer"], facts["seed"]
    stream = cached(ActivationStream(model, texts, [layer]), facts["n_activations"])
    (d,) = build_from(
        stream, [facts["percentile"]], stream.n, seed=seed, keep=False, checkpoint=False,
        n_calibration=min(CALIBRATION, stream.n),
    ).values()  # fmt: skip
    x = stream.layer(layer)
    control = random_dictionary(d, x, seed=seed, recount=False)
    groups = {
        kind: drawn_members(each.assign(x)[0].cpu(), len(d), seed)
        for kind, each in ((EP, d), (RANDOM, control))
    }
    where = flat_places(d, np.arange(len(d)), seed=seed).astype(np.float32)
    return Look(Regions(d, model), groups, where, typical_norm(x), facts, model)


def drawn_members(region: Tensor, k: int, seed: int) -> np.ndarray:
    """`KEPT` random members of each of k regions that has as many: (N,) regions -> (R, KEPT)."""
    region = region.numpy()
    order = np.random.default_rng(seed).permutation(len(region))
    order = order[np.argsort(region[order], kind="stable")]
    ends = np.bincount(region, minlength=k).cumsum()
    starts = np.concatenate([[0], ends[:-1]])
    drawn = [order[a : a + KEPT] for a, b in zip(starts, ends, strict=True) if b - a >= KEPT]
    return np.sort(np.array(drawn, dtype=np.int64).reshape(-1, KEPT))


def save(look: Look, folder: Path) -> None:
    """The files that `load_shipped` reads; OSError where they cannot be written."""
    look.dictionary.save(folder / "regions.safetensors")
    look.regions.save_names(folder / "names.json")
    ids = np.unique(look.regions.text.tokens).tolist()
    texts = dict(zip(map(str, ids), look.regions.texts(ids), strict=True))
    write_text(folder / "texts.json", json.dumps(texts, ensure_ascii=False, indent=0) + "\n")
    more = {
        "ep": torch.from_numpy(look.groups[EP]), "random": torch.from_numpy(look.groups[RANDOM]),
        "where": torch.from_numpy(look.where), "norm": torch.tensor(look.norm),
    }  # fmt: skip
    write_tensors(folder / "more.safetensors", more, look.facts)


def main() -> None:
    """Make it anew, in its place."""
    look = make(FACTS)
    save(look, shipped_folder())
    print(f"{look.dictionary} in {shipped_folder()}")


if __name__ == "__main__":
    main()
