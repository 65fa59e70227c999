"""A device that is not there: tensors that answer "cuda", and refuse to meet those that do not.

A far tensor keeps its data on the CPU. What it meets in an operation must be far too, but for
scalars, for indices (CUDA takes them from the CPU) and for copies from device to device; results
are far. What CUDA does not do raises here as well: `numpy`, a CPU generator for a far tensor.

`fixture` yields the real device on a machine that has one, with nothing patched; `fake` forces the
far one.
"""

import contextlib
from collections.abc import Iterator
from unittest import mock

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

aten = torch.ops.aten
FAR = torch.device("cuda", 0)
COPIES = {aten._to_copy, aten.copy_, aten.copy}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
FROM_DATA = {torch.tensor, torch.as_tensor, torch.asarray}


class Far(torch.Tensor):
    """A tensor whose data lie in `near`, on the CPU.

    To torch's own C++ it is on the meta device, since a build for the CPU knows no guard for CUDA.
    """

    @staticmethod
    def __new__(cls, near: torch.Tensor):
        dense = near.layout == torch.strided
        place = (near.stride(), near.storage_offset()) if dense else ()
        far = torch.Tensor._make_wrapper_subclass(
            cls, near.size(), *place, dtype=near.dtype, device="meta"
        )
        far.near = near
        return far

    @property
    def device(self):
        return FAR

    @property
    def is_cuda(self):
        return True

    @property
    def is_meta(self):
        return False

    def __repr__(self, **_):
        return f"Far({self.near!r})"

    def numpy(self, *, force=False):
        if force:
            return self.cpu().numpy(force=True)
        raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu() first")

    def __array__(self, *_, **__):
        self.numpy()

    def tolist(self):
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def run(func, args: tuple, kwargs: dict):
    """An operation with the devices' rules, done on the CPU."""
    packet, wanted = func.overloadpacket, kwargs.get("device")
    leaves = tensors((args, kwargs))
    far = any(isinstance(x, Far) for x in leaves)
    met = [args[0], *args[2:]] if packet in INDEXED else (args, kwargs)
    if packet not in COPIES:
        refuse_a_mix(func, tensors(met))
    if packet in INDEXED and not isinstance(args[0], Far) and far:
        raise RuntimeError(f"{func}: indices should be on the cpu, as the indexed tensor is")
    there = far if wanted is None else torch.device(wanted).type in ("cuda", "meta")
    if packet is aten.copy_:
        there = isinstance(args[0], Far)
    generator = kwargs.get("generator")
    if there and generator is not None:
        raise RuntimeError("expected a 'cuda' device type for generator but found 'cpu'")
    if "device" in kwargs:
        kwargs = kwargs | {"device": torch.device("cpu")}
    kwargs.pop("pin_memory", None)
    near = [*tree_map(_near, args)], tree_map(_near, kwargs)
    out = product(*near[0]) if func is aten.mm.dtype else func(*near[0], **near[1])
    known = {id(x.near): x for x in leaves if isinstance(x, Far)}
    if not there or not isinstance(out, torch.Tensor | tuple | list):
        return out
    return tree_map(lambda x: known.get(id(x)) if id(x) in known else _far(x), out)


def tensors(tree) -> list[torch.Tensor]:
    return [x for x in tree_flatten(tree)[0] if isinstance(x, torch.Tensor)]


def refuse_a_mix(func, met: list[torch.Tensor]) -> None:
    if len({isinstance(x, Far) for x in met if x.dim()}) > 1:
        raise RuntimeError(
            f"{func}: expected all tensors to be on the same device, but found at least two "
            f"devices, cuda:0 and cpu ({[tuple(x.shape) for x in met]})"
        )


def product(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What tensor cores do of float16: exact products, summed in float32."""
    return a.to(dtype) @ b.to(dtype)


def _near(x):
    return x.near if isinstance(x, Far) else x


def _far(x):
    return Far(x) if isinstance(x, torch.Tensor) and not isinstance(x, Far) else x


class Operations(TorchDispatchMode):
    """Makes far tensors of factories and copies."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


MATMUL = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__}
ITEM = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}


class Functions(TorchFunctionMode):
    """What never comes by an operation, or comes by one that the meta device answers otherwise."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        args, kwargs = [_indexed(x) for x in args], dict(kwargs or {})
        if "device" in kwargs:
            kwargs["device"] = _indexed(kwargs["device"])
        if func is torch.Tensor.cuda:
            return args[0].to(FAR)
        if func is torch.Tensor.pin_memory:
            return args[0]
        if func in FROM_DATA and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)  # with its number: no mode is on in here
        if func is torch.Tensor.new_tensor and isinstance(args[0], Far):
            return torch.tensor(args[1], dtype=kwargs.get("dtype", args[0].dtype)).to(FAR)
        if func in ITEM and isinstance(args[0], Far):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            args[1] = tuple(torch.tensor(i) if isinstance(i, list) else i for i in index)
        if func in MATMUL and args[0].dim() == 1 < args[1].dim():
            return (args[0][None] @ args[1]).squeeze(-2)  # torch would squeeze in place
        met = tensors((args, kwargs))
        sparse = func is torch.sparse_coo_tensor or any(
            isinstance(x, Far) and x.near.layout != torch.strided for x in met
        )
        if sparse and any(isinstance(x, Far) for x in met):
            return on_sparse(func, args, kwargs)
        return func(*args, **kwargs)


def on_sparse(func, args: list, kwargs: dict):
    """A whole function on the CPU, for a layout that wrappers do not have."""
    given = [x for x in args[1:] if isinstance(x, torch.device)]
    device = torch.device(kwargs.pop("device", None) or (given or [FAR])[0])
    if func is torch.Tensor.cpu:
        return args[0].near
    if func not in (torch.Tensor.to, torch.Tensor.copy_):
        refuse_a_mix(func, tensors((args, kwargs)))
    args = [x for x in args if not isinstance(x, torch.device)]
    out = func(*tree_map(_near, args), **tree_map(_near, kwargs))
    return tree_map(_far, out) if device.type == "cuda" else out


def _indexed(x):
    """A device with its number: torch would ask CUDA for it."""
    return FAR if isinstance(x, torch.device | str) and x in ("cuda", torch.device("cuda")) else x


@contextlib.contextmanager
def fake() -> Iterator[torch.device]:
    """The far device, whatever the machine has."""
    answers = {
        "is_available": lambda: True,
        "_lazy_init": lambda: None,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "synchronize": lambda *_: None,
        "get_device_capability": lambda *_: (9, 0),
        "get_device_name": lambda *_: "a device that is not there",
        "is_bf16_supported": lambda *_, **__: True,
        "mem_get_info": lambda *_: (1 << 34, 1 << 35),
        "empty_cache": lambda: None,
    }
    with contextlib.ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        stack.enter_context(Functions())
        stack.enter_context(Operations())
        yield FAR


@pytest.fixture
def far() -> Iterator[torch.device]:
    """CUDA where there is one, else the far device."""
    if torch.cuda.is_available():
        yield torch.device("cuda", 0)
    else:
        with fake() as device:
            yield device
