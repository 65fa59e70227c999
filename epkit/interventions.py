"""Edits of the residual stream: ablate a span of directions, steer along one, swap one for another.

An edit of a layer is a function of its block's output, (..., D) -> (..., D), that treats every
position alike. `Edits` maps layers to edits; `generate.generate` applies them at every position of
every step. Edits of different layers are put together with `|`, edits of one layer with `chain`.

Any vector will do as a direction: a region's exemplar or mean, or a difference of means. Directions
are seen from a centre, as in a dictionary.

Does not know: models, dictionaries, prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from epkit import checks
from epkit.checks import Arrays, as_activations

Edit = Callable[[Tensor], Tensor]
Edits = dict[int, Edit]

RANK_TOLERANCE = 1e-4
"""Directions whose smallest singular value, after normalisation, is below this are dependent."""


def ablate(directions: Arrays, centre: Arrays, layers: Sequence[int]) -> Edits:
    """Take the span of some directions out of the stream: c + (I - Q Q') (x - c).

    Parameters
    ----------
    directions : (D,) or (k, D), of any lengths; Q is an orthonormal basis of their span.
    centre : (D,) c; it has the coordinates along the span that every position is given.
    layers : whose outputs are edited, all with the same span and centre.

    Raises
    ------
    ValueError : wrong shapes, zero or linearly dependent directions, no or repeated layers.
    """
    basis = orthonormal(directions)
    centre = _vector("centre", centre, basis)
    offset = centre @ basis.T @ basis

    def edit(x: Tensor) -> Tensor:
        q, o = _like(basis, x), _like(offset, x)
        flat = x.float()
        return (flat - flat @ q.T @ q + o).to(x.dtype)

    return dict.fromkeys(_layers(layers), edit)


def steer(direction: Arrays, alpha: float, norm: float, layers: Sequence[int]) -> Edits:
    """Push every position along a direction: x + alpha * norm * d.

    Parameters
    ----------
    direction : (D,) of any length; d is its unit vector.
    alpha : how far, in units of `norm`; negative pushes away.
    norm : the layer's typical norm of activations, as `typical_norm` measures it.

    Raises
    ------
    ValueError : wrong shape, zero direction, norm not positive, no or repeated layers.
    """
    alpha = checks.number("alpha", alpha)
    norm = checks.number("norm", norm, 0, open_low=True)
    push = alpha * norm * orthonormal(direction, "direction")[0]
    return dict.fromkeys(_layers(layers), lambda x: (x.float() + _like(push, x)).to(x.dtype))


def swap(source: Arrays, target: Arrays, centre: Arrays, layers: Sequence[int]) -> Edits:
    """Turn what points towards one direction towards another: x + a (t - s).

    a = max(0, <x - c, s>), and s and t are the unit vectors of `source` and `target`, two region
    means, say. Positions that point away from s stay as they are.

    Raises
    ------
    ValueError : wrong shapes, zero directions, no or repeated layers.
    """
    s, t = orthonormal(source, "source")[0], orthonormal(target, "target")[0]
    if len(s) != len(t):
        raise ValueError(f"source has {len(s)} dimensions, target {len(t)}")
    turn = t.to(s.device) - s
    offset = _vector("centre", centre, s) @ s

    def edit(x: Tensor) -> Tensor:
        along = (x.float() @ _like(s, x) - _like(offset, x)).clamp(min=0)
        return (x.float() + along[..., None] * _like(turn, x)).to(x.dtype)

    return dict.fromkeys(_layers(layers), edit)


def chain(*edits: Edits) -> Edits:
    """Several edits as one; where they share a layer, the earlier argument acts first."""
    for group in edits:
        if not isinstance(group, dict) or not all(callable(edit) for edit in group.values()):
            raise TypeError(f"edits must be {{layer: edit}}, got {checks.shown(group)}")
    together: Edits = {}
    for layer in {layer for group in edits for layer in group}:
        steps = [group[layer] for group in edits if layer in group]
        together[layer] = steps[0] if len(steps) == 1 else _compose(steps)
    return together


def _compose(steps: list[Edit]) -> Edit:
    def edit(x: Tensor) -> Tensor:
        for step in steps:
            x = step(x)
        return x

    return edit


def typical_norm(x: Arrays) -> float:
    """The median norm of activations (N, D): the unit of `steer`, unmoved by a few huge ones."""
    return float(as_activations(x).norm(dim=1).median())


def orthonormal(directions: Arrays, name: str = "directions") -> Tensor:
    """An orthonormal basis (k, D) float32 of the span of (D,) or (k, D) directions.

    The first row is the first direction's unit vector. Raises ValueError for a zero direction and
    for linearly dependent ones; `name` is what errors call them.
    """
    rows = checks.vectors(name, directions)
    rows = (rows[None] if rows.ndim == 1 else rows).float().double()
    if rows.ndim != 2:
        raise ValueError(f"{name} must have shape (D,) or (k, D), got {tuple(rows.shape)}")
    norm = rows.norm(dim=1, keepdim=True)
    if not rows.numel() or not norm.all() or not norm.isfinite().all():
        raise ValueError(f"{name} must be at least one non-zero vector, finite in float32")
    rows = rows / norm
    if len(rows) > rows.shape[1] or torch.linalg.svdvals(rows)[-1] < RANK_TOLERANCE:
        raise ValueError(f"{name} are linearly dependent; leave out the superfluous ones")
    q, r = torch.linalg.qr(rows.T)
    return (q * r.diagonal().sign()).T.float().contiguous()


def _vector(name: str, x: Arrays, like: Tensor) -> Tensor:
    """A vector of the dimension of `like`, on its device."""
    x, dim = checks.vectors(name, x), like.shape[-1]
    if x.shape != (dim,):
        raise ValueError(f"the {name} must have shape ({dim},), got {tuple(x.shape)}")
    return x.to(device=like.device, dtype=torch.float32)


def _layers(layers: Sequence[int]) -> list[int]:
    layers = [checks.whole("layers", layer) for layer in checks.several("layers", layers)]
    if len(set(layers)) < len(layers):
        raise ValueError(f"layers must be one or more different layers, got {layers}")
    return layers


def _like(value: Tensor, x: Tensor) -> Tensor:
    return value.to(x.device)
