"""The pickle inside a torch archive, read without torch; opens nothing and runs nothing.

Names in it come from a short list, each standing for something inert: what
``torch.load(weights_only=True)`` would not run is not run here, and nothing else is, either.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.dtypes import NAMES

__all__ = ["WIDTHS", "OtherTensor", "SavedTensor", "tensors_of"]

_DTYPES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8",
    "Bool": "bool", "ComplexFloat": "complex64", "ComplexDouble": "complex128",
    "Float8_e4m3fn": "float8_e4m3fn", "Float8_e5m2": "float8_e5m2", "Untyped": "uint8",
    "QInt8": "qint8", "QUInt8": "quint8", "QInt32": "qint32",
    "QUInt4x2": "quint4x2", "QUInt2x4": "quint2x4",
}  # fmt: skip
WIDTHS = {"complex128": 16, "complex32": 4, "float4_e2m1fn_x2": 1, "bits8": 1, "bits16": 2}
"""Bytes of an entry, of dtypes that safetensors has no code for."""


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


@dataclass(frozen=True)
class OtherTensor:
    """A tensor that is no dense array in one run of bytes."""

    what: str


def _other(what: str) -> Callable[..., OtherTensor]:
    return lambda *args, **kwargs: OtherTensor(what)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> SavedTensor:
    dtype = rest[2].dtype if len(rest) > 2 and isinstance(rest[2], _Kind) else storage.dtype
    return SavedTensor(storage, offset, shape, stride, dtype)


def _parameter(tensor: Any, *rest: Any) -> Any:
    return tensor


def _subclass(rebuild: Any, kind: Any, args: Any, state: Any) -> Any:
    """Make a tensor with attributes, or of a subclass, which are dropped."""
    return rebuild(*args)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch.storage", "UntypedStorage"): _Kind("uint8"),
    ("torch", "Size"): tuple,
    ("torch", "device"): _Inert,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._tensor", "_rebuild_from_type_v2"): _subclass,
    ("torch._utils", "_rebuild_sparse_tensor"): _other("sparse"),
    ("torch._utils", "_rebuild_qtensor"): _other("quantized"),
    ("torch._utils", "_rebuild_nested_tensor"): _other("nested"),
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"): _other("nested"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _other("on the meta device"),
    ("torch._utils", "_rebuild_wrapper_subclass"): _other("of a subclass"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): _other("of another device"),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _parameter,
}
_INERT = {
    "torch": "device Tensor per_tensor_affine per_channel_affine per_channel_symmetric "
    "per_tensor_symmetric per_channel_affine_float_qparams",
    "torch.nn.parameter": "Parameter",
    "torch.nested._internal.nested_tensor": "NestedTensor",
    "torch._dynamo.decorators": "_DimRange",
    "torch.serialization": "_get_layout",
    "torch.torch_version": "TorchVersion",
    "numpy": "dtype",
    "numpy._core.multiarray": "scalar",
    "numpy.core.multiarray": "scalar",
    "_codecs": "encode",
    "collections": "Counter",
    **dict.fromkeys(("builtins", "__builtin__"), "set bytearray complex"),
}
_ALLOWED |= {(room, name): _Inert for room, names in _INERT.items() for name in names.split()}


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
        if module == "torch" and (name in NAMES or name in WIDTHS or name in _DTYPES.values()):
            return _Kind(name)
        raise CheckpointError(
            f"the file wants to run {module[:100]}.{name[:100]}. Rule: only tensors and plain "
            "values are read, as torch.load(weights_only=True) does; nothing was run. Save its "
            "state_dict instead of the object."
        )

    def persistent_load(self, entry: Any) -> Any:
        _, kind, key, *_ = entry
        return _Storage(kind.dtype, str(key))


def tensors_of(text: bytes) -> list[tuple[str, SavedTensor | OtherTensor, bool]]:
    """Return the tensors of a pickle, and whether each is the state of an optimizer.

    Names of nested dicts and lists are joined by dots.

    Raises
    ------
    CheckpointError
        If it names anything but tensors and plain values.
    Exception
        Of any kind, if it is damaged.
    """
    return list(_walk(_Reader(io.BytesIO(text)).load()))


def _walk(node: Any) -> Iterator[tuple[str, SavedTensor | OtherTensor, bool]]:
    """Find the tensors in nested dicts, lists and tuples; what refers to itself ends."""
    waiting: list[tuple[str, Any, bool]] = [("", node, False)]
    seen: set[int] = set()
    while waiting:
        name, item, is_state = waiting.pop()
        if isinstance(item, SavedTensor | OtherTensor):
            yield name or "tensor", item, is_state
            continue
        if isinstance(item, dict):
            inner = [(str(key), value) for key, value in item.items()]
            # What Optimizer.state_dict returns, under whatever key it was saved.
            is_state = is_state or {"state", "param_groups"} <= item.keys()
        elif isinstance(item, (list, tuple)):
            inner = [(str(i), value) for i, value in enumerate(item)]
        else:
            continue
        if id(item) not in seen:
            seen.add(id(item))
            prefix = f"{name}." if name else ""
            waiting += [(prefix + key, v, is_state) for key, v in reversed(inner)]
