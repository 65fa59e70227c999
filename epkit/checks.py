"""Checks of arguments, said once: each gives the value as it should be, or one sentence.

A sentence names the argument, the value that was given and what to give instead. A value of the
wrong type raises TypeError, one out of range ValueError. Numpy's integers and floats are numbers,
and so is a tensor without axes; True and False are not.

Activations come through one door as well: `rows_of` for type and shape, `finite_rows` for values,
`as_activations` for both. What a sound dictionary is stands in `soundness`.

Does not know: models, dictionaries.
"""

import math
import numbers
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

Arrays = Tensor | np.ndarray


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


def compute_device(value: object) -> torch.device:
    """`device` with float64, which decisions need: "cpu" or "cuda"."""
    found = device(value)
    if found.type not in ("cpu", "cuda"):
        raise ValueError(
            f"device '{found}' cannot decide in float64 (MPS has none); use device='cpu'"
        )
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
    value = _dense_floats(name, value)
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


# ---- activations --------------------------------------------------------------------------------


def as_activations(x: Arrays, dim: int | None = None, device: torch.device | None = None) -> Tensor:
    """Check a batch of activations at the door.

    Parameters
    ----------
    x : (N, D) tensor or array of any floating dtype, on any device.
    dim : the D that is expected, if one is.
    device : where the result should be; by default where `x` is.

    Returns
    -------
    (N, D) float32 tensor.

    Raises
    ------
    ValueError : not two-dimensional, not floating point, wrong D, or not finite.
    """
    return finite_rows(rows_of(x, dim), device)


def as_centre(centre: Arrays, dim: int | None = None, device: torch.device | None = None) -> Tensor:
    """Check a centre at the door: (D,) tensor or array -> (D,) float32. Errors are ValueError."""
    if not isinstance(centre, Tensor | np.ndarray) or centre.ndim != 1 or not len(centre):
        what = tuple(centre.shape) if hasattr(centre, "shape") else type(centre).__name__
        raise ValueError(f"centre must be a torch tensor or numpy array of shape (D,), got {what}")
    try:
        return as_activations(centre[None], dim, device)[0]
    except ValueError as error:
        raise ValueError(f"centre cannot be used: {error}") from error


def rows_of(x: Arrays, dim: int | None = None) -> Tensor:
    """Activations as a tensor (N, D) where and of the dtype they are; nothing is copied."""
    if not isinstance(x, Tensor | np.ndarray):
        raise ValueError(
            f"activations must be a torch tensor or a numpy array, not {type(x).__name__}"
        )
    x = _dense_floats("activations", x)
    if x.ndim != 2 or not x.shape[1]:
        raise ValueError(
            f"activations must have shape (N, D), got {tuple(x.shape)}; "
            "flatten batch and position, and wrap a single vector as x[None]"
        )
    if dim is not None and x.shape[1] != dim:
        raise ValueError(f"activations have {x.shape[1]} dimensions, expected {dim}")
    return x


def finite_rows(x: Tensor, device: torch.device | None, first: int = 0) -> Tensor:
    """Rows as float32 on a device, all finite; `first` is the number of the first in an error."""
    x = x.to(device=device, dtype=torch.float32)
    if x.numel() and not torch.isfinite(torch.stack(torch.aminmax(x))).all():
        for i, row in enumerate(x):
            if not torch.isfinite(row).all():
                raise ValueError(
                    f"activations must be finite in float32: row {first + i} is not; drop it or "
                    "use a wider dtype"
                )
    return x


def batches_of(x: Arrays | Iterable[Arrays]) -> Iterator[Arrays]:
    """One array, or an iterable of arrays, as an iterator of arrays."""
    if isinstance(x, Tensor | np.ndarray):
        yield x
    elif isinstance(x, Iterable) and not isinstance(x, str | bytes):
        yield from x
    else:
        raise ValueError(
            "activations must be an (N, D) tensor or array, or an iterable of them, "
            f"not {type(x).__name__}"
        )


def _dense_floats(name: str, value: Arrays) -> Tensor:
    """A tensor or array as a dense floating-point tensor where it is; copied only if torch must."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f" or value.dtype.itemsize > 8:
            raise ValueError(f"{name} must be floating point, got {value.dtype}")
        if not value.dtype.isnative or min(value.strides, default=0) < 0:  # torch takes neither
            value = value.astype(value.dtype.newbyteorder("="), order="C")
        value = torch.from_numpy(value)
    if value.layout != torch.strided:
        raise ValueError(f"{name} must be dense, got {value.layout}; call .to_dense()")
    if not value.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {value.dtype}")
    return value.detach()


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
