"""Made-up effects and a model whose truth is known, for the tests of the effects study."""

import numpy as np
import pandas as pd
import torch
from tiny_models import tiny_llama

from epkit.studies.effects.drawing import EP, ISOTROPIC, MADE_UP, RANDOM, Trial
from epkit.studies.effects.measures import Bench
from epkit.studies.effects.rest import RestOfModel, streams_after

BASES = ("exemplar", "mean")
GROUPS = [(kind, p, basis) for kind in (EP, RANDOM) for p in (2.0, 8.0) for basis in BASES]
GROUPS += [(kind, float("nan"), "–") for kind in (MADE_UP, ISOTROPIC)]


def made_effects(means, n=40, seed=0):
    """Effects of n directions a group: lift of `means[kind]` when steered, of its negative else."""
    rng, rows = np.random.default_rng(seed), []
    for kind, p, basis in GROUPS:
        for region in range(n):
            about = {"kind": kind, "percentile": p, "basis": basis, "region": region}
            for edit, sign in (("steer", 1), ("ablate", -1)):
                row = about | {"z": 3 + rng.random(), "edit": edit, "other": rng.normal()}
                row |= {
                    "lift": sign * means.get(kind, 0) + rng.normal(),
                    "kl": 0.1 + rng.random() / 50,
                }
                row |= {"loss": 0.01 * rng.normal()}
                if edit == "ablate":
                    row |= {"kl members": 0.3, "loss members": 0.2 + 0.01 * rng.normal()}
                rows.append(row)
    return pd.DataFrame(rows)


def straight_model():
    """Blocks add nothing, so that the logit lens is what the model does."""
    model = tiny_llama()
    for name, parameter in model.module.named_parameters():
        if "o_proj" in name or "down_proj" in name:
            parameter.data.zero_()
    return model


def made_bench(model, layer=1, n=6, length=8, seed=0):
    """A bench over random ids, all rows of the unembedding as candidates."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 250, (n, 1 + length), generator=generator)
    tokens = torch.arange(len(model.module.get_output_embeddings().weight))
    rest = RestOfModel(model, layer, ids[0], tokens)
    streams = streams_after(model, layer, ids)
    norm = float(streams.norm(dim=-1).median())
    return Bench(rest, layer, ids, streams, 1, tokens, norm)


def made_trial(direction, centre, kind=EP, region=0, length=8, **changes):
    members = torch.zeros(2, length - 1, dtype=torch.bool)
    members[:, 2] = True
    given = {
        "kind": kind, "percentile": 2.0, "basis": "exemplar", "region": region,
        "direction": direction, "centre": centre, "present": torch.tensor([0, 1]),
        "absent": torch.tensor([2, 3]), "members": members,
    }  # fmt: skip
    return Trial(**given | changes)
