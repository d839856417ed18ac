"""The pickle inside a torch archive, read without torch; opens nothing and runs nothing.

Names in it come from a short list, each standing for something inert: what
``torch.load(weights_only=True)`` would not run is not run here, and nothing else is, either.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.dtypes import NAMES

__all__ = ["SavedTensor", "tensors_of"]

_DTYPES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8",
    "Bool": "bool", "ComplexFloat": "complex64", "ComplexDouble": "complex128",
    "Float8_e4m3fn": "float8_e4m3fn", "Float8_e5m2": "float8_e5m2", "Untyped": "uint8",
}  # fmt: skip


@dataclass(frozen=True)
class _Kind:
    """A dtype, or a storage of it."""

    dtype: str


@dataclass(frozen=True)
class _Storage:
    dtype: str
    key: str


@dataclass(frozen=True)
class SavedTensor:
    """A tensor as the pickle describes it; nothing of it is checked."""

    storage: Any
    offset: Any
    shape: Any
    stride: Any
    dtype: str


class _Inert:
    """Stands for an object that is not a tensor: takes everything and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, item: Any) -> None:
        """Take an item."""

    def extend(self, items: Any) -> None:
        """Take items."""


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> SavedTensor:
    dtype = rest[2].dtype if len(rest) > 2 and isinstance(rest[2], _Kind) else storage.dtype
    return SavedTensor(storage, offset, shape, stride, dtype)


def _parameter(tensor: Any, *rest: Any) -> Any:
    return tensor


_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch.storage", "UntypedStorage"): _Kind("uint8"),
    ("torch", "Size"): tuple,
    ("torch", "device"): _Inert,
    ("torch._utils", "_rebuild_sparse_tensor"): _Inert,
    ("torch._utils", "_rebuild_qtensor"): _Inert,
    ("torch.serialization", "_get_layout"): _Inert,
    ("torch.torch_version", "TorchVersion"): _Inert,
    ("numpy", "dtype"): _Inert,
    ("numpy._core.multiarray", "scalar"): _Inert,
    ("numpy.core.multiarray", "scalar"): _Inert,
    ("_codecs", "encode"): _Inert,
}


class _Reader(pickle._Unpickler):
    """Reads tensors and plain values. The one in Python: its memo is as small as what it holds."""

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: lambda self: self.stack.pop(),
    }
    """States of objects are dropped: whatever takes one here needs none."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        kind = name.removesuffix("Storage")
        if module == "torch" and kind != name and kind in _DTYPES:
            return _Kind(_DTYPES[kind])
        if module == "torch" and (name in NAMES or name in _DTYPES.values()):
            return _Kind(name)
        raise CheckpointError(
            f"the file wants to run {module[:100]}.{name[:100]}. Rule: only tensors and plain "
            "values are read, as torch.load(weights_only=True) does; nothing was run. Save its "
            "state_dict instead of the object."
        )

    def persistent_load(self, found: Any) -> Any:
        _, kind, key, *_ = found
        return _Storage(kind.dtype, str(key))


def tensors_of(text: bytes) -> list[tuple[str, SavedTensor]]:
    """Return the tensors of a pickle by name; names of nested dicts and lists are joined by dots.

    Raises
    ------
    CheckpointError
        If it names anything but tensors and plain values.
    Exception
        Of any kind, if it is damaged.
    """
    return list(_walk(_Reader(io.BytesIO(text)).load()))


def _walk(found: Any) -> Iterator[tuple[str, SavedTensor]]:
    """Find the tensors in nested dicts, lists and tuples; what refers to itself ends."""
    waiting: list[tuple[str, Any]] = [("", found)]
    seen: set[int] = set()
    while waiting:
        name, item = waiting.pop()
        if isinstance(item, SavedTensor):
            yield name or "tensor", item
            continue
        if isinstance(item, dict):
            inner = [(str(key), value) for key, value in item.items()]
        elif isinstance(item, (list, tuple)):
            inner = [(str(i), value) for i, value in enumerate(item)]
        else:
            continue
        if id(item) not in seen:
            seen.add(id(item))
            waiting += [(f"{name}.{key}" if name else key, v) for key, v in reversed(inner)]
