"""What in a checkpoint is no weight, though it is an array of floats, and why.

Masks, what belongs to quantized tensors, the state of an optimizer, constant buffers, biases of
stacked layers. They are ranked only where a pattern of `include` names them alone.
Clauses: ERR-03.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from multiprune.patterns import matches
from multiprune_checkpoints.formats.checkpoint import Checkpoint
from multiprune_checkpoints.formats.dtypes import is_float
from multiprune_checkpoints.formats.optimizers import of_optimizers
from multiprune_checkpoints.formats.quantized import quantized
from multiprune_checkpoints.formats.source import Stored
from multiprune_checkpoints.formats.torch_file import STATE

__all__ = ["ONES", "left_out", "stored_masks"]

_KEPT = re.compile(r"(?:^|.*[./])(?:bias|scale|[^./]*_bias)")
_UNKNOWN = (">f", "float", "bfloat", "longdouble", "void", "F4", "F6")
"""How the names of dtypes begin whose entries are, or may be, floats."""
_BLOCK = 1 << 14
ONES = {"float64": 0x3FF << 52, "float32": 0x3F80 << 16, "float16": 0x3C00, "bfloat16": 0x3F80}
"""The bits of 1, by dtype."""


def left_out(
    checkpoint: Checkpoint, min_ndim: int = 2, exclude: Iterable[str] = ()
) -> dict[str, str]:
    """Return the names of tensors that are not ranked unless they are asked for, with the reason.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of what is neither a mask nor named as another kind, the first entries are read; all of
        them only where those have one value beside zero.
    min_ndim : int
        The fewest dimensions of a ranked tensor; below 2 biases are asked for.
    exclude : iterable of str
        Shell patterns of names; what has other names is left out under these, too.
    """
    tensors = checkpoint.tensors
    masks = stored_masks(tensors)
    reasons = dict(checkpoint.no_weights)
    reasons |= {mask.name: "the mask of a pruned tensor" for mask in masks.values()}
    reasons |= dict.fromkeys(of_optimizers(tensors.keys() - reasons.keys()), STATE)
    reasons |= quantized({n: t for n, t in tensors.items() if n not in reasons})
    for name, tensor in tensors.items():
        if name in reasons:
            continue
        if tensor.dtype.endswith(" (strided)"):
            reasons[name] = "stored in another order of dimensions; save it .contiguous()"
        elif tensor.dtype.endswith(" (shared)"):
            reasons[name] = "shares a part of its bytes with another tensor; save a .clone()"
        elif is_float(tensor.dtype) and len(tensor.shape) >= 2 and _is_constant(checkpoint, tensor):
            reasons[name] = "a constant buffer: zeros and one other value"
        elif (
            is_float(tensor.dtype) and len(tensor.shape) >= 2 <= min_ndim and _KEPT.fullmatch(name)
        ):
            reasons[name] = "a bias or a scale, of several layers or heads"
        elif tensor.dtype.startswith(_UNKNOWN) and not is_float(tensor.dtype):
            reasons[name] = f"of dtype {tensor.dtype}, which is not ranked; float32 is"
    for name in [name for name in tensors if matches(name, exclude)]:
        for other in checkpoint.names_of(tensors[name]):
            if not matches(other, exclude):
                reasons.setdefault(other, f"the same bytes as {name}, which is excluded")
    return reasons


def stored_masks(tensors: Mapping[str, Stored]) -> dict[str, Stored]:
    """Return the masks of a pruned torch model beside what they prune, by the name of that."""
    pairs = (
        (name, tensors.get(f"{name.removesuffix('_orig')}_mask"))
        for name in tensors
        if name.endswith("_orig")
    )
    return {
        name: mask for name, mask in pairs if mask is not None and mask.shape == tensors[name].shape
    }


def _is_constant(checkpoint: Checkpoint, tensor: Stored) -> bool:
    """Whether some entries are zero and all others equal: a causal mask, not a weight.

    One entry that is left of a weight is no such value, nor are few that are not 1.
    """
    values: set[int] = set()
    counts = [0, 0]
    for bits in _entries(checkpoint, tensor):
        zero = (bits << 1) == 0
        values |= set(np.unique(bits[~zero]).tolist())
        if len(values) > 1:
            return False
        counts[0] += int(zero.sum())
        counts[1] += int((~zero).sum())
    if not values or not counts[0]:
        return False
    is_one = tensor.dtype in ONES and values == {ONES[tensor.dtype]}
    return counts[1] >= (2 if is_one else 16)


def _entries(checkpoint: Checkpoint, tensor: Stored) -> Iterator[Any]:
    for start in range(0, tensor.size, _BLOCK):
        raw = checkpoint.read(tensor, start, min(start + _BLOCK, tensor.size))
        yield np.frombuffer(raw, f"<u{tensor.itemsize}")
