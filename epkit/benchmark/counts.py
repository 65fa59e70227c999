"""Operations that a device is given, and how often the host waits for it.

Counted where torch hands operations to devices, so on any of them, one that is not there included.
An operation is one kernel or a few; views and empty tensors are none. The host waits for a value
(`item`, `if`), for the size of a result that depends on data (`nonzero`, masks as indices), and for
a copy to the CPU.

Does not know: what is counted.
"""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
SIZED = {aten.nonzero, aten.masked_select, aten.bincount, aten.unique_consecutive}
SIZED |= {aten._unique, aten._unique2, aten.unique_dim, aten.repeat_interleave, aten.equal}
EMPTY = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.detach}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
COPIES = {aten._to_copy, aten.copy_}


class Counter(TorchDispatchMode):
    """Inside `with Counter(device) as count`: `count.operations` and `count.waits` so far."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._kind = device.type
        self.operations, self.waits = 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = self._there(args) + self._there(kwargs)
        if given or self._there(out):
            self.operations += not func.is_view and func.overloadpacket not in EMPTY
            self.waits += bool(given) and self._waits(func.overloadpacket, args, out)
        return out

    def _there(self, tree) -> list[Tensor]:
        found = [x for x in tree_leaves(tree) if isinstance(x, Tensor)]
        return [x for x in found if x.device.type == self._kind]

    def _waits(self, packet, args, out) -> bool:
        if packet in COPIES:
            return self._kind != "cpu" and not self._there(args[0] if packet is aten.copy_ else out)
        if packet in INDEXED:
            return any(x.dtype in (torch.bool, torch.uint8) for x in self._there(args[1]))
        return packet is aten._local_scalar_dense or packet in SIZED
