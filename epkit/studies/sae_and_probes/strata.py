"""Which labelled sets are probed: some of every stratum, by how hard they are for the activation.

A set's stratum is told by the AUROC that a probe on the raw activation has in cross-validation on
training rows; a test row is never looked at. *Ceiling* sets leave nothing to win, *hard* ones are
hardly in the activation; those with *headroom* tell dictionaries apart.

Does not know: dictionaries, test rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pandas as pd

from epkit.lm.models import LanguageModel
from epkit.studies.sae_and_probes.probing import raw_probe
from epkit.studies.sae_and_probes.sets import (
    ProbingSet,
    family_of,
    last_token_activations,
    load_set,
    set_names,
)

CEILING, HEADROOM, HARD = STRATA = ("ceiling", "headroom", "hard")
BOUNDS = (0.98, 0.90)
"""Least AUROC of the first two strata."""


def stratum_of(trained: float) -> str:
    """The stratum of a set with this AUROC in cross-validation on training rows."""
    return STRATA[sum(trained < bound for bound in BOUNDS)]


def screen_sets(
    model: LanguageModel,
    layer: int,
    *,
    full: int,
    most_tokens: float,
    context: int,
    n_texts: int = 256,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The candidates: sets with `full` texts, of at most `most_tokens` tokens on average.

    Every one is read at its first `n_texts` training texts. Columns set, family, tokens, trained
    (AUROC in cross-validation on them), stratum. names : sets to look at, by default all.
    """
    candidates: list[ProbingSet] = []
    lengths = []
    for name in set_names() if names is None else names:
        one = load_set(name, seed=seed, context=context, max_texts=full)
        texts = one.train[:n_texts]
        tokens = np.mean([
            min(len(ids) + 1, context)
            for ids in model.tokenizer([t[-16 * context :] for t in texts])["input_ids"]
        ])  # fmt: skip
        if len(one.train) + len(one.test) >= full // 4 * 4 and tokens <= most_tokens:
            labels = one.train_labels[:n_texts]
            candidates.append(
                replace(one, train=texts, train_labels=labels, test=[], test_labels=labels[:0])
            )
            lengths.append(tokens)
    if not candidates:
        raise ValueError(
            f"no set has {full} texts of at most {most_tokens:g} tokens: lower one, raise the other"
        )
    activations = last_token_activations(model, candidates, layer, context=context)
    rows = []
    for one, tokens, (train, test) in zip(candidates, lengths, activations, strict=True):
        trained = raw_probe(train, one.train_labels, test, seed=seed).trained
        rows.append({
            "set": one.name, "family": one.family, "tokens": tokens, "trained": trained,
            "stratum": stratum_of(trained),
        })  # fmt: skip
    return pd.DataFrame(rows)


def choose_by_stratum(trained: Mapping[str, float], n: int, *, seed: int = 0) -> list[str]:
    """A seeded choice of n sets in which strata take turns, and in a stratum families.

    trained : {set: AUROC in cross-validation on training rows}. A stratum that has no more is
    passed over. Gives the sets in the order of `trained`; ValueError for more than there are.
    """
    if not 1 <= n <= len(trained):
        raise ValueError(f"n must lie in 1 … {len(trained)}, the candidates, not {n}")
    rng = np.random.default_rng(seed)
    strata: dict[str, dict[str, list[str]]] = {}
    for name in rng.permutation(np.array(sorted(trained), dtype=object)):
        families = strata.setdefault(stratum_of(trained[name]), {})
        families.setdefault(family_of(name), []).append(name)
    turns = [
        [name for turn in zip_longest(*strata[stratum].values()) for name in turn if name]
        for stratum in STRATA
        if stratum in strata
    ]
    chosen = [name for turn in zip_longest(*turns) for name in turn if name][:n]
    return [name for name in trained if name in chosen]
