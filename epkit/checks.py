"""Checks of arguments, said once: each gives the value as it should be, or one sentence.

A sentence names the argument, the value that was given and what to give instead. A value of the
wrong type raises TypeError, one out of range ValueError. Numpy's integers and floats are numbers,
and so is a tensor without axes; True and False are not.

Does not know: activations and dictionaries, whose own checks are `geometry.as_activations` and
`soundness`.
"""

import math
import numbers
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def whole(name: str, value: object, least: int = 0, most: int | None = None) -> int:
    """A whole number in least … most."""
    value = _unwrapped(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number, got {shown(value)}")
    if value < least or (most is not None and value > most):
        span = f"at least {least:,}" if most is None else f"in {least:,} … {most:,}"
        raise ValueError(f"{name} must be {span}, got {shown(value)}")
    return int(value)


def number(
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """A finite number between `low` and `high`, which themselves are allowed unless open."""
    value = _unwrapped(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    value = float(value)
    below = value <= low if open_low else value < low
    above = value >= high if open_high else value > high
    if not math.isfinite(value) or below or above:
        span = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise ValueError(f"{name} must be a finite number in {span}, got {value!r}")
    return value


def one_of(name: str, value: object, options: Iterable[str]) -> str:
    """One of a few words."""
    options = tuple(options)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(options)}, got {shown(value)}")
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {shown(value)[4:]}")
    return value


def several(name: str, values: object, *, empty: bool = False) -> list:
    """A list of at least one value, or none where `empty`; a lone number or text is not one."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | Iterable):
        raise TypeError(f"{name} must be a list, got {shown(values)}; wrap one value as [value]")
    try:
        values = list(values)
    except TypeError as error:  # an array without axes
        raise TypeError(
            f"{name} must be a list, got {shown(values)}; wrap it as [value]"
        ) from error
    if not values and not empty:
        raise ValueError(f"{name} is empty; give at least one")
    return values


def device(value: object) -> torch.device:
    """A torch device that is here; None is CUDA where there is one, else the CPU."""
    if value is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(value, str | torch.device):
        raise TypeError(f"device must be 'cpu', 'cuda' or a torch device, got {shown(value)}")
    try:
        found = torch.device(value)
    except RuntimeError as error:
        raise ValueError(f"device must be 'cpu' or 'cuda', got {shown(value)}") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {value!r}: this machine has no CUDA device; use 'cpu'")
    return found


def flag(name: str, value: object) -> bool:
    """True or False, and no number in their place."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def instance(name: str, value: object, kind: type) -> object:
    """A value of a class of epkit's, a dictionary where one is asked for."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {shown(value)}")
    return value


def vectors(name: str, value: object) -> Tensor:
    """A dense, finite floating-point tensor of a tensor or array, of any shape, where it is."""
    if not isinstance(value, Tensor | np.ndarray):
        raise TypeError(f"{name} must be a torch tensor or a numpy array, got {shown(value)}")
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f" or value.dtype.itemsize > 8:
            raise ValueError(f"{name} must be floating point, got {value.dtype}")
        value = torch.from_numpy(np.ascontiguousarray(value, value.dtype.newbyteorder("=")))
    if value.layout != torch.strided:
        raise ValueError(f"{name} must be dense, got {value.layout}; call .to_dense()")
    if not value.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {value.dtype}")
    value = value.detach()
    if not torch.isfinite(value).all():
        raise ValueError(f"{name} must be finite, and holds nan or infinity")
    return value


def whole_tensor(name: str, value: object, axes: int | None = None) -> Tensor:
    """A dense tensor of whole numbers, with so many axes if a number is given, where it is."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch tensor, got {shown(value)}")
    kind = value.dtype
    if kind.is_floating_point or kind.is_complex or kind == torch.bool or value.is_quantized:
        raise ValueError(f"{name} must hold whole numbers, got {kind}")
    if value.layout != torch.strided or axes not in (None, value.ndim):
        wanted = "dense" if axes is None else f"dense with {axes} axes"
        raise ValueError(f"{name} must be {wanted}, got {value.layout} {shown(value)}")
    return value


def path(name: str, value: object) -> Path:
    """A path of a file or a folder."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise TypeError(f"{name} must be a path, got {shown(value)}")
    if "\0" in str(value):
        raise ValueError(f"{name} holds a null character: {shown(value)}")
    return Path(value)


def seed(value: object, name: str = "seed") -> int:
    """A seed that both torch and numpy take."""
    return whole(name, value, 0, 2**63 - 1)


def _unwrapped(value: object) -> object:
    """The number in a tensor or array without axes, such as a region that `argmax` gave."""
    return value.item() if isinstance(value, Tensor | np.ndarray) and value.ndim == 0 else value


def shown(value: object) -> str:
    """A value in an error: its type and at most 60 characters of it, on one line."""
    kind = type(value).__name__
    if hasattr(value, "shape"):
        return f"{kind} of shape {tuple(value.shape)}"
    text = repr(value[:60] if isinstance(value, str | bytes | list | tuple) else value)
    text = " ".join(text.split())
    return f"{kind} {text if len(text) <= 60 else text[:57] + '…'}"
