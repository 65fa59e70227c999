"""Checks of arguments, said once: each gives the value as it should be, or one sentence.

A sentence names the argument, the value that was given and what to give instead. A value of the
wrong type raises TypeError, one out of range ValueError. Numpy's integers and floats are numbers;
True and False are not.

Does not know: activations and dictionaries, whose own checks are `geometry.as_activations` and
`Dictionary`'s.
"""

import math
import numbers
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch


def whole(name: str, value: object, least: int = 0, most: int | None = None) -> int:
    """A whole number in least … most."""
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
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {value!r}")
    return value


def several(name: str, values: object) -> list:
    """A list of at least one value; a lone number or text is not one."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | Iterable):
        raise TypeError(f"{name} must be a list, got {shown(values)}; wrap one value as [value]")
    values = list(values)
    if not values:
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
        raise ValueError(f"device must be 'cpu' or 'cuda', got {value!r}") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {value!r}: this machine has no CUDA device; use 'cpu'")
    return found


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


def shown(value: object) -> str:
    """A value in an error: its type and at most 60 characters of it, on one line."""
    kind = type(value).__name__
    if hasattr(value, "shape"):
        return f"{kind} of shape {tuple(value.shape)}"
    text = repr(value[:60] if isinstance(value, str | bytes | list | tuple) else value)
    text = " ".join(text.split())
    return f"{kind} {text if len(text) <= 60 else text[:57] + '…'}"
