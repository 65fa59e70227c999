"""What an edit of the residual stream does to the next token: a row a trial and edit.

The next-token distribution is the model's over the V candidate tokens, renormalised. A logit is
taken from the mean of the candidates' (an offset common to all changes no probability), so Δlogit
is what tokens gain on the rest. KL is of the distribution with the edit from that without, in nats
a token; Δloss how much more surprising the token that follows becomes. BOS is not edited: no
dictionary knows it.

Does not know: how directions were drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from epkit.interventions import Edit, ablate, steer
from epkit.lm.models import ONE_AT_A_TIME, LanguageModel
from epkit.progress import progress
from epkit.studies.effects.drawing import Trial
from epkit.studies.effects.rest import RestOfModel

STEER, ABLATE = "steer", "ablate"


@dataclass(frozen=True, eq=False)
class Bench:
    """Texts at a layer, and the rest of the model.

    ids : (N, P), with `first` of them before the text. streams : (N, P, D). tokens : (V,) ascending
    candidate ids, every one of `ids` among them. norm : the typical norm of activations.
    """

    rest: RestOfModel
    layer: int
    ids: Tensor
    streams: Tensor
    first: int
    tokens: Tensor
    norm: float

    def columns(self, ids: Tensor) -> Tensor:
        """Where ids stand among the candidates."""
        return torch.searchsorted(self.tokens, ids.cpu()).to(self.streams.device)

    def logits(self, rows: Tensor, edit: Edit | None = None) -> Tensor:
        """Logits at all tokens of some texts but the last: (R, P − first − 1, V)."""
        streams = self.streams[rows.to(self.streams.device)]
        if edit is not None:
            streams = torch.cat([streams[:, : self.first], edit(streams[:, self.first :])], dim=1)
        return self.rest(streams)[:, self.first : -1]

    def following(self, rows: Tensor) -> Tensor:
        """Columns of the tokens that follow: (R, P − first − 1)."""
        return self.columns(self.ids[rows][:, self.first + 1 :].contiguous())


@dataclass(frozen=True, eq=False)
class Change:
    """What an edit changed at R × T tokens: centred logits (R, T, V), KL and loss (R, T)."""

    logits: Tensor
    kl: Tensor
    loss: Tensor

    def lift(self, columns: Tensor) -> Tensor:
        """Mean Δlogit of some tokens: (R, T)."""
        return self.logits[..., columns].mean(-1)


def changed(before: Tensor, after: Tensor, following: Tensor) -> Change:
    """The change from logits (R, T, V) to others; following : (R, T) columns of the next tokens."""
    gained = after - before
    gained = gained - gained.mean(-1, keepdim=True)
    was, now = before.log_softmax(-1), after.log_softmax(-1)
    kl = (was.exp() * (was - now)).sum(-1)
    loss = (was - now).gather(-1, following[..., None])[..., 0]
    return Change(gained, kl, loss)


ABOUT = ("kind", "percentile", "basis", "region", "z")


def measure_all(bench: Bench, trials: Sequence[Trial], alpha: float) -> pd.DataFrame:
    """Every trial steered where it is absent and ablated where it is present: two rows a trial.

    kind, percentile, basis, region, z, edit; `lift` of the promoted tokens, over all tokens when
    steered and over members when ablated; `other`, the same of the tokens that the next trial of
    the same kind promotes; `kl` and `loss` on tokens that are no members, `kl members` and `loss
    members` on those that are (nan when steered: there are none).

    alpha : of `steer`, in typical norms.
    """
    other = _next_alike(trials)
    rows: dict[int, list[dict]] = {}
    # Trials on the same texts follow one another, so that these are read once without an edit.
    order = sorted(range(len(trials)), key=lambda i: str((trials[i].present, trials[i].absent)))
    known = _Unedited(bench)
    with progress(len(trials), "directions", "interventions") as update:
        for i in order:
            trial = trials[i]
            columns = [bench.columns(x.promoted) for x in (trial, trials[other[i]])]
            about = {name: getattr(trial, name) for name in ABOUT}
            found = _steered(known, trial, alpha, *columns), _ablated(known, trial, *columns)
            rows[i] = [about | measured for measured in found]
            update(len(rows))
    return pd.DataFrame([row for i in range(len(trials)) for row in rows[i]])


def own_mass(bench: Bench, model: LanguageModel, rows: Tensor) -> tuple[float, float]:
    """Without edits: what probability the candidates hold, and how far the rest of the model errs.

    The mean share of the model's whole next-token distribution that is theirs, and the largest
    difference of a logit from that of the model run whole.
    """
    ids = bench.ids[rows].to(model.device)
    with ONE_AT_A_TIME, torch.no_grad():
        whole = model.module(input_ids=ids, use_cache=False).logits[:, bench.first : -1].float()
    part = whole[..., bench.tokens.to(whole.device)]
    mass = (part.logsumexp(-1) - whole.logsumexp(-1)).exp().double().mean()
    return float(mass), float((part - bench.logits(rows)).abs().max())


class _Unedited:
    """Logits without an edit, kept for the two sets of texts that were asked about last."""

    def __init__(self, bench: Bench):
        self.bench, self._kept = bench, {}

    def change(self, rows: Tensor, edit: Edit) -> Change:
        key = tuple(rows.tolist())
        if key not in self._kept:
            if len(self._kept) > 1:
                self._kept.clear()
            self._kept[key] = self.bench.logits(rows)
        after = self.bench.logits(rows, edit)
        return changed(self._kept[key], after, self.bench.following(rows))


def _steered(known: _Unedited, trial: Trial, alpha: float, own: Tensor, other: Tensor) -> dict:
    bench, layer = known.bench, known.bench.layer
    edit = steer(trial.direction, alpha, bench.norm, [layer])[layer]
    change = known.change(trial.absent, edit)
    return {
        "edit": STEER, "lift": _mean(change.lift(own)), "other": _mean(change.lift(other)),
        "kl": _mean(change.kl), "loss": _mean(change.loss),
    }  # fmt: skip


def _ablated(known: _Unedited, trial: Trial, own: Tensor, other: Tensor) -> dict:
    layer, members = known.bench.layer, trial.members
    change = known.change(trial.present, ablate(trial.direction, trial.centre, [layer])[layer])
    return {
        "edit": ABLATE, "lift": _mean(change.lift(own), members),
        "other": _mean(change.lift(other), members),
        "kl": _mean(change.kl, ~members), "loss": _mean(change.loss, ~members),
        "kl members": _mean(change.kl, members), "loss members": _mean(change.loss, members),
    }  # fmt: skip


def _mean(values: Tensor, where: Tensor | None = None) -> float:
    values = values if where is None else values[where.to(values.device)]
    return float(values.double().mean())


def _next_alike(trials: Sequence[Trial]) -> list[int]:
    """The next trial of the same kind, percentile and basis, the first after the last."""
    alike: dict[tuple, list[int]] = {}
    for i, t in enumerate(trials):
        alike.setdefault((t.kind, str(t.percentile), t.basis), []).append(i)
    groups = alike.values()
    found = {i: group[(j + 1) % len(group)] for group in groups for j, i in enumerate(group)}
    return [found[i] for i in range(len(trials))]
