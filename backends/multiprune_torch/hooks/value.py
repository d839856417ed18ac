"""A pruned value in the hands of whoever reads it outside of a forward.

Clauses: REP-03, REP-04, DEV-53.
"""

from __future__ import annotations

import re
import sys
from copy import deepcopy
from functools import wraps
from typing import Any

import torch
from torch import nn

from multiprune_torch.errors import WriteError
from multiprune_torch.request.pruned import version
from multiprune_torch.sharding import is_sharded

__all__ = ["PrunedValue"]


class PrunedValue(torch.Tensor):
    """A tensor like any other, but for writes into it or its `data`, which reach the original.

    ``layer.weight.data += delta``, as adapters are merged, ``nn.init.zeros_(layer.weight)`` and
    ``layer.weight[0] = 1``: what is written is kept where the mask is 1, and pruned entries keep
    what they had. Where gradients are recorded, a write is a part of a computation, as of every
    tensor. Where torch refuses to take it for a parameter, it says why.
    """

    __torch_function__: Any = torch._C._disabled_torch_function_impl
    _home: tuple[Any, str] = (lambda: None), ""  # module and name
    _version_read: int = -1  # how many writes to the original torch had counted
    is_written = False

    @property
    def data(self) -> torch.Tensor:
        """The tensor without its history; shared memory, as of every tensor."""
        value = self.detach()
        if self._home[0]() is not None:
            value.__class__ = PrunedValue
            value.__dict__.update(self.__dict__)
        return value

    @data.setter
    def data(self, new: torch.Tensor) -> None:
        if self._home[0]() is None:
            torch.Tensor.data.__set__(self, new)  # type: ignore[attr-defined]
        elif not (isinstance(new, PrunedValue) and new.is_written and new._home == self._home):
            self.write(new)

    def write(self, new: torch.Tensor) -> None:
        """Write values to the original where the mask is 1."""
        module, name = self._home[0](), self._home[1]
        orig = None if module is None else module._parameters.get(name + "_orig")
        if module is None or orig is None:
            return
        buffers: Any = module._buffers
        mask, hook = buffers[name + "_mask"], buffers.hooks[name]
        if new.shape != orig.shape or new.dtype != orig.dtype or hook._scales or is_sharded(orig):
            raise WriteError(
                f"{type(module).__name__}.{name}.data was set to {new.dtype}{list(new.shape)}, and "
                f"it is pruned. Rule: what is assigned there goes to {name}_orig where the mask is "
                f"1, so it has its dtype and shape [REP-04]. Write to {name}_orig, or use "
                "module.to()."
            )
        if self._version_read != version(orig):
            raise WriteError(
                f"{type(module).__name__}.{name} was read, {name}_orig has changed since, and now "
                "the older value is written to. Rule: a write keeps what is there [REP-04]. Read "
                f"module.{name} again, and write to that."
            )
        with torch.inference_mode(False), torch.no_grad():
            orig.copy_(torch.where(mask != 0, new.to(orig.device), orig))
        self.is_written, self._version_read = True, version(orig)

    def detach(self) -> torch.Tensor:
        """Return the value without its history: a tensor like any other."""
        value = super().detach()
        if sys._getframe(1).f_code is nn.Parameter.__new__.__code__:
            value.__class__ = PrunedValue  # wanted back there, and made a parameter by the next
        return value

    @property
    def _is_param(self) -> bool:
        return False

    @_is_param.setter
    def _is_param(self, _: bool) -> None:
        self.__class__ = nn.Parameter  # type: ignore[assignment]

    def type(self, *args: Any, **options: Any) -> Any:
        """Convert it, or name its type; asked so by a module that refuses it, say what it is."""
        module, name = self._home[0](), self._home[1]
        if module is not None and sys._getframe(2).f_code in _ASSIGNMENTS:
            raise WriteError(
                f"{name!r} of {type(module).__name__} was assigned to a parameter, and it is "
                "pruned. Rule: its value is computed, no parameter [REP-01]. Tie and convert it "
                "before pruning, or end that first: prune.remove, prune.remove_all(model)."
            )
        return super().type(*args, **options)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return deepcopy(_plain(self), memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _plain(self).__reduce_ex__(protocol)

    def __repr__(self) -> str:  # type: ignore[override]
        return repr(_plain(self))


def _writing(name: str) -> Any:
    """Return a method of tensors that writes in place, and then to the original."""
    method = getattr(torch.Tensor, name)

    @wraps(method)
    def write(self: PrunedValue, *args: Any, **options: Any) -> Any:
        result = method(self, *args, **options)
        if not (self.requires_grad and torch.is_grad_enabled()):
            self.write(self.detach())
        return result

    return write


_KEEPS = re.compile("t_|set_|.*(requires|detach|share|resize|strided|squeeze|swap|transpose).*_")
"""In-place methods that write no values, or change the shape."""
_WRITES = re.compile("[a-z].*[^_]_|__setitem__|__i(add|sub|mul|truediv|pow)__")
for _name in dir(torch.Tensor):
    if _WRITES.fullmatch(_name) and not _KEEPS.fullmatch(_name):
        setattr(PrunedValue, _name, _writing(_name))

_ASSIGNMENTS = (nn.Module.__setattr__.__code__, nn.Module.register_parameter.__code__)
"""What names a value's type only to refuse it."""


def _plain(value: torch.Tensor) -> torch.Tensor:
    return value.as_subclass(torch.Tensor) if type(value) is PrunedValue else value
