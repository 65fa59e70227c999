"""What is tried, and on which texts: drawn by seed, before any effect is measured.

A region is drawn among those that the texts visit: it has members in some texts and none in others.
It is ablated in texts that hold members and steered in texts that do not. Random exemplars are the
regions of as many random activations, drawn by the same rule. Random directions take the texts of a
region, and its members for their own. They have the spread of the activations, since a step along
an isotropic direction leaves what the model knows; isotropic ones are tried beside them.

Does not know: what edits do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.lm.activations import ActivationStream
from epkit.lm.lens import logit_lens
from epkit.lm.models import LanguageModel

EP, RANDOM = "EP regions", "random exemplars"
MADE_UP, ISOTROPIC = "random directions", "isotropic directions"


@dataclass(frozen=True, eq=False)
class Trial:
    """One direction with the texts it is tried on.

    percentile and basis are those of the dictionary, nan and "–" of a random direction. present
    and absent are rows of the texts; `members` (texts, tokens) says which tokens of those at
    `present` are members. promoted : ids of the tokens that the lens says the direction promotes,
    z their mean z-score.
    """

    kind: str
    percentile: float
    basis: str
    region: int
    direction: Tensor
    centre: Tensor
    present: Tensor
    absent: Tensor
    members: Tensor
    promoted: Tensor | None = None
    z: float = float("nan")


def equal_windows(
    model: LanguageModel, texts: Iterable[str], n: int, length: int, skip: int = 0
) -> tuple[Tensor, int]:
    """First windows of n documents, all of `length` tokens: ids (n, P), and P − length.

    The first window of a document, cut; BOS comes before it where the tokenizer has one. The first
    `skip` documents that are as long are left out. Raises ValueError where there are too few.
    """
    first = int(model.tokenizer.bos_token_id is not None)
    rows: dict[int, list[int]] = {}
    for window in ActivationStream(model, texts, [0], context=length + first).windows():
        if len(window.tokens) == length + first:
            rows.setdefault(window.document, window.tokens)
        if len(rows) == skip + n:
            return torch.tensor(list(rows.values())[skip:]), first
    raise ValueError(
        f"only {len(rows)} documents have {length} tokens, {skip + n} are needed: lower n_texts or "
        "text_tokens"
    )


def visited_regions(region: Tensor, k: int, n_present: int, n_absent: int) -> np.ndarray:
    """Regions with members in at least `n_present` texts and none in `n_absent`, ascending.

    region : (texts, tokens), of every token; k : how many regions there are.
    """
    present = torch.zeros(len(region), k, dtype=torch.bool)
    present.scatter_(1, region.cpu(), True)
    texts = present.sum(0)
    return ((texts >= n_present) & (len(region) - texts >= n_absent)).nonzero()[:, 0].numpy()


def draw_regions(
    kind: str, d: Dictionary, streams: Tensor, n: int, n_present: int, n_absent: int, seed: int
) -> list[Trial]:
    """n regions of a dictionary with their texts: a trial each, in the exemplar basis.

    streams : (texts, tokens, D), without the first token, which no region is asked about, and the
    last, whose next token is unknown. Raises ValueError where the texts visit too few regions.
    """
    region = d.assign(streams.flatten(0, 1))[0].view(streams.shape[:2]).cpu()
    there = visited_regions(region, len(d), n_present, n_absent)
    if len(there) < n:
        raise ValueError(
            f"the texts visit {len(there)} regions often enough, {n} were asked for: raise n_texts "
            "or lower n_regions"
        )
    rng = np.random.default_rng(seed)
    trials = []
    for r in np.sort(rng.choice(there, n, replace=False)).tolist():
        holds = (region == r).any(1)
        present, absent = (
            torch.from_numpy(np.sort(rng.choice(at.nonzero()[:, 0].numpy(), size, replace=False)))
            for at, size in ((holds, n_present), (~holds, n_absent))
        )
        trials.append(Trial(
            kind, float(d.metadata["percentile"]), "exemplar", r, d.exemplars[r], d.centre,
            present, absent, region[present] == r,
        ))  # fmt: skip
    return trials


def in_both_bases(d: Dictionary, trials: Sequence[Trial]) -> list[Trial]:
    """The trials, then the same with the means of their regions as directions."""
    return [*trials, *(replace(t, basis="mean", direction=d.means[t.region]) for t in trials)]


def made_up_trials(trials: Sequence[Trial], kind: str, u: Tensor, seed: int) -> list[Trial]:
    """A random direction for the texts and members of every trial.

    u : (M, D) rows whose sums with random normal weights are the directions: the directions of
    activations give the activations' spread, the identity an isotropic one.
    """
    weights = torch.randn(len(trials), len(u), generator=torch.Generator().manual_seed(seed))
    made = torch.nn.functional.normalize(weights.to(u) @ u, dim=1)
    about = {"kind": kind, "percentile": float("nan"), "basis": "–"}
    rows = enumerate(zip(trials, made, strict=True))
    return [replace(t, region=i, direction=direction, **about) for i, (t, direction) in rows]


def with_promoted(
    model: LanguageModel, trials: Sequence[Trial], reference: Tensor, k: int
) -> list[Trial]:
    """The trials with the k tokens that each promotes, by z-score over `reference` (M, D).

    No text is looked at: the tokens follow from the direction and the unembedding.
    """
    directions = torch.stack([trial.direction for trial in trials])
    lens = logit_lens(model, directions, k, standardise=True, among=reference)
    rows = zip(trials, lens.promoted, lens.promoted_logits.mean(1).tolist(), strict=True)
    return [replace(trial, promoted=ids, z=z) for trial, ids, z in rows]


def candidate_tokens(trials: Sequence[Trial], *ids: Tensor) -> Tensor:
    """All token ids of some texts and all that any trial promotes, ascending: (V,)."""
    seen = [some.flatten().cpu().long() for some in ids]
    return torch.cat([*seen, *(trial.promoted for trial in trials)]).unique()
